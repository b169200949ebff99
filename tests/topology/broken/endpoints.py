"""Ends that cannot be."""

from __future__ import annotations

from tests.topology.broken.texts import gre, tap

ENDPOINTS = {
    "no colon": (
        "links:\n  - transport: tap\n    endpoints: [▸web, host:tap0]\n",
        "'web' names no endpoint",
        "guest:vecN",
    ),
    "a guest's interface": (
        "links:\n  - transport: tap\n    endpoints: [▸web:eth0, host:tap0]\n",
        "a guest's interface is named vec0 to vec9999",
        "write web:vec0, or host:eth0",
    ),
    "a space behind the colon": (
        "links:\n  - transport: tap\n    endpoints: [▸'web: eth0', host:tap0]\n",
        "'web: eth0' names no endpoint: a guest's interface is named vec0 to vec9999",
        "write web:vec0, or host:eth0 for the host's end",
    ),
    "a guest's name": (
        'links:\n  - transport: tap\n    endpoints: [▸"my web:vec0", host:tap0]\n',
        "'my web' is not a name of letters",
        "",
    ),
    "a long interface": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸host:tap-of-the-web-guest]\n",
        "has 20 bytes, and an interface name has at most 15",
        "shorten it",
    ),
    "the loopback": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸host:lo]\n",
        "keeps the interface",
        "another",
    ),
    "a template": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸host:tap%d]\n",
        "for which the kernel puts a number",
        "without it",
    ),
    "two hosts": (
        "links:\n  - transport: raw\n    endpoints: [host:a, ▸host:b]\n",
        "both ends of the link are at the host",
        "must be a guest's",
    ),
    "a tap elsewhere": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸elsewhere:r]\n",
        "a tap link has no end at elsewhere:r",
        "write host:ifname",
    ),
    "the host and elsewhere": (
        gre(one="{local: 192.0.2.1}", two="{local: 192.0.2.2}")
        .replace("web:vec0", "host:g0")
        .replace("db:vec0", "▸elsewhere:r"),
        "neither end of the link is a guest's",
        "must be a guest's",
    ),
    "elsewhere without its address": (
        gre(two="{key: 7}").replace("db:vec0", "▸elsewhere:r"),
        "elsewhere:r, the end elsewhere of a gre link, needs local",
        "add local:",
    ),
    "a key of an interface elsewhere": (
        gre(two="{local: 192.0.2.2, ▸mac: 02:00:00:00:00:01}").replace("db:vec0", "elsewhere:r"),
        "mac at elsewhere:r is a key of a guest's end of a gre link",
        "write it there",
    ),
    "a guest with the reserved name": (tap() + "guests: {▸elsewhere: {}}\n", "is a reserved word", "another name"),
    "tap between guests": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸db:vec0]\n",
        "a tap link has one end at the host, and cannot join two guests",
        "use two links, each with its own host end, and the same bridge",
    ),
    "bess between guests": (
        "links:\n  - transport: bess\n    endpoints: [web:vec0, ▸db:vec0]\n",
        "a bess link has one end at the host",
        "two links to the switch",
    ),
    "an end used twice": (
        tap() + "  - transport: tap\n    endpoints: [▸web:vec0, host:tap1]\n",
        "the endpoint web:vec0 is used twice, first in line 5",
        "another name",
    ),
    "a link to itself": (
        "links:\n  - transport: fd\n    endpoints: [web:vec0, ▸web:vec0]\n",
        "the endpoint web:vec0 is used twice",
        "another name",
    ),
    "an end that is a word": (tap(guest="▸fast"), "web:vec0 is a single value, and takes a mapping", "key: value"),
    "the host's key at a guest": (
        tap(guest="{▸owner: alice}"),
        "owner at web:vec0 is a key of the host's end",
        "there",
    ),
    "the link's key at an end": (
        gre(one="{local: 192.0.2.1, ▸sequence: on}"),
        "is the same at both ends",
        "at the link",
    ),
    "unknown key at an end": (tap(host="{▸ownr: alice}"), "has no key 'ownr'", "did you mean owner?"),
    "needs local": (
        gre(one="{}").replace("web:vec0", "▸web:vec0"),
        "link, needs local, this end's outer address",
        "add local",
    ),
    "needs the switch's path": (
        "links:\n  - transport: bess\n    endpoints: [web:vec0, ▸host:sw]\n",
        "needs path, the path on which the switch listens",
        "add path:",
    ),
    "a switch with an address": (
        "links:\n  - transport: bess\n    endpoints:\n      web:vec0: {}\n"
        "      host:sw: {path: /run/s, ▸ip: 10.0.0.1/24}\n",
        "bess has no interface at the host",
        "leave it out",
    ),
    "a tunnel in a namespace": (
        gre(two="{local: 192.0.2.2, ▸netns: blue}").replace("db:vec0", "host:g0"),
        "netns at host:g0 is not possible: gre has its end where vecnet runs",
        "leave it out",
    ),
}
