"""Processes that have opened an interface which is gone, be there another of its name by now.

The kernel takes a tap or a packet socket from an interface that is deleted, and gives it to no other of that name.
Nothing tells the process, whose guest sends into the void until it opens the interface again.

Source: drivers/net/tun.c, tun_chr_show_fdinfo; net/packet/af_packet.c, packet_notifier; proc_net(5), packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vecnet.records import record

_GONE = -1  # the interface of a packet socket whose interface was deleted


@record(frozen=True, slots=True)
class LeftBehind:
    """A process, by its number and name, with its command's words, that holds what was an interface's.

    `namespace` is its network namespace's inode; `taps` and `packets` are the interfaces that it holds beside, by name
    and by number.
    """

    pid: int
    name: str
    words: tuple[str, ...]
    namespace: int
    taps: frozenset[str]
    packets: frozenset[int]

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def left_behind(word: str) -> Iterator[LeftBehind]:
    """Those in whose command line `word` is, as far as they may be looked into; of those that share all, the first."""
    seen: set[tuple[object, ...]] = set()
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):  # it has ended, or is not ours to look into
            command = (process / "cmdline").read_bytes()
            if word.encode() not in command:
                continue
            taps, sockets = _held(process)
            packets = {index for index, inode in _packet_sockets(process) if inode in sockets}
            shared = (command, frozenset(sockets))
            if ("" in taps or _GONE in packets) and shared not in seen:
                seen.add(shared)
                yield LeftBehind(
                    int(process.name),
                    (process / "comm").read_text(errors="replace").strip(),
                    tuple(command.decode(errors="replace").split("\0")),
                    (process / "ns/net").stat().st_ino,
                    frozenset(taps - {""}),
                    frozenset(packets - {_GONE}),
                )


def _held(process: Path) -> tuple[set[str], set[int]]:
    """The taps that a process has open, "" for one that is gone; and the inodes of its sockets."""
    taps, sockets = set(), set()
    for fd in (process / "fd").iterdir():
        with suppress(OSError):
            target = str(fd.readlink())
            if target.startswith("socket:["):
                sockets.add(int(target[8:-1]))
            elif target == "/dev/net/tun":
                lines = (process / "fdinfo" / fd.name).read_text().splitlines()
                taps |= {line[4:].strip() for line in lines if line.startswith("iff:")}
    return taps, sockets


def _packet_sockets(process: Path) -> Iterator[tuple[int, int]]:
    """The interface's number and the inode of each packet socket in a process's network namespace."""
    for line in (process / "net/packet").read_text().splitlines()[1:]:
        words = line.split()
        yield int(words[4]), int(words[8])
