"""What does not go together at several."""

from __future__ import annotations

from tests.topology.broken.texts import gre, l2tp, tap, two_taps

CLASHES = {
    "ifname of a bridge": (
        tap() + "bridges: {▸tap0: {}}\n",
        "the interface tap0 is there already",
        "choose another",
    ),
    "ifname chosen for a peer": (
        "links:\n  - transport: raw\n    endpoints: [web:vec0, host:v0]\n"
        "  - transport: tap\n    endpoints: [db:vec0, ▸host:p-v0]\n",
        "the interface p-v0 is there already: the interface p-v0, chosen for web:vec0, in line 3",
        "choose another",
    ),
    "ifname of both veth ends": (
        "links:\n  - transport: raw\n    endpoints: {web:vec0: {ifname: v0}, ▸host:v0: {}}\n",
        "the interface v0 is there already",
        "choose another",
    ),
    "mac twice": (
        two_taps("{mac: 02:00:00:00:00:01}", "{mac: ▸02:00:00:00:00:01}"),
        "the MAC address 02:00:00:00:00:01 of db:vec0 is there already",
        "choose another",
    ),
    "inner address": (
        two_taps("{ip: 10.0.0.2/24}", "{ip: ▸10.0.0.2/16}"),
        "the address 10.0.0.2 of db:vec0 is there already: the address 10.0.0.2 of web:vec0 in line 4",
        "choose another",
    ),
    "a bridge's address": (
        two_taps("{ip: 10.0.0.2/24}", "{}", "bridges: {lan: {ip: ▸10.0.0.2/24}}\n"),
        "the address 10.0.0.2 of bridge lan is there already",
        "choose another",
    ),
    "link names": (
        two_taps("{}", "{}")
        .replace("tap\n", "tap\n    name: a\n", 1)
        .replace("tap\n    end", "tap\n    name: ▸a\n    end"),
        "the link name a is there already",
        "choose another",
    ),
    "gre without keys": (
        gre(more="  - transport: gre\n    endpoints: {web:vec1: {local: ▸192.0.2.1}, db:vec1: {local: 192.0.2.3}}\n"),
        "GRE to 192.0.2.1 with no key is used twice, first by web:vec0 in line 5",
        "choose another local",
    ),
    "gre with one key": (
        gre(
            one="{local: 192.0.2.1, key: 7}",
            more="  - transport: gre\n    endpoints:\n      web:vec1: {local: 192.0.2.1, key: ▸7}\n"
            "      db:vec1: {local: 192.0.2.3}\n",
        ),
        "GRE to 192.0.2.1 with key 7 is used twice",
        "choose another key",
    ),
    "gre of a guest and the kernel": (
        gre(one="{local: 192.0.2.2}", two="{local: 192.0.2.1, key: 7}").replace("db:vec0", "host:g0")
        + "  - transport: gre\n    endpoints: {a:vec0: {local: 192.0.2.1, key: ▸7}, b:vec0: {local: 192.0.2.3}}\n",
        "GRE to 192.0.2.1 with key 7 is used twice, first by host:g0 in line 6",
        "choose another key",
    ),
    "gre of the kernel, twice": (
        gre(one="{local: 192.0.2.2}", two="{local: 192.0.2.1, key: 7}").replace("db:vec0", "host:g0")
        + "  - transport: gre\n    endpoints: {web:vec1: {local: 192.0.2.2}, host:g1: {local: 192.0.2.1, key: ▸7}}\n",
        "the GRE tunnel from 192.0.2.2 to 192.0.2.1 with key 7 is used twice, first by host:g0 in line 6",
        "choose another key",
    ),
    "udp port": (
        l2tp(
            one="{local: 192.0.2.1, port: 1701}",
            more="  - transport: l2tpv3\n    endpoints:\n      web:vec1: {local: 192.0.2.1, port: ▸1701}\n"
            "      db:vec1: {local: 192.0.2.2}\n",
        ),
        "UDP port 1701 on 192.0.2.1 is used twice, first by web:vec0 in line 5",
        "choose another port",
    ),
    "session on IP": (
        l2tp(
            "encap: ip",
            one="{local: 192.0.2.1, session: 5}",
            more="  - transport: l2tpv3\n    encap: ip\n    endpoints:\n"
            "      web:vec1: {local: 192.0.2.1, session: ▸5}\n      db:vec1: {local: 192.0.2.2}\n",
        ),
        "the L2TPv3 session 5 to 192.0.2.1 is used twice",
        "choose another session",
    ),
    "a guest's descriptor": (
        "links:\n  - transport: fd\n    endpoints: {a:vec0: {fd: 7}, b:vec0: {}}\n"
        "  - transport: fd\n    endpoints: {a:vec1: {fd: ▸7}, b:vec1: {}}\n",
        "descriptor 7 of a is used twice",
        "choose another fd",
    ),
    "a switch's socket": (
        "links:\n  - transport: bess\n    endpoints: {a:vec0: {}, host:s: {path: /run/s}}\n"
        "  - transport: bess\n    endpoints: {b:vec0: {}, host:t: {path: ▸/run/s}}\n",
        "the Unix socket /run/s is used twice",
        "choose another path",
    ),
}
