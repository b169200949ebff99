"""The agent: what proves links and ends of links on this machine, for a controller on another one.

    controller ── ssh, or whatever starts commands there ── standard input and output ── the agent ── port, IP stack

1. It reads the same file as the controller, which is sent, and takes its host's part of it.
2. Requests come on lines: channel.py has their form, and the number of its line is in each. Those of one line are
   answered one after another, by a thread of its own, and wait for no other line's. Line 0 is for what is the whole
   host's. A sign of life is answered at once by another.
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
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from vecnet import __version__
from vecnet.errors import HostError, PortError, Position, VecnetError
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback.across.channel import Channel, Closed, Message
from vecnet.loopback.across.end import Answer, End, Told
from vecnet.loopback.codes import Code
from vecnet.loopback.nursery import Nursery
from vecnet.loopback.verdict import Failed, LinkReport, Outcome, Untested, lacks

if TYPE_CHECKING:
    from vecnet.topology import Topology

MARK = b"\0vecnet agent\0"  # whatever a login prints comes before it
SILENCE = 20.0  # seconds without a sign of life, after which the other side is taken for gone
WHOLE = 0  # the line of what is the whole host's
TURN = 600.0  # seconds to wait for another run on this machine
_CLOSING = 8.0  # seconds that lines have for what they are in the middle of
_LAST = 10.0  # seconds to close what is open

Requests = queue.SimpleQueue[Message | None]


class _Ended(BaseException):
    """Whoever started the agent has gone."""


class Whole:
    """The requests of line 0, one method each."""

    def __init__(self, stack: ExitStack) -> None:
        self._held = stack.enter_context(ExitStack())
        self._topology: Topology | None = None

    @property
    def does(self) -> Mapping[str, Callable[..., Answer | Told]]:
        return {method.__name__: method for method in (self.load, self.prove, self.hold, self.release)}

    @property
    def topology(self) -> Topology:
        """This host's part of it. Raises Untested before it is known."""
        if self._topology is None:
            raise Untested("no topology has come yet")
        return self._topology

    def load(self, text: str, path: str, host: str) -> Answer:
        """Read the topology, and take this host's part."""
        from vecnet.topology import loads

        self._topology = loads(text, path=path).on(host)
        return {}

    def prove(self, links: list[str], probes: list[str], live: bool, jobs: int) -> Answer:
        """The links that lie within this host, by all that one machine has."""
        from vecnet.loopback import prove
        from vecnet.loopback.subject import of_topology

        part = self.topology
        found = prove(part.name, of_topology(part, links), topology=part, probes=probes, live=live, jobs=jobs)
        return {"links": [_told(link) for link in found.links]}

    def hold(self) -> Answer:
        """Wait until no other run is on this machine, and keep others off until `release`."""
        from vecnet.host.lock import locked
        from vecnet.kernel.namespaces import Namespaces

        self.release()
        namespaces = self._held.enter_context(Namespaces())
        self._held.enter_context(locked([namespaces.home], TURN, what="loopback"))
        return {}

    def release(self) -> Answer:
        self._held.close()
        return {}


def _told(link: LinkReport) -> dict[str, object]:
    """A report as JSON has it, whole: what people are told is made of it elsewhere."""
    results = [
        {**vars(result), "figures": dict(result.figures), "where": _place(result.where)} for result in link.results
    ]
    return {**vars(link), "results": results, "where": _place(link.where)}


def _place(where: Position | None) -> dict[str, object] | None:
    return None if where is None else dataclasses.asdict(where)


def answered(does: Mapping[str, Callable[..., Answer | Told]], request: Message) -> Told:
    """What a request comes to; what goes wrong, too, is an answer."""
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


class Lines:
    """All lines, each with its requests. A context manager that ends them, and closes what they have opened."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._exit = ExitStack()
        self._whole = Whole(self._exit)
        self._nursery = Nursery()
        self._requests: dict[int, Requests] = {WHOLE: queue.SimpleQueue()}
        self._threads: list[threading.Thread] = []
        self._turn, self._ended = threading.Lock(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _deafen()
        self._nursery.__exit__(None, None, None)  # who waits for a simulated guest waits no longer
        with self._turn:
            self._ended = True
            for requests in self._requests.values():
                requests.put(None)
        end = time.monotonic() + _CLOSING
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._exit.close()

    def put(self, request: Message) -> None:
        """Have it answered, by a thread of its line. For the thread that reads."""
        says = dict(request.says)
        number = says.pop("line", WHOLE)
        with self._turn:
            if not isinstance(number, int) or self._ended:
                return
            if number not in self._requests:
                self._requests[number] = queue.SimpleQueue()
                thread = threading.Thread(target=self._serve_end, args=(number,), daemon=True)
                self._threads.append(thread)
                thread.start()
            self._requests[number].put(Message(says, request.frames))

    def serve(self) -> None:
        """Answer what is asked of the whole host."""
        self._serve(WHOLE, self._whole.does)

    def _serve_end(self, number: int) -> None:
        with suppress(Closed), ExitStack() as stack:
            self._serve(number, End(stack, self._whole, self._nursery).does)

    def _serve(self, number: int, does: Mapping[str, Callable[..., Answer | Told]]) -> None:
        while (request := self._requests[number].get()) is not None:
            says, frames = answered(does, request)
            self._channel.send({**says, "line": number}, frames)


def main() -> None:
    """Answer requests on standard input and output until whoever makes them has gone."""
    incoming, outgoing = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:  # noqa: PTH123 - what runs here must neither read requests nor print answers
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    channel = Channel(incoming, outgoing)
    with suppress(_Ended, Closed), Lines(channel) as lines:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _end)
        os.write(outgoing, MARK + json.dumps({"vecnet": __version__}).encode() + b"\n")
        threading.Thread(target=_read, args=(channel, lines), daemon=True).start()
        lines.serve()


def _read(channel: Channel, lines: Lines) -> None:
    """A thread's: signs of life are answered, also while a request is at work. At the end the main thread ends."""
    with suppress(Closed, TimeoutError):
        while True:
            message = channel.receive(SILENCE)
            if message is None:
                channel.send()
            else:
                lines.put(message)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST)
    print("vecnet: the agent could not close what it had opened in time", file=sys.stderr)
    os._exit(1)


def _end(*_: object) -> None:
    _deafen()
    raise _Ended


def _deafen() -> None:
    """Closing is not to be interrupted."""
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
