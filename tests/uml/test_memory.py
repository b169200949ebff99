"""The driver's memory is not cleared: what an option that is left out reads then, and what keeps it off.

    guest a0 ── vec0 … ══ gre, l2tpv3, raw ══ vec0 … ── guest b0       tap, hybrid ── the host

SLUB's poison makes it certain, and nothing clears such memory. What no poison is in, the kernel clears when it is told
to by a word of its command line: there, one device's memory is given to another.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.need import need_command
from tests.uml.guest import CLEAR, Kernel, Report, Wiring
from tests.uml.wires import Place, Wire, topology

pytestmark = [pytest.mark.uml, pytest.mark.unsanitized]

REFUSES = Wire("l2tpv3-ip-v4", "l2tpv3", {"encap": "ip"}, outer="v4")  # udp reads true
OVERWRITES = Wire("gre-keys", "gre", {"key": True}, outer="v4")  # sequence reads true
PINS = Wire("gre-sequence", "gre", {"sequence": True}, outer="v4")  # pin_sequence reads true
SOUND = [
    Wire("tap", "tap", host="tap"),
    Wire("hybrid", "hybrid", host="hybrid"),
    Wire("raw", "raw"),
    Wire("gre", "gre", outer="v4"),
    Wire("gre-keys-and-sequence", "gre", {"key": True, "sequence": True}, outer="v4"),
    Wire("gre-v6", "gre", outer="v6"),
    Wire("l2tpv3-udp", "l2tpv3", {"encap": "udp", "cookie": 64, "counter": True}, outer="v4"),
    Wire("l2tpv3-udp-v6", "l2tpv3", {"encap": "udp"}, outer="v6"),
    Wire("l2tpv3-ip-v6", "l2tpv3", {"encap": "ip", "cookie": 32, "counter": True}, outer="v6"),
]
POISONED = [REFUSES, OVERWRITES, PINS, *SOUND]
POISON = "slub_debug=FPZ"  # with redzones, which show what is written past the end

GIVEN_AWAY = 9  # devices whose memory others get
OVER_UDP = [Wire(f"udp{number}", "l2tpv3", {"encap": "udp"}, outer="v4") for number in range(GIVEN_AWAY)]
OVER_IP = [Wire(f"ip{number}", "l2tpv3", {"encap": "ip"}, outer="v4") for number in range(GIVEN_AWAY)]

# 6.1 and 6.12 are saved by SLUB, which keeps a pointer in free memory: its upper half, 0, is where `udp` is.
OLD_CONTENT = {"6.1": False, "6.12": False, "7.2": True}

PINGS = """
for dev in {devices}; do ip link set "$dev" up; done
ip -batch - <<END
{addresses}
END
meet up {other}
ask() {{ ping -q -n -c 3 -i 0.3 -W 5 "$2" >/dev/null && echo "$1.ping=pass" || echo "$1.ping=lost"; }}
{asks}
wait
refused {devices}
meet done {other}
"""
DOWN = """
for dev in {devices}; do
    echo "<5>taking down $dev" >/dev/kmsg
    ip link set "$dev" down
done
"""


@dataclass(frozen=True)
class Lab:
    places: dict[str, Place]
    report: Report
    numbers: list[int]  # GRE's sequence numbers that the guest sent

    def shown(self, wire: Wire, what: str) -> str:
        return self.report.values[f"{self.places[wire.name].vec}.{what}"]


def script(places: Sequence[Place], end: int) -> str:
    asks = [f"ask {place.vec} {place.address} &" for place in places if end == 1]
    return PINGS.format(
        devices=" ".join(place.vec for place in places),
        addresses="\n".join(f"address add {place.address[:-1]}{end}/24 dev {place.vec}" for place in places),
        other="b0" if end == 1 else "a0",
        asks="\n".join(asks),
    )


def strings(wiring: Wiring, text: str) -> tuple[dict[str, list[str]], list[str]]:
    """Each guest's strings, and the words that guest a0 needs beside them, from what `vecnet up` says."""
    file = wiring.folder / "memory.yaml"
    file.write_text(text)
    said = json.loads(wiring.run(sys.executable, "-m", "vecnet", "up", "--json", file).stdout)
    return {guest: own["strings"] for guest, own in said.items()}, said["a0"]["words"]


@pytest.fixture(scope="module")
def poisoned(kernel: Kernel) -> Lab:
    need_command("ip", "ethtool", "ping")
    text, places = topology(POISONED)
    mine = list(places.values())
    theirs = [place for place in mine if place.peer == "b0"]
    with Wiring(kernel) as wiring, ExitStack() as opened:
        given, _ = strings(wiring, text)
        address = re.search(r"dst=([\d.]+)", given["a0"][POISONED.index(PINS)])
        assert address is not None
        with wiring.entered():
            sniffer = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE))
            sniffer.bind((address[1], 0))
        down = DOWN.format(devices=" ".join(place.vec for place in mine))
        guest = wiring.boot(given["a0"], script(mine, 1) + down, name="a0", words=[POISON])
        wiring.boot(given["b0"], script(theirs, 2), name="b0")
        report = guest.wait()
        assert report.status == 0, report
        sniffer.setblocking(False)
        numbers: list[int] = []
        while True:
            try:
                packet = sniffer.recv(2000)[20:]  # behind the IP header
            except BlockingIOError:
                return Lab(places, report, numbers)
            numbers.append(int.from_bytes(packet[4:8], "big"))


@pytest.mark.parametrize("wire", SOUND, ids=str)
def test_what_leaves_nothing_to_memory_passes(poisoned: Lab, wire: Wire) -> None:
    assert poisoned.shown(wire, "ping") == "pass", poisoned.report
    assert poisoned.shown(wire, "refused") == "0"


def test_l2tpv3_straight_on_ipv4_refuses_every_packet(poisoned: Lab) -> None:
    assert poisoned.shown(REFUSES, "ping") == "lost", poisoned.report
    assert int(poisoned.shown(REFUSES, "refused")) > 0


def test_gre_with_keys_and_without_sequence_writes_past_its_header(poisoned: Lab) -> None:
    """It passes all the same; whose memory that is, is chance."""
    assert poisoned.shown(OVERWRITES, "ping") == "pass", poisoned.report
    said = re.split(r"taking down (vec\d+)", poisoned.report.console)[1:]
    overwritten = [vec for vec, text in zip(said[::2], said[1::2], strict=True) if "Right Redzone overwritten" in text]
    assert overwritten == [poisoned.places[OVERWRITES.name].vec], poisoned.report


def test_a_pin_that_is_left_out_pins(poisoned: Lab) -> None:
    assert poisoned.shown(PINS, "ping") == "pass", poisoned.report
    assert len(poisoned.numbers) > 1
    assert set(poisoned.numbers) == {0}


@pytest.mark.alike
@pytest.mark.parametrize("are_given", [False, True], ids=["as-it-comes", "with-what-vecnet-says"])
def test_memory_of_another_device(kernel: Kernel, are_given: bool) -> None:
    text, places = topology([*OVER_UDP, *OVER_IP])
    given_away, mine = ([places[wire.name] for wire in wires] for wires in (OVER_UDP, OVER_IP))
    give = [f"link set {place.vec} {state}" for state in ("up", "down") for place in given_away]
    take = [f"link set {place.vec} up" for place in mine]
    with Wiring(kernel) as wiring:
        given, needed = strings(wiring, text)
        batch = "\n".join(["ip -batch - <<END", *give, *take, "END"])
        guest = wiring.boot(given["a0"], batch + script(mine, 1), name="a0", words=needed if are_given else [])
        wiring.boot(given["b0"], script(mine, 2), name="b0")
        report = guest.wait()
    assert report.status == 0, report
    assert needed == [CLEAR]
    keeps = OLD_CONTENT[kernel.generation] and not are_given
    lost = [report.values[f"{place.vec}.ping"] == "lost" for place in mine]
    assert [report.values[f"{place.vec}.refused"] != "0" for place in mine] == lost
    assert sum(lost) > GIVEN_AWAY / 2 if keeps else not any(lost)  # not each gets what another had
