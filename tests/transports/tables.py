"""How a transport's tables are read: each line of a table is one test.

SAME      strings in their canonical form, with the transport that each stands for: proved in both directions
MISREAD   strings that no guest takes as they are meant: how bad, what is said of it, and the mended string (or None
          where what was meant cannot be told)
WRONG     options that the constructor refuses, and what it says
MIRRORED  strings with those of the other end
OVERHEAD  strings with the bytes by which an outer packet is larger
HEADER    strings with the bytes before the frame
"""

from __future__ import annotations

from typing import Any

import pytest

from vecnet.errors import VecStringError
from vecnet.options import Severity
from vecnet.transports import Transport
from vecnet.vecstring import VecDevice, explain, parse

# what all transports take, and what they make of mistakes in it
COMMON_SAME: dict[str, dict[str, Any]] = {
    "": {},
    ",depth=1": {"depth": 1},
    ",depth=1024": {"depth": 1024},
    ",gro=1": {"gro": True},
    ",mtu=576": {"mtu": 576},
    ",mtu=65521": {"mtu": 65521},
    ",headroom=0": {"headroom": 0},
    ",headroom=4096": {"headroom": 4096},
    ",vec=0": {"vec": False},
    ",depth=128,gro=1,mtu=9000,headroom=64,vec=0": {
        "depth": 128,
        "gro": True,
        "mtu": 9000,
        "headroom": 64,
        "vec": False,
    },
}
TUNNEL_SAME = {text: options for text, options in COMMON_SAME.items() if "vec" not in options}
COMMON_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"depth": 0}, "depth: '0' is not a whole number from 1 to 1024"),
    ({"depth": 1025}, "depth: '1025' is not a whole number from 1 to 1024"),
    ({"depth": True}, "depth: 'True' is not a whole number"),
    ({"mtu": 575}, "mtu: '575' is not a whole number from 576 to 65521"),
    ({"mtu": 65522}, "mtu: '65522' is not a whole number from 576 to 65521"),
    ({"headroom": -1}, "headroom: '-1' is not a whole number from 0 to 4096"),
    ({"headroom": 4097}, "headroom: '4097' is not a whole number from 0 to 4096"),
    ({"gro": 2}, "gro: '2' is not on or off"),
    ({"vec": "maybe"}, "vec: 'maybe' is not on or off"),
    ({"mac": "33:33:00:00:00:01"}, "mac: 33:33:00:00:00:01 is a multicast address; clear the lowest bit of its first"),
    ({"mac": "00:00:00:00:00:00"}, "is not a unicast MAC address such as 02:00:00:00:00:01"),
    ({"mac": "02:00:00:00:01"}, "is not a unicast MAC address"),
    ({"mac": "02-00-00-00-00-01"}, "is not a unicast MAC address"),
    ({"mac": ""}, "mac: the value is empty"),
]

NOTE, IGNORED, FALLBACK, DROPS, REFUSED, PANIC = list(Severity)[1:]
Misread = list[tuple[str, Severity, str, str | None]]
Wrong = list[tuple[dict[str, Any], str]]


def check_same(text: str, transport: Transport) -> None:
    """`text` is canonical, and stands for `transport`."""
    device = VecDevice(0, transport)
    assert str(device) == text
    assert parse(text) == device
    explanation = explain(text)
    assert explanation.as_meant
    assert all(token.effect.severity is Severity.OK for token in explanation.tokens)


def check_misread(beginning: str, text: str, severity: Severity, message: str, mended: str | None) -> None:
    """The string fares as badly as `severity`, a sentence about that holds `message`, and it is mended to `mended`."""
    explanation = explain(beginning + text)
    effects = [*(token.effect for token in explanation.tokens), *explanation.effects]
    said = [f"{effect.message}; {effect.instead}" for effect in effects if effect.severity == severity]
    assert explanation.severity == severity, effects
    assert any(message in sentence for sentence in said), said
    assert explanation.mended == (mended and beginning + mended)
    if severity > Severity.NOTE:
        with pytest.raises(VecStringError) as caught:
            parse(beginning + text)
        assert message in str(caught.value)


def check_wrong(kind: type[Transport], options: dict[str, Any], message: str) -> None:
    with pytest.raises(VecStringError) as caught:
        kind(**options)
    assert message in str(caught.value)


def check_mirror(text: str, other: str) -> None:
    """The two strings are the ends of one wire, whichever is asked for the other."""
    assert str(parse(text).mirror()) == other
    assert str(parse(other).mirror()) == text
    assert parse(text).overhead == parse(other).overhead


def check_overhead(text: str, overhead: int) -> None:
    """Every outer packet is larger by `overhead` bytes, at both ends."""
    device = parse(text)
    assert device.overhead == device.transport.overhead == overhead
    assert device.mirror().overhead == overhead


def check_header(text: str, size: int) -> None:
    """There are `size` bytes before each frame, at both ends."""
    device = parse(text)
    assert device.transport.header_size == device.mirror().transport.header_size == size
