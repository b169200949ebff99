"""Who has an IP socket, asked of the kernel: UDP's by their port, raw ones by their protocol.

Source: proc_net(5), udp and raw; net/ipv4/udp.c, udp4_seq_show; proc_pid_fd(5).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def holder(protocol: int, local: str, number: int) -> str:
    """The process in this network namespace that receives there, `linux.uml (process 17)`; "" where there is none.

    `number` is UDP's port; of any other protocol it is not looked at. Raises ValueError for what is no address.
    """
    wanted = ipaddress.ip_address(local)
    udp = protocol == socket.IPPROTO_UDP
    table = ("udp" if udp else "raw") + ("6" if wanted.version == 6 else "")
    for address, at, inode in _sockets(Path(f"/proc/thread-self/net/{table}")):
        if address == wanted and at == (number if udp else protocol):
            return _process(inode)
    return ""


def _sockets(table: Path) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int, int]]:
    """Address, port or protocol, and inode of each."""
    with suppress(OSError):  # a kernel without IPv6
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            text, _, number = words[1].partition(":")
            raw = bytes.fromhex(text)
            packed = struct.pack(f">{len(raw) // 4}I", *struct.unpack(f"={len(raw) // 4}I", raw))
            yield ipaddress.ip_address(packed), int(number, 16), int(words[9])


def _process(inode: int) -> str:
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours to look into
            if any(str(fd.readlink()) == wanted for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "a process that cannot be looked into"
