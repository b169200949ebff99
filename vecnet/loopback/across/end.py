"""One end of a link to another host, as the agent on this one has it: the port, the IP stack, what goes by."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import Failed

if TYPE_CHECKING:
    import socket

    from vecnet.datapath.loops import Loop
    from vecnet.datapath.port import Port
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.joined import StackEnd
    from vecnet.loopback.nursery import Nursery
    from vecnet.loopback.subject import Side, Subject
    from vecnet.topology import Topology

_MOST = 4096  # frames of one answer
_FIRST = 5.0  # seconds that the first frame to be reflected may take

Answer = Mapping[str, object]
Told = tuple[Answer, Sequence[bytes]]  # an answer, and frames behind it


class Reader(Protocol):
    """Who has read the topology."""

    @property
    def topology(self) -> Topology: ...


class End:
    """The requests of its line, one method each; it is open from `open` to `close`."""

    def __init__(self, stack: ExitStack, reader: Reader, nursery: Nursery) -> None:
        from vecnet.loopback.stack import Stacks

        self._reader = reader
        self._stacks = stack.enter_context(Stacks.started(nursery))
        self._open = stack.enter_context(ExitStack())
        self._host: Host | None = None
        self._end: tuple[Subject, Side, Port, bytes] | None = None
        self._joined: tuple[ExitStack, StackEnd] | None = None
        self._drain: tuple[ExitStack, Loop] | None = None
        self._sniffer: socket.socket | None = None

    @property
    def does(self) -> Mapping[str, Callable[..., Answer | Told]]:
        methods = (
            *(self.open, self.close, self.send, self.recv, self.stats, self.join, self.leave),
            *(self.ping, self.listen, self.serve, self.served, self.connect, self.reflect, self.round_trips),
            *(self.generate, self.drain, self.drained, self.sniff, self.sniffed, self.look, self.way),
        )
        return {method.__name__: method for method in methods}

    def open(self, link: str, live: bool) -> Answer:
        """This host's end; its Ethernet address."""
        from vecnet.loopback.diagnose import Host
        from vecnet.loopback.subject import own_end
        from vecnet.loopback.wire import opened_here, refuse_in_use

        self.close()
        part = self._reader.topology
        self._host = Host(part)  # what it reads is of this link's time
        subject, side = own_end(part, link)
        if not live:
            refuse_in_use(subject, self._host.users)
        port, mac = self._open.enter_context(opened_here(subject, side))
        self._end = (subject, side, port, mac)
        return {"mac": mac.hex()}

    def close(self) -> Answer:
        self._open.close()
        self._end = self._joined = self._drain = self._sniffer = self._host = None
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


def _turned(frame: bytes) -> bytes:
    """The frame with the addresses of sender and receiver exchanged."""
    return frame[6:12] + frame[:6] + frame[12:]
