"""Filters in pcap's language, as classic BPF that the kernel runs.

tcpdump compiles them: the bindings of libpcap on PyPI stand still or are of one person, and a compiler of one's own
would be another language. It takes names of hosts, too, for which it asks the resolver.

Source: pcap-filter(7); tcpdump(8), -ddd; kernel documentation, networking/filter.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from vecnet.errors import ProgramMissing, Refused
from vecnet.kernel import libc

_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: what to do, two jumps, a constant
_MOST = 4096  # instructions, BPF_MAXINSNS
_PATIENCE = 20.0  # seconds, of which a resolver may take some
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # a word at a fixed place, a jump, an end: linux/bpf_common.h
_IFINDEX, _NETWORK, _ALL = 0xFFFF_F008, 0xFFF0_0000, 0xFFFF_FFFF  # SKF_AD_OFF + SKF_AD_IFINDEX, SKF_NET_OFF; bytes
_LARGEST = 1 << 17  # bytes of a frame, and more


def compiled(expression: str) -> bytes:
    """The program for Ethernet frames that match, 8 bytes an instruction, as struct sock_filter has it.

    Raises Refused where it is no filter, and ProgramMissing.
    """
    import shutil  # which take a while to load
    import subprocess

    program = shutil.which("tcpdump")
    if program is None:
        raise ProgramMissing("a filter is compiled by tcpdump, which is not installed", "apt-get install tcpdump")
    if not expression.strip() or "\0" in expression:
        raise Refused(f"{expression!r} is no filter", _EXAMPLE)
    try:
        done = subprocess.run(
            [program, "-y", "EN10MB", "-ddd", "--", expression],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{expression!r} names a host whose address nobody tells", "write its address") from None
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["nothing"])[-1].removeprefix("tcpdump: ")
        raise Refused(f"{expression!r} is no filter: {why}", _EXAMPLE)
    instructions = [tuple(map(int, line.split())) for line in done.stdout.splitlines()[1:]]
    if len(instructions) > _MOST:
        raise Refused(
            f"{expression!r} comes to {len(instructions)} instructions, and a kernel takes {_MOST}", "say less"
        )
    return b"".join(_INSTRUCTION.pack(*one) for one in instructions)


def at_interface(index: int, between: Sequence[str] = ()) -> bytes:
    """The program for what crosses one interface; of two addresses, for IP packets that may well be between them.

    Source: linux/filter.h, the ancillary data; an address is told by its last four bytes.
    """
    tests = [(_IFINDEX, [index])]
    if between:
        packed = [ipaddress.ip_address(one).packed for one in between]
        last = [int.from_bytes(one[-4:], "big") for one in packed]
        tests += [(_NETWORK + at, last) for at in ((12, 16) if len(packed[0]) == 4 else (20, 36))]
    program: list[tuple[int, int, int, int]] = []
    refusal = sum(1 + len(values) for _, values in tests) + 1  # the number of the last instruction
    for at, values in tests:
        program.append((_LOAD, 0, 0, at))
        for left, value in zip(reversed(range(len(values))), values, strict=True):
            program.append((_EQUAL, left, 0 if left else refusal - len(program) - 1, value))
    program += [(_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]
    return b"".join(_INSTRUCTION.pack(*one) for one in program)


_EXAMPLE = "write such as 'ip and tcp port 80', see pcap-filter(7)"


class Filter:
    """A filter by which frames are judged one by one, by the kernel: a pair of sockets of which one has it."""

    def __init__(self, program: bytes) -> None:
        self._send, self._receive = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self._send, self._receive):
            end.setblocking(False)
        self._send.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
        libc.attach_filter(self._receive.fileno(), program)

    def passes(self, frame: bytes) -> bool:
        """Whether it matches, as far as a frame can be long."""
        self._send.send(frame[:_LARGEST])
        with suppress(BlockingIOError):
            self._receive.recv(1)
            return True
        return False

    def close(self) -> None:
        self._send.close()
        self._receive.close()
