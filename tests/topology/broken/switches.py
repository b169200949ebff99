"""Switches, and programs outside."""

from __future__ import annotations


def lan(*links: str, lan: str = "lan: {}", more: str = "") -> str:
    """A topology with a switch that has a guest, and these links."""
    first = "{transport: bess, endpoints: [web:vec0, lan:web]}"
    return f"switches: {{{lan}}}\nlinks:\n" + "".join(f"  - {one}\n" for one in (first, *links)) + more


def outside(keys: str = "", end: str = "", program: str = "slirp4netns", transport: str = "bess") -> str:
    ends = f"{{web:vec0: {{{end}}}, outside:{program}: {{{keys}}}}}"
    return f"links: [{{transport: {transport}, endpoints: {ends}}}]\n"


def taps(*names: str) -> tuple[str, ...]:
    """Links from the switch to members of the bridge br."""
    return tuple(f"{{transport: tap, endpoints: {{lan:{name}: , host:{name}: {{bridge: br}}}}}}" for name in names)


SWITCHES = {
    "a switch that is not declared": (
        "links: [{transport: bess, endpoints: [web:vec0, ▸lan:web]}]\n",
        "'lan:web' names no endpoint",
        "or add lan to switches",
    ),
    "a switch of no link": (lan(lan="lan: {}, ▸lna: {}"), "no link has an end at the switch lna", "leave it out"),
    "a switch named like a guest": (
        lan(more="guests: {▸lan: {}}\n"),
        "lan is a switch, in line 1, and cannot be a guest, too",
        "choose another name",
    ),
    "a switch with a reserved name": (
        lan(lan="lan: {}, ▸host: {}"),
        "host is a reserved word, and names no switch",
        "choose another name",
    ),
    "a bad name of a switch": (lan(lan="lan: {}, ▸my lan: {}"), "'my lan' cannot name a switch", ""),
    "a key of no switch": (lan(lan="lan: {▸aeg: 3}"), "switch lan has no key 'aeg'", "did you mean age?"),
    "a switch's value": (lan(lan="lan: {age: ▸0}"), "age: '0' is not a whole number from 1 to 86400", ""),
    "a port like a guest's": (
        lan("{transport: bess, endpoints: [db:vec0, ▸lan:vec0]}"),
        "a port of a switch is not named like a guest's interface",
        "write lan:web",
    ),
    "a port used twice": (
        lan("{transport: bess, endpoints: [db:vec0, ▸lan:web]}"),
        "the endpoint lan:web is used twice, first in line 3",
        "another name",
    ),
    "a port's key at a guest": (
        lan("{transport: bess, endpoints: {db:vec0: {▸isolated: on}, lan:db: }}"),
        "isolated at db:vec0 is a key of a switch's end",
        "write it there",
    ),
    "an address at a port": (
        lan("{transport: bess, endpoints: {db:vec0: , lan:db: {▸ip: 10.0.0.1/24}}}"),
        "ip at lan:db is a key of a guest's end",
        "write it there",
    ),
    "a tap to a switch": (
        lan("{transport: tap, endpoints: [db:vec0, ▸lan:db]}"),
        "a tap link has one end at the host, and cannot join a guest and a switch",
        "use two links",
    ),
    "two switches inherit": (
        lan("▸{transport: fd, endpoints: [lan:b, b:lan]}", lan="lan: , b: "),
        "two switches inherit no descriptor",
        "write transport: bess",
    ),
    "one path for two ports": (
        lan(
            "{transport: bess, endpoints: {a:vec0: , lan:a: {path: /run/x}}}",
            "{transport: bess, endpoints: {b:vec0: , lan:b: {path: ▸/run/x}}}",
        ),
        "the Unix socket /run/x is used twice",
        "choose another path",
    ),
    "a circle of switches": (
        lan(
            "{transport: bess, endpoints: [lan:b, b:lan]}",
            "{transport: bess, endpoints: [b:c, c:b]}",
            "▸{transport: l2tpv3, endpoints: {c:lan: {local: 127.0.0.1}, lan:c: {local: 127.0.0.2}}}",
            lan="lan: , b: , c: ",
        ),
        "closes a circle: the switch c and the switch lan are joined already",
        "a broadcast would go round for ever",
    ),
    "a switch with itself": (
        lan("▸{transport: bess, endpoints: [lan:a, lan:b]}"),
        "closes a circle: the switch lan and the switch lan are joined already",
        "leave one of the links out",
    ),
    "a circle by a bridge": (
        lan(*taps("one"), f"▸{taps('two')[0]}", more="bridges: {br: }\n"),
        "closes a circle: the switch lan and the bridge br are joined already",
        "leave one of the links out",
    ),
    "a mirror of no port": (
        lan("{transport: tap, endpoints: {lan:m: {mirror: ▸[wbe]}, host:m: }}"),
        "mirror: the switch lan has no other port wbe",
        "write all, or of web",
    ),
    "a monitor that comes and goes": (
        lan("{transport: bess, endpoints: {db:vec0: , lan:db: {mirror: ▸all}}}"),
        "mirror: lan:db is not connected all the time",
        "whose other end is at the host",
    ),
    "a program that is none": (
        outside(keys="ports: 1").replace("outside:slirp4netns", "▸outside:slirp"),
        "a bess link has no end at outside:slirp",
        "outside:slirp4netns",
    ),
    "a program by another transport": (
        outside(transport="fd").replace("outside:s", "▸outside:s"),
        "an fd link has no end at outside:slirp4netns",
        "outside:passt",
    ),
    "a program for the host": (
        "links: [{transport: bess, endpoints: {outside:slirp4netns: , ▸host:a: {path: /run/a}}}]\n",
        "neither end of the link is a guest's or a switch's",
        "guest:vecN",
    ),
    "a key of no program": (outside("▸potrs: 1"), "has no key 'potrs'", "did you mean ports?"),
    "a port that is none": (outside("ports: [▸'22']"), "'22' is not a forwarded port such as 2222:22", ""),
    "a port out of range": (outside("ports: ▸'70000:22'"), "a port is from 1 to 65535, and 70000 is not", ""),
    "a port's address": (outside("ports: ▸'300.0.0.1:22:22'"), "is not a forwarded port such as", ""),
    "a port for a guest elsewhere": (
        outside("ports: ▸['22:10.9.0.1:22']"),
        "ports: 10.9.0.1 is not in 10.0.2.0/24, the network of outside:slirp4netns",
        "state the guest's address in it",
    ),
    "a port for another guest": (
        outside("ports: ▸['22:10.0.2.16:22']", program="passt", transport="fd"),
        "passt has one guest",
        "such as 2222:22",
    ),
    "a network that is small": (outside("subnet: ▸10.0.0.0/30"), "is not an IPv4 network of 8 to 25 bits", ""),
    "a network's machine": (outside("subnet: ▸10.0.0.1/24"), "is not an IPv4 network of 8 to 25 bits", ""),
    "an address out of the network": (
        outside("subnet: 10.7.0.0/24", "ip: ▸10.0.2.15/24"),
        "10.0.2.15 is not in 10.7.0.0/24, the network of outside:slirp4netns",
        "write 10.7.0.15/24",
    ),
    "the gateway's address": (
        outside("", "ip: ▸10.0.2.2/24"),
        "10.0.2.2 is an address of outside:slirp4netns itself",
        "write 10.0.2.15/24",
    ),
}
