"""The agent: what proves a link's end on this machine, for a controller on another one.

    controller ── ssh, or whatever starts commands there ── standard input and output ── the agent ── port, IP stack

1. It reads the same file as the controller, which is sent, and takes its host's part of it.
2. Requests come one after another and are answered in this order: channel.py has their form. A sign of life is answered
   at once by another.
3. It ends with its input, and with its connection: when nothing has come for some seconds, not even a sign of life.
   What it is in the middle of is given up then, and all that it has opened is closed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from vecnet import __version__
from vecnet.errors import HostError, PortError, Position, VecnetError
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback.across.channel import Channel, Closed, Message
from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import Failed, LinkReport, Outcome, Untested, lacks

if TYPE_CHECKING:
    import socket

    from vecnet.datapath.loops import Loop
    from vecnet.datapath.port import Port
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.joined import StackEnd
    from vecnet.loopback.subject import Side, Subject
    from vecnet.topology import Topology

MARK = b"\0vecnet agent\0"  # whatever a login prints comes before it
SILENCE = 20.0  # seconds without a sign of life, after which the other side is taken for gone
_TURN = 50.0  # seconds to wait for another run on this machine
_LAST = 10.0  # seconds to close what is open
_MOST = 4096  # frames of one answer
_FIRST = 5.0  # seconds that the first frame to be reflected may take

Answer = Mapping[str, object]
Told = tuple[Answer, Sequence[bytes]]  # an answer, and frames behind it


class _Ended(BaseException):
    """Whoever started the agent has gone."""


class Agent:
    """The requests, one method each; a link's end is open from `open` to `close`."""

    def __init__(self, stack: ExitStack) -> None:
        from vecnet.loopback.stack import Stacks

        self._stacks = stack.enter_context(Stacks.started())
        self._open = stack.enter_context(ExitStack())
        self._topology: Topology | None = None
        self._host: Host | None = None
        self._end: tuple[Subject, Side, Port, bytes] | None = None
        self._joined: tuple[ExitStack, StackEnd] | None = None
        self._drain: tuple[ExitStack, Loop] | None = None
        self._sniffer: socket.socket | None = None
        self._exit = stack

    def answer(self, request: Message) -> Told:
        """What a request comes to; what goes wrong, too, is an answer."""
        methods = (
            *(self.load, self.prove, self.open, self.close, self.send, self.recv, self.stats, self.join, self.leave),
            *(self.ping, self.listen, self.serve, self.served, self.connect, self.reflect, self.round_trips),
            *(self.generate, self.drain, self.drained, self.sniff, self.sniffed, self.look, self.way),
        )
        does: Mapping[str, Callable[..., Answer | Told]] = {method.__name__: method for method in methods}
        words = dict(request.says)
        try:
            method = does[str(words.pop("do"))]
            told = method(list(request.frames), **words) if request.frames else method(**words)
        except Outcome as outcome:
            return {"error": str(outcome), "verdict": str(outcome.verdict), "codes": list(outcome.codes)}, ()
        except (PortError, HostError) as error:
            verdict = (Untested if lacks(error) else Failed).verdict
            return {"error": str(error), "verdict": str(verdict), "codes": [Code.WIRE_GONE]}, ()
        except (VecnetError, TimeoutError) as error:
            return {"error": str(error), "verdict": str(Untested.verdict)}, ()
        except OSError as error:
            return {"error": str(in_words(error)), "verdict": str(Untested.verdict)}, ()
        except Exception as error:
            fault = f"vecnet has a fault of its own: {type(error).__name__}: {error}"
            return {"error": fault, "verdict": str(Untested.verdict)}, ()
        return told if isinstance(told, tuple) else (told, ())

    def load(self, text: str, path: str, host: str) -> Answer:
        """Read the topology, and take this host's part."""
        from vecnet.loopback.diagnose import Host
        from vecnet.topology import loads

        self._topology = loads(text, path=path).on(host)
        self._host = Host(self._topology)
        return {}

    def prove(self, links: list[str], probes: list[str], live: bool, jobs: int) -> Answer:
        """The links that lie within this host, by all that one machine has."""
        from vecnet.loopback import prove
        from vecnet.loopback.subject import of_topology

        assert self._topology is not None
        subjects = of_topology(self._topology, links)
        found = prove(self._topology.name, subjects, topology=self._topology, probes=probes, live=live, jobs=jobs)
        return {"links": [_told(link) for link in found.links]}

    # ---- one end of a link to another host ----

    def open(self, link: str, live: bool) -> Answer:
        """This host's end; its Ethernet address."""
        from vecnet.host.lock import locked
        from vecnet.kernel.namespaces import Namespaces
        from vecnet.loopback.subject import own_end
        from vecnet.loopback.wire import opened_here, refuse_in_use

        assert self._topology is not None
        assert self._host is not None
        self.close()
        subject, side = own_end(self._topology, link)
        namespaces = self._open.enter_context(Namespaces())
        self._open.enter_context(locked([namespaces.home], _TURN, what="loopback"))
        if not live:
            refuse_in_use(subject, self._host.users)
        port, mac = self._open.enter_context(opened_here(subject, side))
        self._end = (subject, side, port, mac)
        return {"mac": mac.hex()}

    def close(self) -> Answer:
        from vecnet.loopback.diagnose import Host

        self._open.close()
        self._end = self._joined = self._drain = self._sniffer = None
        self._host = Host(self._topology)  # what it has read is of this link's time
        return {}

    @property
    def _port(self) -> Port:
        assert self._end is not None
        return self._end[2]

    def send(self, frames: list[bytes], seconds: float | None) -> Answer:
        return {"taken": self._port.send(frames, timeout=seconds)}

    def recv(self, seconds: float | None) -> Told:
        """All that has come, so far as one answer holds it."""
        frames = self._port.recv(timeout=seconds)
        while frames and len(frames) < _MOST and (more := self._port.recv(timeout=0)):
            frames += more
        return {}, frames

    def stats(self) -> Answer:
        return {"stats": self._port.stats}

    # ---- the IP stack behind it ----

    def join(self) -> Answer:
        """Bring up the end's IP stack; the interface that it has."""
        from vecnet.loopback.joined import joined_stack

        assert self._end is not None
        subject, side, port, mac = self._end
        block = self._open.enter_context(ExitStack())
        end = block.enter_context(joined_stack("near", side, port, mac, subject.mtu, self._stacks))
        self._joined = (block, end)
        return {"interface": end.interface}

    def leave(self) -> Answer:
        if self._joined is not None:
            self._joined[0].close()
        self._joined = None
        return {}

    @property
    def _stack(self) -> StackEnd:
        assert self._joined is not None
        return self._joined[1]

    def ping(self, to: str, interface: str, packet: int) -> Answer:
        return {"seconds": self._stack.stack.ping(to, interface, packet)}

    def listen(self, address: str, interface: str) -> Answer:
        return {"port": self._stack.stack.listen(address, interface)}

    def serve(self, size: int, seed: int) -> Answer:
        self._stack.stack.serve(size, seed)
        return {}

    def served(self) -> Answer:
        return dataclasses.asdict(self._stack.stack.served())

    def connect(self, address: str, port: int, interface: str, size: int, seed: int) -> Answer:
        return dataclasses.asdict(self._stack.stack.connect(address, port, interface, size, seed))

    # ---- what goes too fast for a connection between two machines ----

    def reflect(self, count: int) -> Answer:
        """Send so many numbered frames back to whom each came from."""
        from vecnet.loopback.exchange import PATIENCE
        from vecnet.loopback.numbered import is_numbered

        done, due = 0, time.monotonic() + _FIRST
        while done < count and (left := due - time.monotonic()) > 0:
            back = [_turned(frame) for frame in self._port.recv(timeout=left) if is_numbered(frame)]
            if back:
                self._port.send(back, timeout=PATIENCE)
                done, due = done + len(back), time.monotonic() + PATIENCE
        return {"reflected": done}

    def round_trips(self, count: int, to: str, source: str) -> Answer:
        """Microseconds of so many frames, one after another, to the other end and back."""
        from vecnet.loopback.exchange import PATIENCE, drain
        from vecnet.loopback.numbered import SMALLEST, Run

        run = Run(bytes.fromhex(to), bytes.fromhex(source))
        times: list[float] = []
        drain(self._port)
        for _ in range(count):
            frame = run.build(SMALLEST)
            started = time.perf_counter()
            self._port.send([frame], timeout=PATIENCE)
            while not run.take(map(_turned, self._port.recv(timeout=PATIENCE))):
                if time.perf_counter() - started > PATIENCE:
                    raise Failed(Code.LOST, f"of {len(times) + 1} frames, sent one by one, {len(times)} came back")
            times.append((time.perf_counter() - started) * 1e6)
        return {"us": times}

    def generate(self, seconds: float, size: int, stream: int, to: str, source: str) -> Answer:
        """Send frames as fast as they go."""
        from vecnet.datapath.loops import generate

        with generate(self._port, seconds=seconds, size=size, stream=stream, target=to, source=source) as loop:
            return {"stats": loop.wait()}

    def drain(self, stream: int) -> Answer:
        """Begin to count what comes."""
        from vecnet.datapath.loops import drain

        block = self._open.enter_context(ExitStack())
        self._drain = (block, block.enter_context(drain(self._port, stream=stream)))
        return {}

    def drained(self) -> Answer:
        """What has come since."""
        assert self._drain is not None
        block, loop = self._drain
        block.close()
        self._drain = None
        return {"stats": loop.stats}

    # ---- why packets do not come ----

    def sniff(self) -> Answer:
        """Begin to look at what crosses this host's interfaces."""
        from vecnet.loopback.sniff import sniffer

        self._sniffer = self._open.enter_context(sniffer())
        return {}

    def sniffed(self, run: int, seconds: float) -> Answer:
        """The outer packets with test frames of a run that crossed them since, and in some more seconds."""
        from vecnet.loopback.sniff import seen_by

        assert self._sniffer is not None
        with self._sniffer as sniffer:
            outers = [dataclasses.asdict(outer) for outer in seen_by(sniffer, run, seconds)]
        return {"outers": [{**outer, "header": outer["header"].hex()} for outer in outers]}

    def look(self, probe: str) -> Answer:
        """What this host differs in from the topology, and the filters that drop packets here."""
        from vecnet.loopback.diagnose import of_one_host

        assert self._end is not None
        assert self._host is not None
        found, filters = of_one_host(self._end[0], probe, self._host), self._host.filters
        return {"found": list(map(dataclasses.asdict, found)), "filters": list(map(dataclasses.asdict, filters))}

    def way(self, local: str, remote: str) -> Answer:
        """The way to another host, as this one's kernel has it: its MTU, 0 where there is none."""
        from vecnet.loopback.diagnose import is_unanswered
        from vecnet.topology.underlay import route_mtu

        return {"mtu": route_mtu(local, remote) or 0, "unanswered": is_unanswered(remote)}


def _told(link: LinkReport) -> dict[str, object]:
    """A report as JSON has it, whole: what people are told is made of it elsewhere."""
    results = [
        {**vars(result), "figures": dict(result.figures), "where": _place(result.where)} for result in link.results
    ]
    return {**vars(link), "results": results, "where": _place(link.where)}


def _place(where: Position | None) -> dict[str, object] | None:
    return None if where is None else dataclasses.asdict(where)


def _turned(frame: bytes) -> bytes:
    """The frame with the addresses of sender and receiver exchanged."""
    return frame[6:12] + frame[:6] + frame[12:]


def main() -> None:
    """Answer requests on standard input and output until whoever makes them has gone."""
    incoming, outgoing = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:  # noqa: PTH123 - what runs here must neither read requests nor print answers
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    channel = Channel(incoming, outgoing)
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    with suppress(_Ended, Closed), ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _end)
        os.write(outgoing, MARK + json.dumps({"vecnet": __version__}).encode() + b"\n")
        threading.Thread(target=_read, args=(channel, requests), daemon=True).start()
        agent = Agent(stack)
        while True:
            channel.send(*agent.answer(requests.get()))


def _read(channel: Channel, requests: queue.SimpleQueue[Message]) -> None:
    """A thread's: signs of life are answered, also while a request is at work. At the end the main thread ends."""
    with suppress(Closed, TimeoutError):
        while True:
            message = channel.receive(SILENCE)
            if message is None:
                channel.send()
            else:
                requests.put(message)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST)
    print("vecnet: the agent could not close what it had opened in time", file=sys.stderr)
    os._exit(1)


def _end(*_: object) -> None:
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)  # closing is not to be interrupted
    raise _Ended
