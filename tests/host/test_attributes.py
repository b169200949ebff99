"""Attributes of netlink messages, read by layouts that are remembered: as by going from one to the next."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from vecnet.kernel import netlink

KINDS = st.sampled_from([1, 2, 3, 0x8002])  # with NLA_F_NESTED
PARTS = st.tuples(st.sampled_from([0, 1, 3, 4, 5, 6, 8, 9, 40]), KINDS, st.binary(max_size=6))


def bytes_of(parts: list[tuple[int, int, bytes]]) -> bytes:
    """Attributes, of which some tell a length that is not theirs."""
    return b"".join(struct.pack("=HH", length, kind) + rest for length, kind, rest in parts)


def one_by_one(data: memoryview, wanted: frozenset[int]) -> dict[int, bytes]:
    return {kind: bytes(value) for kind, value in netlink.every(data) if kind in wanted}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(PARTS, max_size=4), max_size=4), st.frozensets(st.sampled_from([1, 2, 3]), max_size=2))
def test_a_layout_is_taken_for_no_other(messages: list[list[tuple[int, int, bytes]]], wanted: frozenset[int]) -> None:
    for parts in messages:
        data = memoryview(bytes_of(parts))
        read = netlink.attributes(data, wanted)
        assert {kind: bytes(value) for kind, value in read.items()} == one_by_one(data, wanted)


def test_a_length_that_ends_the_attributes_is_looked_at_again() -> None:
    first = struct.pack("=HHIHHI", 8, 1, 7, 0, 2, 7)
    second = struct.pack("=HHIHHI", 8, 1, 7, 8, 2, 7)
    assert [len(netlink.attributes(memoryview(data), frozenset((1, 2)))) for data in (first, second)] == [1, 2]
