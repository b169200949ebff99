"""A real guest on the same string, next to a port in its place: small packets that it sends, and iperf3.

::

    small   guest, `dd` to UDP, a datagram a system call ══ the string ══ the wire's far port, which counts
            port that has the string                     ══ the string ══ the same
    iperf3  guest, iperf3 -c                             ══ the string ══ the far end, iperf3 -s
            namespace, iperf3 -c ── tap ── forward ── port ══ the string ══ the same

The far end is the host's interface; where the wire has none, the far port is forwarded to a tap. The guest has the
host's root as its own (hostfs). A guest boots for each run, since one string serves one at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from vecnet.bench import measure, place
from vecnet.bench.figures import Case, Cost, Effort, Figure, Stream
from vecnet.bench.place import FAR, NEAR
from vecnet.bench.wires import single
from vecnet.datapath.loops import forward
from vecnet.datapath.port import Port, open_port
from vecnet.errors import HostError
from vecnet.kernel.brief_folder import brief_tree
from vecnet.loopback.wire import Wire
from vecnet.topology import Topology

Between = Callable[[Port, Port], AbstractContextManager[None]]

KERNEL = os.environ.get("UML_KERNEL") or "linux.uml"
GUEST = "a real guest"
_HEADERS = 42  # bytes of Ethernet, IPv4 and UDP header
_PATIENCE = 60.0  # seconds for a guest to boot, and for iperf3
_TURN = 10.0  # seconds for a guest that runs to answer
_TICK = 1e9 / os.sysconf("SC_CLK_TCK")  # nanoseconds, of proc(5)'s times

_INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
ip link set {device} up && ip addr add {near}/24 dev {device}
ip neigh add {far} lladdr 02:00:00:00:00:02 dev {device} nud permanent
for length in {lengths}; do
    while [ ! -e {folder}/$length ]; do
        dd if=/dev/zero bs=$((length - {headers})) count=2000 status=none >/dev/udp/{far}/9
    done
done
ip neigh del {far} dev {device}
while [ ! -e {folder}/turn ]; do {client} >/dev/null 2>&1 || sleep 0.05; done
: >{folder}/turned
while [ ! -e {folder}/stop ]; do
    # iperf3 may end well although nobody served it, and says so in its report
    {client} -R -J >{folder}/taking 2>/dev/null && grep -q sum_received {folder}/taking &&
        mv {folder}/taking {folder}/taken || sleep 0.05
done
poweroff -f
"""
_CLIENT = f"iperf3 -c {FAR} --connect-timeout 500 -t {{seconds}}"


def available() -> bool:
    return shutil.which(KERNEL) is not None


def next_to_guest(lab: Topology, cases: Sequence[Case]) -> tuple[list[Figure], list[Stream]]:
    """The packets of each length that a guest sends, and iperf3's stream where that program is there.

    The cases are of one sample, each of another length.
    """
    name, effort = cases[0].name, cases[0].effort
    lengths = [case.length for case in cases]
    ours: dict[int, list[Cost]] = {length: [] for length in lengths}
    theirs: dict[int, list[Cost]] = {length: [] for length in lengths}
    our_bits, their_bits = [], []
    streams = shutil.which("iperf3") is not None
    for _ in range(effort.slow_runs):
        with single(lab, name) as wire:
            for case in cases:
                ours[case.length].append(measure.transmitted(case, wire))
        if streams:
            with single(lab, name) as wire, _namespace_in_its_place(wire, effort), far_stack(wire):
                our_bits.append(served())
        with single(lab, name) as wire:
            wire.near.close()
            with booted(wire, lengths, effort) as (process, folder):
                for length in lengths:
                    theirs[length].append(counted(wire.far, length, process, effort.seconds / 2))
                    (folder / str(length)).touch()
                if streams:
                    with far_stack(wire):
                        their_bits.append(served())
    figures = [case.figure("transmit", GUEST, ours[case.length], theirs[case.length]) for case in cases]
    return figures, [Stream(name, "iperf3", GUEST, tuple(our_bits), tuple(their_bits))] if streams else []


@contextmanager
def booted(
    wire: Wire,
    lengths: Sequence[int],
    effort: Effort,
    kernel: str = KERNEL,
    processors: Collection[int] = place.NEAR_PROCESSOR,
) -> Iterator[tuple[int, Path]]:
    """A guest on the near string: its first process, and the folder of its signals.

    It sends packets of each length until there is a file of that name; then it sends streams. From a file `turn` on,
    which it answers by `turned`, it receives them, and leaves iperf3's report of each as `taken`.
    """
    device = wire.near.device
    inherited = device.transport.inherits()
    with brief_tree() as (folder, _):
        init = Path(folder, "init")
        init.write_text(
            _INIT.format(
                device=device.ifname,
                near=NEAR,
                far=FAR,
                folder=folder,
                headers=_HEADERS,
                lengths=" ".join(map(str, lengths)),
                client=_CLIENT.format(seconds=max(1, round(effort.seconds))),
            )
        )
        init.chmod(0o755)
        command = [
            *place.ENDING_ALL,
            kernel,
            "mem=128M",
            "root=/dev/root",
            "rootfstype=hostfs",
            "hostfs=/",
            "rw",
            "init_on_alloc=1",
        ]
        with place.on(set(processors)):
            guest = subprocess.Popen(
                [*command, f"init={init}", "con=null", "con0=null,null", str(device)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"TMPDIR": folder, "HOME": folder},
                pass_fds=[] if inherited is None else [inherited],
                start_new_session=True,
            )
        try:
            yield guest.pid, Path(folder)
            for signal in (*map(str, lengths), "turn", "stop"):
                Path(folder, signal).touch()
            with suppress(subprocess.TimeoutExpired):
                guest.wait(10)
        finally:
            guest.kill()
            guest.wait()


def counted(port: Port, length: int, process: int, seconds: float) -> Cost:
    """What a packet costs, of those that arrive. Raises HostError where none does."""
    end = time.monotonic() + _PATIENCE
    while not any(len(frame) == length for frame in port.recv(timeout=1.0)):
        if time.monotonic() > end:
            raise HostError(f"a guest on {port.device.transport.name} sends nothing")
    count, processor, started = 0, _processor_time(process), time.perf_counter_ns()
    while (spent := time.perf_counter_ns() - started) < seconds * 1e9:
        count += sum(len(frame) == length for frame in port.recv(timeout=0.2, copy=False))
    return Cost(spent / max(count, 1), (_processor_time(process) - processor) / max(count, 1))


def _processor_time(process: int) -> float:
    """Nanoseconds that a process and all below it have run, those included that have ended. Source: proc(5)."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid] = int(fields[1])
            ticks[pid] = sum(map(int, fields[11:15]))  # utime, stime, and the same of children that were waited for
    found = {process}
    while below := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= below
    return sum(ticks.get(pid, 0) for pid in found) * _TICK


@contextmanager
def _namespace_in_its_place(wire: Wire, effort: Effort) -> Iterator[None]:
    """A namespace whose tap is forwarded to the near port, and an iperf3 in it that tries until it is served."""
    with place.namespace() as pid, place.on(place.NEAR_PROCESSOR), ExitStack() as stack:
        tap = stack.enter_context(place.port_on_interface("tap", pid, wire.subject.mtu))
        place.ip(f"addr add {NEAR}/24 dev eth0", pid)
        stack.enter_context(_forwarded(tap, wire.near))
        loop = f"until {_CLIENT.format(seconds=max(1, round(effort.seconds)))} >/dev/null 2>&1; do sleep 0.05; done"
        client = subprocess.Popen([*place.inside(pid), *place.ENDING_ALL, "sh", "-c", loop], start_new_session=True)
        stack.callback(client.wait)
        stack.callback(client.kill)
        yield


@contextmanager
def _forwarded(one: Port, other: Port) -> Iterator[None]:
    with forward(one, other), forward(other, one):
        yield


@contextmanager
def far_stack(
    wire: Wire, processors: Collection[int] = place.FAR_PROCESSOR, through: Between | None = None
) -> Iterator[None]:
    """The far end has an address: the host's interface, or a tap that the far port is joined to.

    `through` joins them, whatever the far end is; what is no interface is forwarded.
    """
    side = wire.subject.far
    with place.on(set(processors)), ExitStack() as stack:
        ifname = side.ifname
        if side.is_host and through is None:
            wire.far.close()
        else:
            ifname = "bench-far"
            place.ip(f"tuntap add {ifname} mode tap vnet_hdr")
            stack.callback(place.ip, f"link del {ifname}")
            place.ip(f"link set {ifname} up mtu {wire.subject.mtu}")
            tap = stack.enter_context(open_port(f"vec0:transport=tap,ifname={ifname},gro=1,depth=128"))
            stack.enter_context((through or _forwarded)(tap, wire.far))
        place.ip(f"addr add {FAR}/24 dev {ifname}")
        stack.callback(place.ip, f"addr del {FAR}/24 dev {ifname}")
        yield


def served(processors: Collection[int] = place.FAR_PROCESSOR) -> float:
    """Bits a second that iperf3's server got from one client; of a stream to the client 0, which has the figure."""
    with place.on(set(processors)):
        server = subprocess.Popen([*place.ENDING, "iperf3", "-s", "-1", "-J"], stdout=subprocess.PIPE, text=True)
    try:
        answer, _ = server.communicate(timeout=_PATIENCE)
        return received_bits(answer)
    except subprocess.TimeoutExpired:
        raise HostError("no stream came to iperf3") from None
    finally:
        server.kill()
        server.wait()


def both_ways(folder: Path, processors: Collection[int] = place.FAR_PROCESSOR) -> tuple[float, float]:
    """Bits a second that arrive of what a booted guest sends, and of what it takes in after that."""
    sent = served(processors)
    (folder / "turn").touch()
    await_file(folder / "turned", "ends no stream")
    served(processors)
    await_file(folder / "taken", "takes no stream in")
    return sent, received_bits((folder / "taken").read_text())


def received_bits(report: str) -> float:
    """Bits a second that arrived, by iperf3's report."""
    try:
        told = json.loads(report)
        if "error" in told:
            raise HostError(f"iperf3 says: {told['error']}")
        return float(told["end"]["sum_received"]["bits_per_second"])
    except (ValueError, KeyError, TypeError):
        raise HostError("no stream came to iperf3") from None


def await_file(file: Path, what: str) -> None:
    """Wait until a guest has made a file. Raises HostError, which says that the guest did not do `what`."""
    end = time.monotonic() + _TURN
    while not file.exists():
        if time.monotonic() > end:
            raise HostError(f"the guest {what}")
        time.sleep(0.01)
