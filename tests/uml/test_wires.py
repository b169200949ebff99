"""Wires of every kind between real guests, and from a guest to the host: one `vecnet up`, its strings, pings.

    guest a0 ── vec0 … vec17 ══ gre, l2tpv3, raw ══ vec0 … vec17 ── guest b0     a1 ══ b1     a2 ══ b2     …
       └── tap, hybrid, raw ── the host

All guests boot at once, each from the lines that `vecnet up` printed, unedited. Each test asks about one wire.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.need import need_command
from tests.uml.guest import Kernel, Report, Wiring
from tests.uml.wires import WIRES, Place, Wire, topology
from vecnet.vecstring import parse

pytestmark = pytest.mark.uml

VECNET = (sys.executable, "-m", "vecnet")

CHECK = """
full_size() {  # full_size vecN ADDRESS: two pings as large as the device's MTU, in one piece
    read mtu <"/sys/class/net/$1/mtu"; echo "$1.mtu=$mtu"
    ping -q -n -c 2 -i 0.01 -W 5 -M do -s $((mtu - 28)) "$2"; echo "$1.ping=$?"
}
"""


@dataclass(frozen=True)
class Lab:
    """What all of it came to."""

    places: dict[str, Place]
    strings: dict[str, list[str]]
    reports: dict[str, Report]
    left: str  # what `vecnet down` left


@pytest.fixture(scope="module")
def lab(kernel: Kernel) -> Lab:
    need_command("ping", "ethtool")
    text, places = topology(WIRES)
    with Wiring(kernel) as wiring:
        file = wiring.folder / "wires.yaml"
        file.write_text(text)
        before = wiring.run("ip", "address").stdout
        strings: dict[str, list[str]] = {}
        for line in wiring.run(*VECNET, "up", file).stdout.splitlines():
            guest, _, string = line.partition("\t")
            strings.setdefault(guest, []).append(string)
        guests = {name: wiring.boot(strings[name], script(name, places), name=name) for name in strings}
        with ExitStack() as waiting:  # a raw socket that is not bound yet hears all: nobody sends until all are open
            for booted in guests.values():
                waiting.enter_context(booted.at("up"))
        reports = {name: guest.wait() for name, guest in guests.items()}
        wiring.run(*VECNET, "down", file)
        left = wiring.run("ip", "address").stdout
    return Lab(places, strings, reports, left.replace(before, ""))


def script(guest: str, places: dict[str, Place]) -> str:
    """Bring every device up; when all guests have, let a ping b, and when it is done, look what was refused."""
    mine = [place for place in places.values() if guest in (place.guest, place.peer)]
    here = 1 if guest.startswith("a") else 2
    other = guest.translate(str.maketrans("ab", "ba"))
    batch = [f"link set {p.vec} up\naddress add {p.address[:-1]}{here}/24 dev {p.vec}" for p in mine]
    lines = [CHECK, "ip -batch - <<END", *batch, "END", "meet up host"]
    lines += [f"full_size {p.vec} {p.address}" for p in mine if guest == p.guest]
    return "\n".join([*lines, f"meet done {other}", f"refused {' '.join(p.vec for p in mine)}"])


@pytest.mark.parametrize("wire", WIRES, ids=str)
def test_a_wire_carries_packets(lab: Lab, wire: Wire) -> None:
    place = lab.places[wire.name]
    report = lab.reports[place.guest]
    assert report.status == 0, report
    string = next(s for s in lab.strings[place.guest] if s.startswith(f"{place.vec}:"))
    mtu = parse(string).transport.mtu
    found = {key: report.values.get(f"{place.vec}.{key}") for key in ("mtu", "ping", "refused")}
    assert found == {"mtu": str(mtu), "ping": "0", "refused": "0"}, report
    if place.peer != "host":
        assert lab.reports[place.peer].values[f"{place.vec}.refused"] == "0", lab.reports[place.peer]


def test_down_leaves_nothing(lab: Lab) -> None:
    assert lab.left == ""
