"""What Python and C share: sizes, counters and numbered frames."""

from __future__ import annotations

import pytest
from vecnet._native import lib

from tests.datapath.wires import MAC_A, MAC_B, frame
from vecnet.datapath import native
from vecnet.datapath.native import Numbering
from vecnet.errors import PortError
from vecnet.transports.base import ETHERNET_HEADER, MAX_DEPTH, VNET_HEADER

SIZES = (34, 35, 59, 60, 74, 1514, 65550)


def test_sizes_are_the_same_on_both_sides() -> None:
    c = (lib.VN_ETHERNET, lib.VN_VNET, lib.VN_DEPTH, lib.VN_LARGE)
    assert c == (ETHERNET_HEADER, VNET_HEADER, MAX_DEPTH, 0xFFFF + 1 + ETHERNET_HEADER)


def test_every_counter_has_a_name_and_a_meaning_of_its_own() -> None:
    meanings = native.counter_meanings()
    assert len(meanings) == lib.VN_COUNTERS
    assert all(name.startswith(("rx_", "tx_")) and meaning for name, meaning in meanings.items())
    drops = [meaning for name, meaning in meanings.items() if "_drop_" in name]
    assert len(set(drops)) == len(drops) >= 16


@pytest.mark.parametrize("length", SIZES)
def test_a_numbered_frame_is_whole_for_itself(length: int) -> None:
    for number in (0, 1, 5, 63, 64, 2**32, 2**64 - 1):
        frames = Numbering(MAC_A, MAC_B, 0xFFFFFFFF)
        made = frames.make(number, length)
        assert (len(made), made[:12], made[12:14]) == (length, MAC_A + MAC_B, b"\x88\xb5")
        assert frames.judge(made) == (number, True)


def test_every_changed_bit_of_a_numbered_frame_is_seen() -> None:
    frames = Numbering(MAC_A, MAC_B, 7)
    for number in range(6):  # each kind of content
        made = frames.make(number, 100)
        for at in range(100):
            changed = bytearray(made)
            changed[at] ^= 0x10
            found = frames.judge(bytes(changed))
            assert found is None if 12 <= at < 20 else found and not found[1]  # of no stream, or of another one
        for other in (made[:-1], made + b"\0"):
            assert frames.judge(other) == (number, False)


def test_contents_are_of_six_kinds_and_follow_from_the_number() -> None:
    frames = Numbering(MAC_A, MAC_B, 1)
    contents = [frames.make(number, 134)[34:] for number in range(64)]
    again = frames.make(64, 134)[34:]
    assert again == contents[0]
    assert contents[2] == contents[8] == bytes(100)
    assert contents[3] == b"\xff" * 100
    assert contents[4] == b"\xaa\x55" * 50
    assert contents[5][:20] == contents[11][:20] == bytes.fromhex("4500005400004000400100000a0000010a000002")
    assert len(set(contents[0::6])) == 11  # noise
    assert contents[1] != contents[7] == bytes((56 + i) % 256 for i in range(100))


def test_other_frames_are_no_numbered_ones() -> None:
    frames = Numbering(MAC_A, MAC_B, 1)
    made = frames.make(1, 60)
    for other in (b"", made[:33], frame(1), bytes(60), b"\xff" * 2000, Numbering(MAC_A, MAC_B, 2).make(1, 60)):
        assert frames.judge(other) is None


@pytest.mark.parametrize("length", [-1, 0, 33, 65551])
def test_a_length_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(PortError):
        Numbering(MAC_A, MAC_B, 1).make(1, length)
