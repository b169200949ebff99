"""What is left out is chosen from the names alone: not from the file's order, nor from what else is in it."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vecnet import parse
from vecnet.topology import Topology, loads

Document = dict[str, Any]
COMMON = st.fixed_dictionaries(
    {}, optional={"depth": st.integers(1, 1024), "gro": st.booleans(), "headroom": st.integers(0, 4096)}
)
OWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "gre": st.fixed_dictionaries(
        {}, optional={"key": st.booleans(), "sequence": st.sampled_from(["off", "on", "pinned"])}
    ),
    "l2tpv3": st.fixed_dictionaries(
        {"encap": st.sampled_from(["udp", "ip"])},
        optional={"cookie": st.sampled_from([0, 32, 64]), "counter": st.sampled_from(["off", "on", "pinned"])},
    ),
    "raw": st.fixed_dictionaries({}, optional={"bpfflash": st.booleans()}),
}


@st.composite
def links(draw: st.DrawFn, number: int) -> Document:
    """A link whose names hold its number, so that no two clash."""
    transport = draw(st.sampled_from(["tap", "hybrid", "raw", "gre", "l2tpv3", "bess", "fd"]))
    at_host = transport in ("tap", "hybrid", "bess") or draw(st.booleans())
    first: Document = {"ip": f"10.{number}.0.1/24"} if draw(st.booleans()) else {}
    second: Document = {}
    if transport in ("gre", "l2tpv3"):
        family = draw(st.sampled_from(["192.0.{}.{}", "fd00:{}::{}"]))
        first["local"], second["local"] = family.format(number, 1), family.format(number, 2)
        if transport == "l2tpv3" and draw(st.booleans()):
            first["session"] = draw(st.integers(1, 0xFFFFFFFF))
    if transport == "bess":
        second["path"] = f"/run/switch-{number}"
    other = f"host:if{number}" if at_host else f"h{draw(st.integers(0, 9))}:vec{number}"
    ends = [(f"g{draw(st.integers(0, 9))}:vec{number}", first or None), (other, second or None)]
    if draw(st.booleans()):
        ends.reverse()
    own = draw(OWN.get(transport, st.just({})))
    return {"transport": transport, "endpoints": dict(ends), **own, **draw(COMMON)}


DOCUMENTS = st.integers(1, 8).flatmap(lambda count: st.tuples(*(links(number) for number in range(count))))


def made(wires: list[Document]) -> Topology:
    text = yaml.safe_dump({"name": "generated", "links": wires}, sort_keys=False)
    return loads(text, underlay=lambda *_: 1500)


def strings(wires: list[Document]) -> set[str]:
    topology = made(wires)
    return {f"{guest} {device}" for guest in topology.guests for device in topology.devices(guest)}


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_the_order_of_links_changes_no_string(wires: tuple[Document, ...], random: Any) -> None:
    shuffled = list(wires)
    random.shuffle(shuffled)
    expected = strings(list(wires))
    assert strings(shuffled) == expected
    for line in expected:
        text = line.partition(" ")[2]
        assert str(parse(text)) == text


@settings(deadline=None, max_examples=80)
@given(DOCUMENTS)
def test_a_further_link_changes_no_string(wires: tuple[Document, ...]) -> None:
    """A port could move where two choices meet, on one address; here every link has its own."""
    assert strings(list(wires[:-1]) or list(wires)) <= strings(list(wires))


def test_the_order_of_the_ends_changes_nothing() -> None:
    one = made([{"transport": "raw", "endpoints": ["b:vec0", "a:vec0"]}])
    other = made([{"transport": "raw", "endpoints": ["a:vec0", "b:vec0"]}])
    assert one == other


def tunnels(count: int, port: int | None = None) -> list[Document]:
    """Tunnels of one pair of addresses, whose ports are chosen, except for the first one's where it is given."""
    found = []
    for number in range(count):
        near: Document = {"local": "192.0.2.1"}
        if port and not number:
            near["port"] = port
        ends = {f"a:vec{number}": near, f"b:vec{number}": {"local": "192.0.2.2"}}
        found.append({"transport": "l2tpv3", "endpoints": ends})
    return found


def ports(topology: Topology) -> list[int]:
    found: list[int] = [getattr(device.transport, "srcport") for device in topology.devices("a")]  # noqa: B009
    return found


def test_chosen_ports_of_one_address_are_all_different() -> None:
    wires = tunnels(1500)
    topology = made(wires)
    assert len(set(ports(topology))) == 1500
    assert all(49152 <= port <= 65535 for port in ports(topology))
    for link in topology.links:
        first, second = link.options
        assert first.mirror() == second.mirror().mirror().__class__(**{**vars(second), "mac": first.mirror().mac})
    assert ports(made(wires[::-1])) == ports(topology)


def test_a_chosen_port_gives_way_to_a_stated_one() -> None:
    free = ports(made(tunnels(2)))
    taken = ports(made(tunnels(2, port=free[1])))
    assert taken[0] == free[1]
    assert taken[1] not in free
