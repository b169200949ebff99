"""The switch: what a frame costs on its way through it, next to `forward`, to more of its ports, and to other switches.

::

    end 0 ══ port 0 ─┐ the switch, ┌─ port 1 ══ end 1      each ══ a pair of sockets (fd)
    end 2 ══ port 2 ─┤ or forward  ├─ …
    a socket ─────── vde_switch, uml_switch ─────── a socket

Only what is between the ends is timed: vecnet's runs in the measuring thread, and of another program its processor time
counts. The ends take turns: each sends a batch to the next one.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from vecnet.bench import native, place, streams
from vecnet.bench.figures import Case, Cost, Effort, Figure, Stream
from vecnet.bench.native import Load
from vecnet.datapath.port import Port, open_port
from vecnet.datapath.switch import STORM, Switch
from vecnet.errors import HostError, PortError
from vecnet.kernel.brief_folder import brief_tree

NAME = "switch"
PORTS = (8, 64, 512)  # next to two
LENGTHS = (64, 1400)  # bytes of a frame
STREAMS = ("tap", "raw")  # transports of the ports whose TCP is measured
OTHERS = {  # programs, and the words that start each so that it listens at PATH
    "vde_switch": ("--sock", "PATH"),
    "uml_switch": ("-unix", "PATH"),
}
_BATCH = 32
_EACH = 6  # descriptors of a port and its end, and room for another
_ETHERTYPE = b"\x88\xb5"  # for local experiments, IEEE 802
_TRAFFIC = 10_000  # frames between two looks at another program's processor time, which the kernel counts in ticks
_ROOM = 4 << 20  # bytes of a recording that wait for its reader
_PATIENCE = 10.0  # seconds for another program


Measure = Callable[[], Cost]
Middle = Callable[[Case], Measure]  # what is between the ends, for frames of each length


def measured(effort: Effort) -> Iterator[Figure]:
    """Every figure but TCP's. Raises HostError, PortError."""
    cases = [Case(NAME, length, effort, _BATCH) for length in LENGTHS]
    few = [replace(case, effort=replace(effort, runs=min(effort.runs, 5))) for case in cases]
    with _forwarded() as forwarded, _switched(2) as two:
        yield from _next_to(cases, "2 ports", two, "forward", forwarded)
        with _switched(2, captured=True) as captured:
            yield from _next_to(cases, "2 ports, one captured", captured, "2 ports", two)
        with _attacked() as attacked:
            yield from _next_to(cases, "2 ports beside a hostile one", attacked, "2 ports", two)
        for count in filter(_has_room, PORTS):
            with _switched(count) as many:
                yield from _next_to(cases, f"{count} ports", many, "2 ports", two)
        for name in filter(shutil.which, OTHERS):
            with _other(name) as other:
                yield from _next_to(few, "2 ports", two, name, other)


def _next_to(cases: Iterable[Case], what: str, ours: Middle, reference: str, theirs: Middle) -> Iterator[Figure]:
    for case in cases:
        here, there = ours(case), theirs(case)
        yield case.paired(what, reference, lambda is_reference: (there if is_reference else here)())  # noqa: B023 - at once


def stream(transport: str, effort: Effort) -> Stream:
    """A host's TCP through the switch, next to the kernel's bridge, as `streams` has it through `forward`."""
    return streams.next_to_bridge(transport, "TCP through the switch", _between_namespaces, effort)


@contextmanager
def _between_namespaces(transport: str, ends: tuple[int, int]) -> Iterator[None]:
    with Switch() as lan:
        for pid in ends:
            lan.add(place.port_on_interface(transport, pid), storm=None)
        yield


# ---- vecnet's ----


@contextmanager
def _ends(count: int, open_near: Callable[[str], None]) -> Iterator[list[Port]]:
    """The far ends of pairs of sockets; the near ones go to `open_near` as strings, and are its own from then on."""
    with ExitStack() as stack:
        ends = []
        for _ in range(count):
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with near, far:
                open_near(f"vec0:transport=fd,fd={near.fileno()},depth=128")
                ends.append(stack.enter_context(open_port(f"vec0:transport=fd,fd={far.fileno()},depth=128")))
        yield ends


@contextmanager
def _forwarded() -> Iterator[Middle]:
    with ExitStack() as stack:
        ports: list[Port] = []
        ends = stack.enter_context(_ends(2, lambda text: ports.append(stack.enter_context(open_port(text)))))
        yield partial(_cost_through, [port.handle for port in ports], ends)


@contextmanager
def _switched(count: int, *, captured: bool = False) -> Iterator[Middle]:
    with (
        closing(Switch()) as lan,
        _ends(count, partial(_added, lan)) as ends,
        _captured(lan) if captured else nullcontext(),
    ):
        _teach(lan, ends)
        yield partial(_cost_through, lan.handle, ends)


@contextmanager
def _attacked() -> Iterator[Middle]:
    """Two ports, and a third with the limits that a guest's port has, unless they are stated."""
    with (
        closing(Switch()) as lan,
        _ends(2, partial(_added, lan)) as ends,
        _ends(1, partial(_added, lan, storm=STORM)) as (attacker,),
    ):
        _teach(lan, ends)
        yield partial(_cost_beside, lan, ends, attacker)


def _teach(lan: Switch, ends: Sequence[Port]) -> None:
    for number, end in enumerate(ends):  # to one that is known, once it is: to all would be count² frames
        end.send(_frame(number, 0 if number else None, 60))
        lan.run(0)
    while len(lan.table) < len(ends):
        lan.run(0.01)
    _empty(ends)


def _empty(ends: Iterable[Port]) -> None:
    for end in ends:
        while end.recv(0):
            pass


@contextmanager
def _captured(lan: Switch) -> Iterator[None]:
    """The first port is recorded, by a reader in another thread who throws it away, as `vecnet capture` asks for it."""
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
            recorder = lan.record(os.dup(theirs.fileno()), lan.ports[0].name)
        reader = threading.Thread(target=lambda: all(iter(lambda: mine.recv(1 << 20), b"")))
        reader.start()
        try:
            yield
        finally:
            recorder.close()
            reader.join()


def _added(lan: Switch, text: str, storm: int | None = None) -> None:
    lan.add(text, storm=storm)


def _cost_through(between: native.Between, ends: Sequence[Port], case: Case) -> Measure:
    load = Load(_frame(0, 1, case.length), case.batch, case.effort.rounds)
    frames = [_frame(number, (number + 1) % len(ends), case.length) * case.batch for number in range(len(ends))]
    handles = [end.handle for end in ends]
    return lambda: native.through(between, handles, frames, load).each(case.batch * load.rounds)


def _cost_beside(lan: Switch, ends: Sequence[Port], attacker: Port, case: Case) -> Measure:
    """Before each batch the attacker sends as many frames, to all, each from an address that was never seen.

    The measurement raises PortError where a frame of the others is lost.
    """
    load = Load(_frame(0, 1, case.length), case.batch, 1)
    frames = [_frame(number, 1 - number, case.length) * case.batch for number in range(2)]
    sources = count(1000)

    def received() -> int:
        """Of what the others have sent: without copies of what the attacker's port was allowed to flood."""
        flooded = list(lan.stats.values())[-1]["flooded"]
        return sum(end.stats["rx_frames"] for end in ends) - len(ends) * flooded

    def measure() -> Cost:
        spent, before = Cost(0, 0), received()
        for turn in range(case.effort.rounds):
            attacker.send([_frame(next(sources), None, case.length) for _ in range(case.batch)])
            turned = [(end.handle, frame) for end, frame in zip(ends, frames, strict=True)][:: 1 - 2 * (turn % 2)]
            spent += native.through(lan.handle, [one for one, _ in turned], [one for _, one in turned], load)
            _empty(ends)
        sent = case.batch * case.effort.rounds
        if (lost := sent - (received() - before)) != 0:
            raise PortError(f"a hostile guest cost the others {lost} of {sent} frames")
        return spent.each(sent)

    return measure


def _frame(source: int, target: int | None, length: int) -> bytes:
    """From an end to another, or to all."""
    to = b"\xff" * 6 if target is None else _mac(target)
    return (to + _mac(source) + _ETHERTYPE).ljust(length, b"\x5a")


def _mac(number: int) -> bytes:
    return b"\x02\0" + number.to_bytes(4, "big")


def _has_room(count: int) -> bool:
    """Whether this process may have so many ports; its limit is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 256 + _EACH * count
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted <= hard


# ---- others ----


@contextmanager
def _other(name: str) -> Iterator[Middle]:
    """What a frame costs another switch: its processor time, while two sockets send to each other through it."""
    with brief_tree() as (folder, _), ExitStack() as stack:
        path = Path(folder, "switch")
        words = [str(path) if word == "PATH" else word for word in OTHERS[name]]
        program = stack.enter_context(
            subprocess.Popen(
                [*place.ENDING, name, *words],
                stdin=subprocess.PIPE,  # at the end of which they end
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        stack.callback(program.kill)
        control = path / "ctl" if name == "vde_switch" else path
        one, two = (stack.enter_context(_joined(control, Path(folder, f"end{number}"))) for number in (0, 1))
        for number, (end, address) in enumerate((one, two)):
            end.sendto(_frame(number, None, 60), address)
        two[0].recv(4096)
        one[0].recv(4096)
        yield partial(_cost_of, program.pid, one, two[0])


def _cost_of(pid: int, one: tuple[socket.socket, bytes], other: socket.socket, case: Case) -> Measure:
    frame = _frame(0, 1, case.length)
    batch = min(_BATCH, int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()))
    rounds = max(1, min(_TRAFFIC, case.effort.rounds * 200) // batch)

    def cost() -> Cost:
        before = _processor(pid)
        for _ in range(rounds):
            for _ in range(batch):
                one[0].sendto(frame, one[1])
            for _ in range(batch):
                other.recv(4096)
        spent = _processor(pid) - before
        return Cost(spent, spent).each(batch * rounds)

    return cost


@contextmanager
def _joined(control: Path, own: Path) -> Iterator[tuple[socket.socket, bytes]]:
    """A socket that is a port of another switch, and the address to send to.

    A request on a stream, with the address of one's own socket, is answered with the switch's. The stream stays open as
    long as the port. Source: measured with both programs; UML's transport `daemon` speaks so.
    """
    until = time.monotonic() + _PATIENCE
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as data, socket.socket(socket.AF_UNIX) as stream:
        data.bind(str(own))
        data.settimeout(_PATIENCE)
        stream.settimeout(_PATIENCE)
        while True:
            try:
                stream.connect(str(control))
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise HostError(f"{control.parent.name} does not listen: {error.strerror}") from None
                time.sleep(0.01)
        stream.sendall(struct.pack("=IIiH108s", 0xFEEDFACE, 3, 0, socket.AF_UNIX, bytes(own)))
        answered = b""
        while len(answered) < 110:
            more = stream.recv(110 - len(answered))
            if not more:
                raise HostError("the other switch takes no port")
            answered += more
        yield data, answered[2:].partition(b"\0")[0] or answered[2:]


def _processor(pid: int) -> float:
    """Nanoseconds of processor time of a process so far. Source: Documentation/scheduler/sched-stats.rst."""
    return float(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
