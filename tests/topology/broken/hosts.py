"""Several hosts: what is where, and what crosses."""

from __future__ import annotations

ALPHA, BETA = "alpha: {address: 192.0.2.11}", "beta: {address: 192.0.2.12}"
GUESTS = "web: {on: alpha}, db: {on: beta}"
WIRE = "{transport: l2tpv3, endpoints: [web:vec9, db:vec9]}"


def lab(*links: str, hosts: str = f"{ALPHA}, {BETA}", guests: str = GUESTS, more: str = "") -> str:
    """A topology of two hosts with a guest each and a wire between them, and these links."""
    head = f"hosts: {{{hosts}}}\nguests: {{{guests}}}\n{more}links:\n"
    return head + "".join(f"  - {one}\n" for one in (WIRE, *links))


def tunnel(one: str = "", two: str = "", transport: str = "gre") -> str:
    return f"{{transport: {transport}, endpoints: {{web:vec0: {{{one}}}, db:vec0: {{{two}}}}}}}"


def trunks(*hosts: tuple[str, str]) -> tuple[str, ...]:
    """A tunnel of the kernel's for each pair of hosts, between their bridges."""
    return tuple(
        f"{{transport: gre, endpoints: {{{a}:to-{b}: {{bridge: br}}, {b}:to-{a}: {{bridge: br}}}}}}" for a, b in hosts
    )


THREE = f"{ALPHA}, {BETA}, gamma: {{address: 192.0.2.13}}"

HOSTS = {
    "a host without address": (lab(hosts=f"{ALPHA}, ▸beta: {{}}"), "host beta needs address", "add address:"),
    "a key of no host": (
        lab(hosts=f"{ALPHA}, beta: {{address: 192.0.2.12, ▸adress: x}}"),
        "host beta has no key 'adress'",
        "",
    ),
    "a host's name": (lab(hosts=f"{ALPHA}, {BETA}, ▸outside: {{address: 192.0.2.1}}"), "is a reserved word", "another"),
    "a host without links": (lab(hosts=THREE.replace("gamma", "▸gamma")), "on the host gamma", "leave it out"),
    "a guest named like a host": (
        lab(guests=f"{GUESTS}, ▸beta: {{on: alpha}}"),
        "beta is a host, in line 1, and cannot be a guest, too",
        "choose another name",
    ),
    "two hosts of one address": (
        lab(hosts=f"{ALPHA}, beta: {{address: ▸[192.0.2.12, 192.0.2.11]}}"),
        "192.0.2.11 is the address of the host alpha, too",
        "an address of its own",
    ),
    "a host's loopback": (
        lab(hosts=f"{ALPHA}, beta: {{address: ▸[192.0.2.12, '::1']}}"),
        "::1 is no address by which another machine reaches a host",
        "that the others reach",
    ),
    "a guest on no host": (lab(guests="web: {on: alpha}, ▸db: {}"), "not said which host db is on", "add on: alpha"),
    "a guest that is not declared": (
        lab(guests="web: {on: alpha}").replace("db:vec9", "▸db:vec9"),
        "it is not said which host db is on",
        "write guests: {db: {on: alpha}}",
    ),
    "a guest on a host that is none": (
        lab(guests="web: {on: alpha}, db: {on: ▸bteta}"),
        "on: there is no host 'bteta'",
        "did you mean beta?",
    ),
    "on without hosts": (
        "guests: {web: {on: ▸alpha}}\nlinks: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n",
        "on: the topology names no hosts for the guest web",
        "add hosts:",
    ),
    "the host of several": (
        lab("{transport: tap, endpoints: [web:vec0, ▸host:tap0]}"),
        "'host:tap0' is on none of the hosts",
        "write alpha:tap0",
    ),
    "a host that is not declared": (
        lab("{transport: tap, endpoints: [web:vec0, ▸gamma:tap0]}"),
        "'gamma:tap0' names no endpoint",
        "or alpha:tap0 for the host's end, or add gamma to switches or hosts",
    ),
    "a host's interface like a guest's": (
        lab("{transport: tap, endpoints: [web:vec0, ▸alpha:vec0]}"),
        "an interface of a host is not named like a guest's",
        "write alpha:tap0",
    ),
    "a bridge on no host": (lab(more="bridges: {▸br: {}}\n"), "the bridge br is on none of the hosts", "alpha:br"),
    "a bridge on a host that is none": (
        lab(more="bridges: {▸gamma:br: {}}\n"),
        "the bridge gamma:br is on none of the hosts",
        "write alpha:br",
    ),
    "a bridge that is nearly there": (
        lab(
            "{transport: tap, endpoints: {web:vec0: , alpha:tap0: {bridge: ▸brr}}}",
            more="bridges: {alpha:br: {}, beta:brrr: {}}\n",
        ),
        "the bridge alpha:brr of alpha:tap0 is not declared",
        "write one of br, or add alpha:brr",
    ),
    "a tap across": (
        lab("{transport: tap, endpoints: [▸web:vec0, beta:tap0]}"),
        "a tap link lies within one host, and beta:tap0 is on beta, web:vec0 on alpha",
        "write transport: gre or l2tpv3, or put both on one host",
    ),
    "raw across": (lab("{transport: raw, endpoints: [db:vec0, ▸web:vec0]}"), "a raw link lies within one host", "gre"),
    "two hosts by tap": (
        lab("{transport: tap, endpoints: [alpha:tap0, ▸beta:tap0]}"),
        "a tap link lies within one host",
        "write transport: gre or l2tpv3",
    ),
    "a switch across": (
        lab("{transport: bess, endpoints: [db:vec0, ▸lan:db]}", more="switches: {lan: {on: alpha}}\n"),
        "a bess link lies within one host",
        "l2tpv3",
    ),
    "a tunnel within a host": (
        lab("{transport: gre, endpoints: {▸web:vec0: , web:vec1: {local: 127.0.0.2}}}"),
        "web:vec0 needs local, this end's outer address",
        "add local:",
    ),
    "a host with itself": (
        lab("{transport: gre, endpoints: [alpha:one, ▸alpha:two]}"),
        "both ends of the link are at the host",
        "a guest's",
    ),
    "every machine's address": (
        lab(tunnel("local: ▸127.0.0.5")),
        "127.0.0.5 is every machine's own address, and not reached from another",
        "give an address of alpha, or leave it out",
    ),
    "the other's address": (
        lab(tunnel(two="local: 192.0.2.11").replace("web", "▸web")),
        "192.0.2.11 is the address of both ends, and they are on two machines",
        "an address of its own host",
    ),
    "two families": (
        lab(tunnel(two="local: 2001:db8::1").replace("web", "▸web")),
        "the outer addresses 2001:db8::1 and 192.0.2.11 are of different families",
        "two IPv6",
    ),
    "a port of one host twice": (
        lab(
            tunnel("port: 5000", transport="l2tpv3"), tunnel("port: ▸5000", transport="l2tpv3").replace("vec0", "vec1")
        ),
        "UDP port 5000 on 192.0.2.11 is used twice, first by web:vec0 in line 5",
        "choose another port",
    ),
    "an interface of one host twice": (
        lab(
            "{transport: tap, endpoints: [web:vec0, alpha:tap0]}",
            "{transport: tap, endpoints: [web:vec1, ▸alpha:tap0]}",
            "{transport: tap, endpoints: [db:vec0, beta:tap0]}",
        ),
        "the endpoint alpha:tap0 is used twice, first in line 5",
        "another name",
    ),
    "an mtu that does not cross": (
        lab(tunnel().replace("transport", "mtu: ▸1500, transport", 1)),
        "1500 bytes on the way less 42 for gre leave 1458",
        "write at most 1458",
    ),
    "one LAN of two MTUs": (
        lab(*trunks(("alpha", "beta")), more="bridges: {alpha:br: {mtu: 1400}, beta:br: {mtu: ▸1300}}\n"),
        "mtu 1300 of bridge beta:br, which links join to the bridge alpha:br with 1400",
        "write mtu: 1400",
    ),
    "a LAN that is too large": (
        lab(*trunks(("alpha", "beta")), more="bridges: {alpha:br: {mtu: ▸1500}, beta:br: {}}\n"),
        "mtu 1500 does not fit the member alpha:to-beta--beta:to-alpha of bridge alpha:br: it leaves 1458",
        "write at most 1458",
    ),
    "a circle of hosts": (
        lab(
            *trunks(("alpha", "beta"), ("beta", "gamma")),
            f"▸{trunks(('gamma', 'alpha'))[0]}",
            hosts=THREE,
            more="bridges: {alpha:br: , beta:br: , gamma:br: }\n",
        ),
        "closes a circle: the bridge alpha:br and the bridge gamma:br are joined already",
        "leave one of the links out",
    ),
}
