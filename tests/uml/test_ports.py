"""Ports against real guests: a guest has one end of a tunnel, a port the other, and a third judges both.

    guest a0 ── vec0 … vecN ══ gre, l2tpv3 ══ ports, each opened with its string's mirror, or with one that does not fit
                  ports in the guests' place ══ ports opened just so          on addresses of their own

The guest returns what it takes and sends frames of its own. Whatever passes or is refused between the guest and its
port, does so between the two ports, frame by frame and counter by counter. The same holds for packets that no port
would send: cut short at each byte, and with each byte of the header changed. Guests that are to refuse something have
depth=1, since one that takes several packets at once spoils those behind one that it refuses.

A raw socket that is not bound yet hears every packet of its protocol in its network namespace, so a guest that opens a
device straight on IP while others send has refused some before its own first packet.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.datapath.wires import receive
from tests.need import need_command
from tests.uml import agent
from tests.uml.guest import PYTHON, Guest, Kernel, Wiring
from tests.uml.wires import TUNNELS, Wire, topology
from vecnet import Gre, L2tpv3, VecDevice, open_port, parse
from vecnet.datapath.port import Port

pytestmark = [pytest.mark.uml, pytest.mark.alike]

Tunnel = Gre | L2tpv3
Change = Callable[[Any], dict[str, Any]]

GRE_CHANGES: dict[str, Change] = {
    "other-tx-key": lambda end: {"tx_key": end.tx_key ^ 1},
    "other-rx-key": lambda end: {"rx_key": end.rx_key ^ 0x80000000},
    "no-keys": lambda _: {"rx_key": None, "tx_key": None},
    "sequence": lambda end: {"sequence": not end.sequence},
    "sequence-too": lambda _: {"rx_key": None, "tx_key": None, "sequence": True},
}
L2TPV3_CHANGES: dict[str, Change] = {
    "other-tx-session": lambda end: {"tx_session": end.tx_session ^ 1},
    "other-rx-session": lambda end: {"rx_session": end.rx_session ^ 0x80000000},
    "other-tx-cookie": lambda end: {"tx_cookie": end.tx_cookie ^ 1},
    "other-rx-cookie": lambda end: {"rx_cookie": end.rx_cookie ^ 0x80000000},
    "no-cookies": lambda _: {"rx_cookie": None, "tx_cookie": None},
    "counter": lambda end: {"counter": not end.counter},
}


@dataclass(frozen=True)
class Case:
    """A wire, and how its port's end differs from the mirror of the guest's."""

    wire: Wire
    change: Change = lambda _: {}
    is_hostile: bool = False  # whether packets follow that no port would send

    def __str__(self) -> str:
        return self.wire.name


def _misfits() -> Iterator[Case]:
    for outer in ("v4", "v6"):

        def gre(what: str, change: Change, outer: str = outer, **keys: object) -> Case:
            return Case(Wire(f"gre-{outer}-{what}", "gre", {"depth": 1, **keys}, outer=outer), change)

        yield from (gre(what, change, key=True) for what, change in GRE_CHANGES.items())
        yield gre("keys-that-it-has-not", lambda _: {"rx_key": 1, "tx_key": 2})
        yield gre("pinned-and-rising", lambda _: {"pin_sequence": False}, sequence="pinned")
        for encap in ("udp", "ip"):

            def l2tpv3(what: str, change: Change, cookie: int, outer: str = outer, encap: str = encap) -> Case:
                keys = {"depth": 1, "encap": encap, "cookie": cookie}
                return Case(Wire(f"l2tpv3-{encap}-{outer}-{what}", "l2tpv3", keys, outer=outer), change)

            yield from (l2tpv3(what, change, 32) for what, change in L2TPV3_CHANGES.items())
            yield l2tpv3("half-a-cookie", lambda _: {"cookie64": False, "rx_cookie": 1, "tx_cookie": 2}, 64)
            yield l2tpv3("cookies-that-it-has-not", lambda _: {"rx_cookie": 1, "tx_cookie": 2}, 0)


def _hostile() -> Iterator[Case]:
    for wire in TUNNELS:
        if "pinned" not in wire.keys.values() and ("sequence" in wire.keys or "counter" in wire.keys):
            keys = {**wire.keys, "depth": 1}
            yield Case(dataclasses.replace(wire, name=f"{wire.name}-hostile", keys=keys), is_hostile=True)


FITTING = [*map(Case, TUNNELS), *_hostile()]
MISFITS = list(_misfits())
CASES = [*FITTING, *MISFITS]


@dataclass
class Heard:
    """What passed between an end in a guest's role and a port, and what each refused."""

    returned: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    refused: int = 0  # by the end in the guest's role
    hostile: int = 0  # the same, of packets that no port would send
    dropped: dict[str, int] = field(default_factory=dict)  # by the port, by cause


def asked(mtu: int) -> list[bytes]:
    """Frames of several sizes for the guest to return, the largest that the wire takes among them."""
    head = bytes((2, 0, 0, 0, 0, 2)) + bytes((2, 0, 0, 0, 0, 3)) + agent.ASKED
    return [head + bytes((size + i) % 251 for i in range(size - 14)) for size in (60, 61, 500, mtu + 14)]


def moved(end: Tunnel, network: int) -> Tunnel:
    """The same end on addresses of another network."""
    src, dst = (
        address.replace("127.1.", f"127.{network}.").replace("fd00:", f"fd{network:02}:")
        for address in (end.src, end.dst)
    )
    return dataclasses.replace(end, src=src, dst=dst)


@contextmanager
def plain_socket(end: Tunnel, *, own_port: bool) -> Iterator[socket.socket]:
    """A socket at the other side of `end`, which knows nothing of vecnet."""
    family = socket.AF_INET6 if end.v6 else socket.AF_INET
    if isinstance(end, L2tpv3) and end.udp:
        with socket.socket(family, socket.SOCK_DGRAM) as plain:
            plain.bind((end.dst, end.dstport if own_port else 0))
            yield plain
    else:
        protocol = 47 if isinstance(end, Gre) else 115
        with socket.socket(family, socket.SOCK_RAW, protocol) as plain:
            plain.bind((end.dst, 0))
            yield plain


def hostile(end: Tunnel) -> list[bytes]:
    """Packets for `end` that its port would not send: one of its own, cut and changed."""
    sender = moved(end, 5).mirror()
    with plain_socket(sender, own_port=True) as plain, open_port(VecDevice(0, sender)) as port:
        port.send(asked(1500)[0])
        packet = plain.recv(65536)[0 if end.v6 or (isinstance(end, L2tpv3) and end.udp) else 20 :]
    size = end.header_size
    # an IPv4 raw socket gives the guest the IP header too, which it forgets: it looks for a header behind the packet
    shortest = 0 if end.v6 or (isinstance(end, L2tpv3) and end.udp) else size + 1
    cut = [packet[:length] for length in range(shortest, size + 16)]
    changed = [packet[:place] + bytes((packet[place] ^ 0xFF,)) + packet[place + 1 :] for place in range(size)]
    return cut + changed


def send_hostile(end: Tunnel, packets: Sequence[bytes]) -> None:
    to = (end.src, end.srcport or 0 if isinstance(end, L2tpv3) else 0)
    with plain_socket(end, own_port=False) as plain:
        for packet in packets:
            plain.sendto(packet, to)


def drops(port: Port) -> dict[str, int]:
    return {name: count for name, count in port.stats.items() if name.startswith("rx_drop_") and count}


def between_ports(case: Case, end: Tunnel) -> Heard:
    """What passes with a port in the guest's place."""
    heard = Heard()
    here, there = moved(end, 4), moved(end, 4).mirror()
    there = dataclasses.replace(there, **case.change(there))
    with open_port(VecDevice(0, here)) as role, open_port(VecDevice(0, there)) as port:
        port.send(asked(end.mtu))
        taken = receive(role, 100, 0)  # on one host, what is sent is there
        role.send([agent.returned(frame) for frame in taken if frame[12:14] == agent.ASKED])
        heard.returned = receive(port, 100, 0)
        role.send([agent.sent(number) for number in range(agent.SENDS)])
        heard.sent = receive(port, 100, 0)
        heard.refused = role.stats["rx_encaps_errors"]
        heard.dropped = drops(port)
        if case.is_hostile:
            send_hostile(here, hostile(end))
            receive(role, 1000, 0)
        heard.hostile = role.stats["rx_encaps_errors"]
    return heard


SCRIPT = """
ip -batch - <<END
{links}
END
{python} {agent} "$here" {devices}
sleep 0.3  # for what has come and is not dealt with
refused {devices}
meet hostile host
sleep 0.3
refused {devices} | sed s/refused/hostile/
"""


@pytest.fixture(scope="module")
def heard(kernel: Kernel) -> dict[str, tuple[Heard, Heard]]:
    """For each case, what passed between a guest and its port, and between two ports."""
    need_command("ip", "ethtool")
    text, places = topology([case.wire for case in CASES])
    with Wiring(kernel) as wiring, ExitStack() as opened:
        file = wiring.folder / "ports.yaml"
        file.write_text(text)
        said = json.loads(wiring.run(sys.executable, "-m", "vecnet", "up", "--json", file).stdout)
        strings = {name: {string.partition(":")[0]: string for string in own["strings"]} for name, own in said.items()}
        ends: dict[str, Tunnel] = {}
        for case in CASES:
            place = places[case.wire.name]
            transport = parse(strings[place.guest][place.vec]).transport
            assert isinstance(transport, Tunnel)
            ends[case.wire.name] = transport
        networks = [moved(end, network) for end in ends.values() if end.v6 for network in (4, 5)]
        v6 = [f"address add {address}/128 dev lo nodad" for end in networks for address in (end.src, end.dst)]
        wiring.run("ip", "-batch", "-", stdin=None, input="\n".join(v6))
        ports: dict[str, Port] = {}
        twins: dict[str, Heard] = {}
        with wiring.entered():
            for case in CASES:
                end = ends[case.wire.name]
                twins[case.wire.name] = between_ports(case, end)
                far = end.mirror()
                device = VecDevice(0, dataclasses.replace(far, **case.change(far)))
                ports[case.wire.name] = opened.enter_context(open_port(device))
        # only now, and nobody sends until all of their devices are open
        guests = {name: boot(wiring, name, strings[name]) for name in strings if name.startswith("a")}
        found = {name: Heard() for name in ports}
        for guest in guests.values():
            with guest.at("ready"):
                pass
        for name, port in ports.items():
            port.send(asked(ends[name].mtu), timeout=5)
        for name, port in ports.items():
            found[name].returned = receive(port, len(twins[name].returned), 10)
        for guest in guests.values():
            (guest.folder / "go").touch()
        for name, port in ports.items():
            found[name].sent = receive(port, len(twins[name].sent), 10)
        for guest in guests.values():
            (guest.folder / "stop").touch()
        with ExitStack() as waiting, wiring.entered():
            for guest in guests.values():
                waiting.enter_context(guest.at("hostile"))
            for case in CASES:
                name = case.wire.name
                found[name].sent += receive(ports[name], 100, 0)  # whatever came that should not
                found[name].dropped = drops(ports[name])
                if case.is_hostile:
                    send_hostile(ends[name], hostile(ends[name]))
        reports = {name: guest.wait() for name, guest in guests.items()}
    for name, one in found.items():
        place = places[name]
        assert reports[place.guest].status == 0, reports[place.guest]
        one.refused = int(reports[place.guest].values[f"{place.vec}.refused"])
        one.hostile = int(reports[place.guest].values[f"{place.vec}.hostile"])
    return {name: (found[name], twins[name]) for name in found}


def boot(wiring: Wiring, name: str, strings: dict[str, str]) -> Guest:
    script = SCRIPT.format(
        links="\n".join(f"link set {vec} up" for vec in strings),
        python=PYTHON,
        agent=shlex.quote(agent.__file__),
        devices=" ".join(strings),
    )
    return wiring.boot(list(strings.values()), script, name=name)


@pytest.mark.parametrize("case", FITTING, ids=str)
def test_an_end_that_fits(heard: dict[str, tuple[Heard, Heard]], case: Case) -> None:
    with_guest, with_port = heard[case.wire.name]
    mtu = len(with_guest.returned[-1]) - 14 if with_guest.returned else 1500
    assert with_guest.returned == [agent.returned(frame) for frame in asked(mtu)]
    assert with_guest.sent == [agent.sent(number) for number in range(agent.SENDS)]
    assert with_guest.refused == 0
    assert with_guest.dropped == {}
    assert with_guest == with_port


@pytest.mark.parametrize("case", MISFITS, ids=str)
def test_an_end_that_does_not_fit(heard: dict[str, tuple[Heard, Heard]], case: Case) -> None:
    with_guest, with_port = heard[case.wire.name]
    assert with_guest == with_port


@pytest.mark.parametrize("depth", [64, 1])
def test_what_a_guest_refuses_spoils_what_it_has_taken_with_it(kernel: Kernel, depth: int) -> None:
    """6.1's driver looks at the refused packet again for each that follows in its batch, and frees it each time."""
    spoilt = 4 if kernel.generation == "6.1" and depth > 1 else 1
    string = "vec0:transport=l2tpv3,src=127.1.0.1,dst=127.1.0.2,udp=1,srcport=7,dstport=9,rx_session=1,tx_session=2"
    device = parse(f"{string},mac=02:00:00:00:00:03,depth={depth}")
    stranger = parse(
        "vec0:transport=l2tpv3,src=127.1.0.3,dst=127.1.0.1,udp=1,srcport=9,dstport=7,rx_session=1,tx_session=3"
    )
    frames = asked(1500)
    with Wiring(kernel) as wiring:
        guest = boot(wiring, "guest", {"vec0": str(device)})
        with guest.at("ready"):
            pass
        with wiring.entered(), open_port(device.mirror()) as port, open_port(stranger) as other:
            with guest.paused():
                port.send(frames[0])
                other.send(frames[0])
                port.send(frames[1:])
            taken = frames if spoilt == 1 else frames[:1]
            assert receive(port, len(taken), 10) == [agent.returned(frame) for frame in taken]
            (guest.folder / "stop").touch()
            with guest.at("hostile"):
                assert port.recv(0) == []
        assert guest.wait().values["vec0.refused"] == str(spoilt)
