"""The table of traps in the docs: each row is held against the tables of the generations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vecnet.guests import GENERATIONS
from vecnet.guests.kernel import of_version
from vecnet.legacy import explained, is_legacy
from vecnet.vecstring import explain

PAGE = (Path(__file__).parents[2] / "docs" / "traps.md").read_text()
GRE = "vec0:transport=gre,src=1.1.1.1,dst=1.1.1.2"
L2TP = "vec0:transport=l2tpv3,src=1.1.1.1,dst=1.1.1.2"
IP = f"{L2TP},rx_session=1,tx_session=2"
UDP = f"{IP},udp=1,srcport=7,dstport=9"
STRINGS = {  # what the first cell stands for
    "`rx_session=0xffffffff`": [f"{L2TP},rx_session=0xffffffff,tx_session=5"],
    "`rx_key=5` alone, `rx_cookie=5` alone": [f"{GRE},rx_key=5", f"{IP},rx_cookie=5"],
    "`tx_key=0xffffffff`": [f"{GRE},rx_key=5,tx_key=0xffffffff"],
    "`rx_key=0xffffffff`": [f"{GRE},rx_key=0xffffffff,tx_key=5"],
    "`vec=0` with gre or l2tpv3": [f"{GRE},vec=0", f"{UDP},vec=0"],
    "`udp=0x1`": [UDP.replace("udp=1", "udp=0x1")],
    "`depth=0x80`": ["vec0:transport=fd,fd=3,depth=0x80"],
    "`src_port=7`": [UDP.replace("srcport", "src_port")],
    "`udp=1` without `srcport`": [UDP.replace(",srcport=7", "")],
    "IPv6 addresses without `v6=1`": ["vec0:transport=gre,src=::1,dst=::2"],
    "`mac=2:0:0:0:0:1`": ["vec0:transport=fd,fd=3,mac=2:0:0:0:0:1"],
    "a name of 16 bytes": ["vec0:transport=tap,gro=1,ifname=abcdefghijklmnop"],
    "`transport=vde`": ["vec0:transport=vde,vnl=slirp://"],
    "`eth0=tuntap,tap0`": ["eth0=tuntap,tap0"],
    "l2tpv3 straight on IPv4": [IP],
    "gre with keys, without `sequence`": [f"{GRE},rx_key=1,tx_key=2"],
}
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (all|noted|[\d., ]+) \|$", PAGE, re.MULTILINE)


def test_every_row_is_held() -> None:
    assert [row[0] for row in ROWS] == list(STRINGS)


@pytest.mark.parametrize(("written", "becomes", "on"), ROWS)
def test_a_row(written: str, becomes: str, on: str) -> None:
    for text in STRINGS[written]:
        bad = []
        for guest in GENERATIONS:
            legacy = is_legacy(text)
            explanation = explained(text, of_version(str(guest))) if legacy else explain(text, str(guest))
            if not explanation.as_meant:
                bad.append(str(guest))
            if on == "noted":
                assert explanation.words == ("init_on_alloc=1",)
                assert "init_on_alloc=1" in becomes
            if "panic" in becomes and on == "all":
                assert str(explanation.severity) == "panic"
        assert bad == {"all": list(map(str, GENERATIONS)), "noted": []}.get(on, on.split(", ")), text
