"""hybrid: a tap to send and a packet socket to receive; its options are tap's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transports.tables import (
    FALLBACK,
    IGNORED,
    REFUSED,
    Misread,
    check_mirror,
    check_misread,
    check_same,
    check_wrong,
)
from tests.transports.test_tap import SAME, WRONG
from vecnet import Hybrid, Tap
from vecnet.options import Severity

MISREAD: Misread = [
    ("", REFUSED, "needs ifname: opening the device fails: Invalid argument", None),
    ("ifname=sixteen-bytes-xy", FALLBACK, "takes it for sixteen-bytes-x; shorten it", "ifname=sixteen-bytes-x"),
    ("ifname=tap0,bpffile=x", IGNORED, "hybrid knows no such option, but raw does: it is ignored", "ifname=tap0"),
]


@pytest.mark.parametrize("text", SAME)
def test_the_string_and_the_object(text: str) -> None:
    check_same(f"vec0:transport=hybrid,{text}", Hybrid(**SAME[text]))


@pytest.mark.parametrize("case", MISREAD, ids=lambda case: case[0])
def test_what_a_guest_misreads(case: tuple[str, Severity, str, str | None]) -> None:
    check_misread("vec0:transport=hybrid,", *case)


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    check_wrong(Hybrid, options, message)


def test_it_is_no_tap() -> None:
    assert Hybrid(ifname="tap0") != Tap(ifname="tap0")
    check_mirror("vec0:transport=hybrid,ifname=tap0", "vec0:transport=hybrid,ifname=tap0")
    assert Hybrid(ifname="tap0").overhead == 0
    assert Hybrid(ifname="tap0").header_size == 10  # struct virtio_net_hdr
