"""Making wires, and starting: vecnet's commands next to others for the same, processes that take turns.

::

    a network namespace:  v0 ══ p-v0   v1 ══ p-v1   …   raw's veth pairs, made and removed by either in each turn

`ip` gets the very settings that `up` gives: names, addresses, MTU, group, aliases, no address of IPv6 at a guest's end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vecnet import topology
from vecnet.bench import place
from vecnet.bench.figures import Effort, Spent, Task
from vecnet.errors import HostError
from vecnet.host import mark
from vecnet.kernel.brief_folder import brief_tree

TRANSPORT = "raw"  # whose links are made
_NAME = "bench-making"
_VECNET = (sys.executable, "-c", "from vecnet.__main__ import main; main()")  # as the installed command does
_YAML = "import sys, yaml; yaml.load(open(sys.argv[1]), getattr(yaml, 'CSafeLoader', yaml.SafeLoader))"
_FEW = 4  # links of a small file
_SETTLED_WITHIN = 60.0  # seconds
_SAMPLE = (
    64  # deletions that stand for all. Half of the links are gone by then: a deletion takes longer the more there are
)
PAIRS = (
    ("up", "ip -batch"),
    ("up", "ip -batch in stages"),
    ("second up", "ip -j -d link"),
    ("down", "ip link del, each"),
    ("down", "ip -batch, link del each"),
    ("down", "ip link del group"),
    ("args", "yaml.load"),
)

# From a small process, since the kernel counts the memory of what a process was before it became another program.
_TIMER = """
import os, sys, time
started = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent), 0)
print(time.perf_counter() - started, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


@dataclass(frozen=True)
class Links:
    """A topology's file, and what `ip` is to be told for the same: `make` is commands of each link, in stages."""

    count: int
    file: Path
    names: tuple[str, ...]
    make: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, folder: Path, count: int) -> Links:
        file = folder / f"{count}.yaml"
        lines = [
            f"  - {{transport: {TRANSPORT}, endpoints: ['g{number}:vec0', 'host:v{number}']}}"
            for number in range(count)
        ]
        file.write_text(f"name: {_NAME}\nlinks:\n" + "\n".join(lines) + "\n")
        interfaces = topology.load(file).interfaces
        make = []
        for one in interfaces:
            assert one.peer is not None
            peer, group = one.peer.ifname, mark.group(_NAME)
            make.append(
                (
                    f"link add name {one.ifname} mtu {one.mtu} address {one.mac} group {group} type veth "
                    f"peer name {peer} mtu {one.mtu} address {one.peer.mac} group {group}",
                    f'link set {peer} alias "{mark.Mark(_NAME, one.link, peer=True)}" addrgenmode none',
                    f'link set {one.ifname} alias "{mark.Mark(_NAME, one.link)}" up',
                    f"link set {peer} up",
                )
            )
        return cls(count, file, tuple(one.ifname for one in interfaces), tuple(make))


def wires_made(effort: Effort) -> Iterator[Task]:
    """Links made and removed, in all of `effort.links`' numbers; then what starting takes."""
    with brief_tree() as (name, _), place.namespace() as pid, place.entered(pid):
        folder = Path(name)
        few = Links.of(folder, _FEW)
        turn(few, folder)  # byte code is written, caches warm up
        for count in effort.links:
            links = Links.of(folder, count)
            turns = [turn(links, folder) for _ in range(effort.slow_runs)]
            for what, reference in PAIRS:
                ours, theirs = (tuple(one[key] for one in turns) for key in (what, reference))
                yield Task(what, reference, count, ours, theirs)
        yield from _starts(few, folder, effort)


def turn(links: Links, folder: Path) -> dict[str, Spent]:
    """Everything once: what each of the commands in `PAIRS` takes."""
    spent: dict[str, Spent] = {}

    def timed(what: str, *command: str | Path) -> None:
        spent[what] = _timed(folder, *command)

    def batch(what: str, lines: Sequence[str]) -> None:
        file = folder / "batch"
        file.write_text("\n".join(lines) + "\n")
        timed(what, "ip", "-batch", file)

    timed("args", *_VECNET, "args", links.file)
    timed("yaml.load", sys.executable, "-c", _YAML, links.file)
    timed("up", *_VECNET, "up", links.file)
    _settle()
    timed("ip -j -d link", "ip", "-j", "-d", "link")
    timed("second up", *_VECNET, "up", links.file)
    timed("down", *_VECNET, "down", _NAME)
    batch("ip -batch", [line for link in links.make for line in link])
    _settle()
    half = len(links.names) // 2
    batch("", [f"link set {name} group 1" for name in links.names[:half]])
    timed("", "ip", "link", "del", "group", "1")
    by_hand, by_batch = links.names[half::2][:_SAMPLE], links.names[half + 1 :: 2][:_SAMPLE]
    timed("ip link del, each", "sh", "-ec", 'for name; do ip link del "$name"; done', "sh", *by_hand)
    batch("ip -batch, link del each", [f"link del {name}" for name in by_batch])
    for what, names in (("ip link del, each", by_hand), ("ip -batch, link del each", by_batch)):
        spent[what] = Spent(spent[what].seconds * links.count / max(len(names), 1), spent[what].kilobytes)
    timed("", *_VECNET, "down", _NAME)
    batch("ip -batch in stages", [line for stage in zip(*links.make, strict=True) for line in stage])
    _settle()
    timed("ip link del group", "ip", "link", "del", "group", str(mark.group(_NAME)))
    return spent


def _starts(links: Links, folder: Path, effort: Effort) -> Iterator[Task]:
    for what, words in (("--version", ("--version",)), ("args", ("args", links.file))):
        ours, theirs = [], []
        for _ in range(effort.runs):
            ours.append(_timed(folder, *_VECNET, *words))
            theirs.append(_timed(folder, sys.executable, "-c", "import yaml"))
        yield Task(what, "import yaml", links.count, tuple(ours), tuple(theirs))


def _timed(folder: Path, *command: str | Path) -> Spent:
    """What a command takes, its byte code being read and not compiled. Raises HostError where it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "byte-code")
    timer = [sys.executable, "-I", "-S", "-c", _TIMER]
    done = subprocess.run([*timer, *command], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise HostError(f"{' '.join(map(str, command[:4]))} …: {done.stderr.strip()}")
    seconds, kilobytes = done.stdout.split()
    return Spent(float(seconds), int(kilobytes))


def _settle() -> None:
    """Wait until IPv6 has tried the addresses of new interfaces, which the kernel does in the background."""
    until = time.monotonic() + _SETTLED_WITHIN
    show = ["ip", "-6", "-o", "addr", "show", "tentative"]
    while left := subprocess.run(show, capture_output=True, check=True, text=True).stdout:
        if time.monotonic() > until:
            raise HostError(f"after {_SETTLED_WITHIN:.0f} s IPv6 addresses are still tentative: {left.splitlines()[0]}")
        time.sleep(0.1)
