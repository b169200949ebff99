"""From nodes to drafts: what the file states, each value parsed by its kind, each with the node that it came from.

Drafts are plain classes, not dataclasses: making those would take a sixth of the time of a short command.
"""

from __future__ import annotations

import os.path
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from yaml.nodes import MappingNode, Node, SequenceNode

from vecnet.errors import Refused
from vecnet.text import a
from vecnet.topology import grammar
from vecnet.topology.document import Document, Entries, Stated
from vecnet.topology.places import Places
from vecnet.transports import TRANSPORTS, Transport
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, SWITCH, End, Keys, Link, Sides

if TYPE_CHECKING:
    from vecnet.expectation import Expected


class LinkDraft(Stated):
    """A link as it was written. `ends` are in the order of `spec.ends`."""

    __slots__ = ("ends", "name", "spec", "transport")

    def __init__(
        self,
        node: Node,
        given: dict[str, Any],
        entries: Entries,
        transport: type[Transport],
        spec: Link,
        ends: tuple[Stated, Stated],
    ) -> None:
        self.node, self.given, self.entries = node, given, entries
        self.transport, self.spec, self.ends = transport, spec, ends
        self.name = spec.title


class Draft:
    """A topology as it was written, without the links that cannot be understood."""

    def __init__(
        self,
        name: str,
        defaults: Stated,
        places: Places,
        guests: dict[str, Stated],
        switches: dict[str, Stated],
        bridges: dict[str, Stated],
        links: list[LinkDraft],
        is_whole: bool,
    ) -> None:
        self.name, self.defaults, self.guests, self.bridges, self.links = name, defaults, guests, bridges, links
        self.places, self.switches = places, switches
        self.is_whole = is_whole  # all links can be understood


def read(doc: Document) -> Draft:
    """Read the whole file; the problems are in `doc`."""
    root = doc.root
    entries = doc.entries(root, "the topology")
    for key, (node, _) in entries.items():
        if key not in grammar.TOPOLOGY:
            doc.unknown(node, key, "a topology", grammar.TOPOLOGY)
    name = _name(doc, entries)
    defaults = Stated(root, {}, {})
    if "defaults" in entries:
        node = entries["defaults"][1]
        found = doc.entries(node, "defaults")
        given = doc.values("defaults", node, _but_expect(found), grammar.COMMON) | _expected(doc, found)
        defaults = Stated(node, given, found)
    hosts = _named(doc, entries, "host", grammar.HOST_KEYS, {})
    switches = _named(doc, entries, "switch", grammar.SWITCH_KEYS, {"host": hosts})
    guests = _named(doc, entries, "guest", grammar.GUEST, {"host": hosts, "switch": switches})
    places = Places(hosts)
    places.settle(doc, "switch", switches)
    places.settle(doc, "guest", guests)
    bridges = _bridges(doc, entries, hosts)
    links, is_whole = [], False
    if "links" in entries:
        node = entries["links"][1]
        items = doc.items(node, "links", "links")
        if isinstance(node, SequenceNode) and not items:
            doc.wrong(node, "there are no links", "add one: transport: and endpoints:")
        links = [link for item in items if (link := _link(doc, item, name, places, switches)) is not None]
        is_whole = len(links) == len(items)
    elif isinstance(root, MappingNode) or doc.is_null(root):
        doc.wrong(root, "a topology needs links, the list of its wires", "add links:")
    if hosts:
        used = {end.host for link in links for end in link.spec.ends} | {key.rpartition(":")[0] for key in bridges}
        places.check(doc, used, is_whole=is_whole)
    links = _endpoints_once(doc, links)
    return Draft(name, defaults, places, guests, switches, _with_implied(bridges, links), links, is_whole)


def _name(doc: Document, entries: Entries) -> str:
    if "name" in entries:
        node = entries["name"][1]
        return str(doc.values("the topology", node, {"name": entries["name"]}, grammar.NAME).get("name", ""))
    kind = grammar.NAME["name"].kind
    stem = os.path.splitext(os.path.basename(doc.file))[0]  # noqa: PTH119, PTH122 - as in document.py
    try:
        return str(kind.parse(stem))
    except Refused:
        message = f"a topology is named after its file, and {stem!r} is not {kind.expects}"
        doc.wrong(doc.root, message, "add name:")
        return ""


_SECTIONS = {"host": "hosts", "switch": "switches", "guest": "guests"}


def _named(
    doc: Document, entries: Entries, what: str, keys: Keys, others: Mapping[str, Mapping[str, Stated]]
) -> dict[str, Stated]:
    """What `hosts:`, `switches:` or `guests:` says, by name; a name is of one of them."""
    named: dict[str, Stated] = {}
    section = _SECTIONS[what]
    for name, (key, value) in doc.entries(entries[section][1], section).items() if section in entries else ():
        try:
            end = grammar.parse_endpoint(f"{name}:vec0")
        except Refused as error:
            doc.wrong(key, f"{name!r} cannot name a {what}: {error.message}", error.instead)
            continue
        other = next((other for other, known in others.items() if name in known), None)
        if end.node is None:
            doc.wrong(key, f"{name} is a reserved word, and names no {what}", "choose another name")
        elif other is not None:
            line = others[other][name].node.start_mark.line + 1
            doc.wrong(key, f"{name} is a {other}, in line {line}, and cannot be a {what}, too", "choose another name")
        else:
            found = doc.entries(value, f"{what} {name}")
            named[name] = Stated(key, doc.values(f"{what} {name}", key, found, keys), found)
    return named


def _bridges(doc: Document, entries: Entries, hosts: Mapping[str, Stated]) -> dict[str, Stated]:
    """What `bridges:` says, by name: `br0`, or of a host that the file names `alpha:br0`."""
    if "bridges" not in entries:
        return {}
    bridges = {}
    for name, (key, value) in doc.entries(entries["bridges"][1], "bridges").items():
        found = doc.entries(value, f"bridge {name}")
        given = doc.values(f"bridge {name}", key, found, grammar.BRIDGE)
        for other in ("ip", "mac") if given.get("existing") else ():
            if other in given:
                message = f"{other} is not vecnet's to choose: the bridge {name} is there already"
                doc.wrong(found[other][0], message, "leave it out, or existing: on")
        if _names_bridge(doc, key, name, hosts):
            bridges[name] = Stated(key, given, found)
    return bridges


def _names_bridge(doc: Document, key: Node, name: str, hosts: Mapping[str, Stated]) -> bool:
    host, _, ifname = name.rpartition(":") if hosts else (HOST, "", name)
    if hosts and host not in hosts:
        doc.wrong(key, f"the bridge {name} is on none of the hosts", f"write {next(iter(hosts))}:{ifname}")
        return False
    try:
        grammar.parse_endpoint(f"{HOST}:{ifname}")
    except Refused as error:
        doc.wrong(key, f"a bridge is named like an interface: {error.message}", error.instead)
        return False
    return True


def _link(doc: Document, node: Node, topology: str, places: Places, switches: Collection[str]) -> LinkDraft | None:
    before = len(doc.problems)
    entries = doc.entries(node, "a link")
    if not entries:
        if doc.is_null(node):
            doc.wrong(node, "an empty link", "write transport: and endpoints:, or leave the '-' out")
        return None
    transport = _transport(doc, node, entries)
    ends = _ends(doc, node, entries, transport, places, switches)
    if transport is None:
        return None
    own, keys = {key: entry for key, entry in entries.items() if key not in _APART}, grammar.link_keys(transport)
    given = doc.values(f"{a(transport.name)} link", node, own, keys) if own or keys.required else {}
    if "expect" in entries:
        given |= _expected(doc, entries)
    if len(ends) != 2 or not _sides(doc, transport, ends):
        return None
    placed = places.placed(doc, transport, ends)
    if placed is None or len(doc.problems) > before:
        return None  # its values cannot be judged together
    (first, one), (second, two) = placed
    if _follows(first, second):  # as Link has it, so that the order in the file means nothing
        first, one, second, two = second, two, first, one
    parameters = {key: given[key] for key in transport.link_keys if key in given} if given else {}
    spec = Link(topology, (first, second), parameters, {}, given.get("name", ""))
    return LinkDraft(node, given, entries, transport, spec, (one, two))


_APART = ("transport", "endpoints", "expect")  # of a link's keys, those that are no single values


def _but_expect(entries: Entries) -> Entries:
    return {key: entry for key, entry in entries.items() if key != "expect"}


def _expected(doc: Document, entries: Entries) -> dict[str, dict[str, Expected]]:
    """What `expect:` says, by key."""
    if "expect" not in entries:
        return {}
    from vecnet.expectation import Expected  # for those who expect something

    node = entries["expect"][1]
    found = doc.entries(node, "expect")
    known = doc.values("expect", node, found, grammar.EXPECTED)
    return {"expect": {key: Expected(key, str(found[key][1].value), doc.at(found[key][1])) for key in known}}


def _transport(doc: Document, node: Node, entries: Entries) -> type[Transport] | None:
    if "transport" not in entries:
        doc.wrong(node, "a link needs transport", f"write one of {', '.join(TRANSPORTS)}")
        return None
    value = entries["transport"][1]
    name = doc.text(value, "transport")
    if name is None or name in TRANSPORTS:
        return None if name is None else TRANSPORTS[name]
    import difflib  # for mistakes alone

    near = difflib.get_close_matches(name.lower(), TRANSPORTS, 1)
    instead = f"did you mean {near[0]}?" if near else f"write one of {', '.join(TRANSPORTS)}"
    doc.wrong(value, f"there is no transport {name!r}", instead)
    return None


_FAR = (HOST, OUTSIDE, ELSEWHERE)  # of which a link has one end at the most
_ALL_FAR = frozenset(_FAR)
_ORDER = ("", SWITCH, *_FAR)


def _follows(one: End, other: End) -> bool:
    """Whether an end comes second in its link."""
    if one.kind == other.kind:
        return one.text > other.text
    return _ORDER.index(one.kind) > _ORDER.index(other.kind)


def _ends(
    doc: Document,
    link: Node,
    entries: Entries,
    transport: type[Transport] | None,
    places: Places,
    switches: Collection[str],
) -> list[tuple[End, Stated]]:
    """The ends whose names can be read, with what they state."""
    if "endpoints" not in entries:
        doc.wrong(link, "a link needs endpoints, its two ends", "add endpoints: [guest:vecN, host:ifname]")
        return []
    key, node = entries["endpoints"]
    named: list[tuple[str, Node, Node | None]] = []
    if isinstance(node, SequenceNode):
        for item in node.value:
            if isinstance(item, MappingNode):
                message = "the short form of endpoints holds names alone"
                doc.wrong(item, message, "write endpoints as a mapping, without '-': web:vec0: {ip: …}")
            else:
                text = doc.text(item, "an endpoint")
                if text is not None:
                    named.append((text, item, None))
        count = len(node.value)
    else:
        named = [(name, name_node, value) for name, (name_node, value) in doc.entries(node, "endpoints").items()]
        count = len(named)
    if count != 2 and not (count == 0 and not doc.is_null(node) and not isinstance(node, SequenceNode | MappingNode)):
        doc.wrong(key, f"a link has exactly two ends, this one has {count}", "write one link for each wire")
    ends = []
    for name, name_node, value in named:
        try:
            end = grammar.parse_endpoint(name, switches, places.hosts)
        except Refused as error:
            doc.wrong(name_node, error.message, error.instead)
            continue
        found: Entries = {}
        if transport is not None and (end.kind != OUTSIDE or end.ifname in grammar.programs(transport)):
            found = {} if value is None else doc.entries(value, name)
            keys = grammar.end_keys(transport, end.kind, end.ifname, hosts=bool(places.hosts))
            if found or keys.required:
                whose = f"{name}, {_WHOSE[end.kind]} of {a(transport.name)} link,"
                given = doc.values(whose, name_node, _known(doc, found, keys, transport, end), keys)
                end = End(end.node, end.ifname, given, end.where, end.host)
        ends.append((end, Stated(name_node, end.given, found)))
    return ends


_WHOSE = {
    "": "a guest's end",
    HOST: "the host's end",
    OUTSIDE: "the end outside",
    ELSEWHERE: "the end elsewhere",
    SWITCH: "a switch's end",
}


def _known(doc: Document, found: Entries, keys: Keys, transport: type[Transport], end: End) -> Entries:
    """Without the keys that belong elsewhere, after saying where."""
    if found.keys() <= keys.keys():
        return found
    name = str(end)
    others = [where for where in _WHOSE if where != end.kind]
    kept = {}
    for key, entry in found.items():
        if key in keys:
            kept[key] = entry
        elif key in grammar.link_keys(transport):
            doc.wrong(entry[0], f"{key} at {name} is the same at both ends", "write it at the link, beside endpoints")
        elif end.is_host and key == "existing" and transport.elsewhere_keys:
            message = f"existing at {name} is not possible: {a(transport.name)} interface has the link's own parameters"
            doc.wrong(entry[0], message, f"write {ELSEWHERE}:{end.ifname} for an end that somebody else has made")
        elif end.is_host and key in grammar.INTERFACE:
            reason = "has no interface at the host" if not transport.interface_keys else "has its end where vecnet runs"
            doc.wrong(entry[0], f"{key} at {name} is not possible: {transport.name} {reason}", "leave it out")
        elif (where := next((one for one in others if key in grammar.end_keys(transport, one)), None)) is not None:
            whose = _WHOSE[where]
            doc.wrong(entry[0], f"{key} at {name} is a key of {whose} of {a(transport.name)} link", "write it there")
        else:
            kept[key] = entry
    return kept


def _sides(doc: Document, transport: type[Transport], ends: list[tuple[End, Stated]]) -> bool:
    """Whether a link of this transport may have these ends; says why not."""
    at_host = transport.sides is not Sides.OUTSIDE_AND_GUEST
    for end, stated in ends:
        if end.kind in _FAR and not _possible(transport, end):
            programs = _programs(transport)
            far_ends = " or ".join([*([f"{HOST}:ifname, or a guest's, guest:vecN,"] if at_host else []), *programs])
            doc.wrong(stated.node, f"{a(transport.name)} link has no end at {end}", f"write {far_ends.rstrip(',')}")
            return False
    kinds, last = {ends[0][0].kind, ends[1][0].kind}, ends[1][1].node
    if kinds == {HOST} and ends[0][0].host == ends[1][0].host:
        doc.wrong(last, "both ends of the link are at the host", "one of them must be a guest's, guest:vecN")
    elif kinds == {HOST}:
        return True  # of two hosts; what may join them is said where all ends are placed
    elif kinds <= _ALL_FAR:
        message = "neither end of the link is a guest's or a switch's"
        doc.wrong(last, message, "one of them must be a guest's, guest:vecN")
    elif kinds & _ALL_FAR or transport.sides is Sides.ANY or (SWITCH in kinds and transport.at_switch):
        return True
    else:
        joined = "a guest and a switch" if len(kinds) == 2 else "two switches" if SWITCH in kinds else "two guests"
        message = f"{a(transport.name)} link has one end at the host, and cannot join {joined}"
        if not at_host:
            message = (
                f"{a(transport.name)} link has one end at a guest, and the other at {' or '.join(_programs(transport))}"
            )
        doc.wrong(last, message, transport.instead_of_guests)
    return False


def _programs(transport: type[Transport]) -> list[str]:
    return [f"{OUTSIDE}:{name}" for name in grammar.programs(transport)]


def _possible(transport: type[Transport], end: End) -> bool:
    """Whether a link of the transport may have this end, at which no guest is, nor a switch."""
    if end.kind == OUTSIDE:
        return str(end) in _programs(transport)
    return transport.sides is not Sides.OUTSIDE_AND_GUEST and (end.is_host or bool(transport.elsewhere_keys))


def _endpoints_once(doc: Document, links: list[LinkDraft]) -> list[LinkDraft]:
    """The links whose ends no earlier link has; what else such a link may clash with follows from that alone."""
    seen: dict[tuple[str, object], Stated] = {}
    kept = []
    for link in links:
        is_first = True
        for end, stated in zip(link.spec.ends, link.ends, strict=True):
            if end.kind in (OUTSIDE, ELSEWHERE):
                continue  # a program or a device there serves any number of links
            first = seen.setdefault((end.text, end.given.get("netns")), stated)
            if first is not stated:
                is_first = False
                message = f"the endpoint {end} is used twice, first in line {first.node.start_mark.line + 1}"
                doc.wrong(stated.node, message, "give this one another name")
        if is_first:
            kept.append(link)
    return kept


def _with_implied(bridges: dict[str, Stated], links: list[LinkDraft]) -> dict[str, Stated]:
    """With the bridges that are not declared, and so are there already; what is nearly a declared one is a mistake."""
    every = dict(bridges)
    for link in links:
        for end, stated in zip(link.spec.ends, link.ends, strict=True):
            if "bridge" not in end.given or (name := end.bridge) is None or name in every:
                continue
            import difflib

            beside = [key for key in bridges if key.rpartition(":")[0] == name.rpartition(":")[0]]
            if not difflib.get_close_matches(name, beside, 1):
                netns = {"netns": end.given["netns"]} if "netns" in end.given else {}
                every[name] = Stated(stated.at("bridge"), {"existing": True, **netns}, {})
    return every
