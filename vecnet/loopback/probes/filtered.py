"""filter: what a guest's filter should let pass passes, and nothing else.

Frames of many kinds are sent, with the ports, addresses and types that the filter names and with others. The kernel
says of each whether it matches; what comes in at the guest's end, which reads the file that its string names, has to be
that. Where there is no filter, all have to come.

Source: RFC 791, 8200, 768, 9293, 826; IEEE 802.1Q.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress

from vecnet.host.filters import program
from vecnet.kernel.bpf import Filter
from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import drain
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed, Untested
from vecnet.loopback.wire import Wire

_BATCH = 16  # sent before they are looked for
_PATIENCE = 0.3  # seconds without a frame
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_ARP, _IP, _IPV6, _VLAN, _OTHER = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88B5
_PORT = 12345
_V4, _V6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")  # RFC 5737, RFC 3849
_MAC = "(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}"
_MOST = 3000  # frames


def filtered(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Both ways. Raises Failed, and Untested where no frame that is tried passes."""
    faults, passed, stopped = [], 0, 0
    ends = (wire.subject.far.name, wire.subject.near.name)
    filters = {one.endpoint: one for one in wire.subject.filters}
    for (words, sender, receiver, to, source), end in zip(wire.directions, ends, strict=True):
        one = filters.get(end)
        frames = list(itertools.islice(_frames(one.expression if one else "", to, source), _MOST))
        wanted = set(frames)
        if one is not None:
            with closing(Filter(program(one))) as kernel:
                wanted = {frame for frame in frames if kernel.passes(_untagged(frame))}
            if not wanted:
                raise Untested(f"none of {len(frames)} frames that were tried is one that {end} is to receive")
            passed, stopped = passed + len(wanted), stopped + len(frames) - len(wanted)
        drain(receiver)
        came: set[bytes] = set()
        for start in range(0, len(frames), _BATCH):
            sender.send(frames[start : start + _BATCH], timeout=1)
            due = time.monotonic() + _PATIENCE
            while wanted.intersection(frames[: start + _BATCH]) - came and time.monotonic() < due:
                came.update(receiver.recv(timeout=_PATIENCE))
        while late := receiver.recv(timeout=_PATIENCE):
            came.update(late)
        if lost := wanted - came:
            faults.append(f"{words}: {len(lost)} of {len(wanted)} frames that should pass did not come")
        if wrong := came.intersection(frames) - wanted:
            faults.append(f"{words}: {len(wrong)} of {len(frames) - len(wanted)} frames that should not pass came")
    if faults:
        raise Failed(Code.NOT_FILTERED, "; ".join(faults))
    return f"{passed} frames pass, {stopped} do not", {"passed": passed, "stopped": stopped}


def _untagged(frame: bytes) -> bytes:
    """As a filter sees it: the kernel takes a VLAN tag from a frame before, and whoever receives puts it back."""
    tagged = frame[12:14] == struct.pack("!H", _VLAN)
    return frame[:12] + frame[16:] if tagged else frame


def _frames(expression: str, to: bytes, source: bytes) -> Iterator[bytes]:
    """Frames of many kinds, each with a number of its own in its payload."""
    numbers = itertools.count()
    for head, kind, content in _contents(expression, to, source):
        mark = struct.pack("!I", next(numbers))
        yield (head + struct.pack("!H", kind) + content + mark).ljust(60, b"\0")


def _contents(expression: str, to: bytes, source: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    words = re.findall(r"[\w.:-]+", expression)
    named = [number for word in words if (number := _number(word)) is not None]
    ports = list(dict.fromkeys([*(number for number in named if 0 < number < 65536), _PORT]))[:6]
    types = dict.fromkeys([_OTHER, *(number for number in named if 0x600 <= number < 65536)])
    macs = [bytes.fromhex(word.replace(":", "")) for word in words if re.fullmatch(_MAC, word)]
    addresses = [address for word in words if (address := _address(word)) is not None]
    v4 = [*_V4, *(str(one) for one in addresses if one.version == 4)][:4]
    v6 = [*_V6, *(str(one) for one in addresses if one.version == 6)][:4]
    plain = to + source
    yield from ((plain, kind, b"") for kind in types)
    for mac in (b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01", *macs):
        yield mac + source, _OTHER, b""
        yield to + mac, _OTHER, b""
    for here, there in itertools.permutations(v4, 2):
        pair = socket.inet_aton(here) + socket.inet_aton(there)
        yield plain, _ARP, struct.pack("!HHBBH", 1, _IP, 6, 4, 1) + source + pair[:4] + bytes(6) + pair[4:]
        for protocol, content in _transports(ports, _ICMP):
            whole = struct.pack("!BBHHHBBH", 0x45, 0, 24 + len(content), 0, 0, 64, protocol, 0) + pair + content
            yield plain, _IP, whole
            yield plain, _VLAN, struct.pack("!HH", ports[0] & 0xFFF, _IP) + whole
    for here, there in itertools.permutations(v6, 2):
        pair = socket.inet_pton(socket.AF_INET6, here) + socket.inet_pton(socket.AF_INET6, there)
        for protocol, content in _transports(ports, _ICMPV6):
            yield plain, _IPV6, struct.pack("!IHBB", 6 << 28, 4 + len(content), protocol, 64) + pair + content


def _transports(ports: list[int], icmp: int) -> Iterator[tuple[int, bytes]]:
    for sender, receiver in itertools.product(ports, [*ports, _PORT + 1]):
        for flags in (0x02, 0x10):  # SYN, ACK
            yield _TCP, struct.pack("!HHIIBBHHH", sender, receiver, 0, 0, 0x50, flags, 1024, 0, 0)
        yield _UDP, struct.pack("!HHHH", sender, receiver, 12, 0)
    yield icmp, struct.pack("!BBHHH", 8 if icmp == _ICMP else 128, 0, 0, 1, 1)  # an echo request


def _number(word: str) -> int | None:
    """A number, or the port of a service that goes by this name."""
    with suppress(ValueError):
        return int(word, 0)
    with suppress(OSError, OverflowError):
        return socket.getservbyname(word)
    return None


def _address(word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(word)
    return None
