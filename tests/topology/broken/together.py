"""What does not go together at one link."""

from __future__ import annotations

from tests.topology.broken.texts import gre, l2tp, tap

TOGETHER = {
    "families": (gre(one='{local: ▸"fd00::2"}'), "are of different families", "give two IPv4 or two IPv6"),
    "local multicast": (gre(two="{local: ▸224.0.0.1}"), "is not the address of one machine", "own address"),
    "local link-local": (
        gre(one='{local: "fd00::1"}', two='{local: ▸"fe80::1"}'),
        "is link-local, and says nothing",
        "global scope",
    ),
    "a tunnel in itself": (
        gre(two="{local: 192.0.2.2, ip: ▸192.0.2.2/24}"),
        "would carry itself",
        "a network of its own",
    ),
    "key off": (gre("key: off", one="{local: 192.0.2.1, key: ▸7}"), "the link has key: off", "key: on"),
    "port on IP": (l2tp("encap: ip", one="{local: 192.0.2.1, port: ▸7}"), "there are no ports", "encap: udp"),
    "cookie off": (l2tp("cookie: 0", one="{local: 192.0.2.1, cookie: ▸7}"), "the link has cookie: 0", "cookie: 64"),
    "cookie wide": (
        l2tp("cookie: 32", one="{local: 192.0.2.1, cookie: ▸0x123456789}"),
        "the cookie 0x123456789 has more than 32 bits",
        "cookie: 64",
    ),
    "mtu over the underlay": (
        gre("mtu: ▸1500"),
        "mtu 1500 does not fit db:vec0--web:vec0: 1500 bytes on the way less 38 for gre leave 1462",
        "write at most 1462",
    ),
    "default mtu over the underlay": ("defaults: {mtu: ▸1500}\n" + gre(), "mtu 1500 does not fit", "at most 1462"),
    "vec of a tap's descriptor": (
        "links:\n  - transport: fd\n    vec: ▸on\n    endpoints: [web:vec0, host:tap0]\n",
        "vec: on is not possible: fd to the host needs it otherwise",
        "leave it out",
    ),
    "IPv6 in a small MTU": (
        tap("mtu: 1000", guest='{ip: ▸"fd00::2/64"}'),
        "IPv6 needs an MTU of at least 1280",
        "leave",
    ),
    "the network's address": (tap(guest="{ip: ▸10.0.0.0/24}"), "is the address of the network itself", "10.0.0.1/24"),
    "the broadcast address": (tap(guest="{ip: ▸10.0.0.255/24}"), "is the broadcast address", "10.0.0.1/24"),
    "the loopback's address": (tap(guest="{ip: ▸127.0.0.1/8}"), "cannot be the address of an interface", "another"),
    "no such bridge": (
        tap(host="{bridge: ▸lna}") + "bridges: {lan: {}}\n",
        "the bridge lna of host:tap0 is not declared",
        "write one of lan, or add lna: under bridges",
    ),
    "a member with an address": (
        tap(host="{bridge: lan, ip: ▸10.0.0.1/24}") + "bridges: {lan: {}}\n",
        "where an address of its own is not reached",
        "give the address to the bridge lan",
    ),
    "an address of an interface that exists": (
        tap(host="{existing: on, ip: ▸10.0.0.1/24}"),
        "ip at host:tap0 is not vecnet's to choose: host:tap0 is there already",
        "leave it out, or existing: on",
    ),
    "an owner of a tap that exists": (
        tap(host="{existing: on, owner: ▸root}"),
        "is not vecnet's to choose",
        "leave it",
    ),
    "a bridge of an interface that exists": (
        tap(host="{existing: on, bridge: ▸br0}") + "bridges: {br0: {}}\n",
        "bridge at host:tap0 is not vecnet's to choose",
        "leave it out",
    ),
    "a guest's end of an interface that exists": (
        "links:\n  - transport: raw\n    endpoints: {web:vec0: {ifname: ▸v0}, host:eth1: {existing: on}}\n",
        "ifname at web:vec0 is not vecnet's to choose: host:eth1 is there already",
        "leave it out",
    ),
    "an address of a bridge that exists": (
        tap() + "bridges: {br0: {existing: on, ▸ip: 10.0.0.1/24}}\n",
        "ip is not vecnet's to choose: the bridge br0 is there already",
        "leave it out, or existing: on",
    ),
    "a tunnel's interface that exists": (
        gre(two="{local: 192.0.2.2, ▸existing: on}").replace("db:vec0", "host:g0"),
        "existing at host:g0 is not possible: a gre interface has the link's own parameters",
        "write elsewhere:g0",
    ),
    "half of the internet": (tap(host="{ip: ▸200.0.0.1/1}"), "a large part of the internet", "such as 200.0.0.1/24"),
    "all of it": (tap(host='{ip: ▸"2001:db8::1/0"}'), "a large part of the internet", "such as 2001:db8::1/64"),
    "a bridge with all of it": (tap() + "bridges: {lan: {ip: ▸10.0.0.1/0}}\n", "a large part of the internet", "/24"),
    "no address at all": (tap(host='{ip: ▸"::/0"}'), "cannot be the address of an interface", "choose another"),
    "this host's own address elsewhere": (
        gre(two="{local: ▸127.0.0.9}").replace("db:vec0", "elsewhere:r"),
        "127.0.0.9 is every machine's own address, and not elsewhere:r's",
        "give the outer address of the device there",
    ),
    "one address at both ends": (
        gre(two="{local: ▸192.0.2.1}").replace("db:vec0", "elsewhere:r"),
        "192.0.2.1 is web:vec0's own address",
        "give the outer address of the device there",
    ),
    "a bridge elsewhere": (
        tap(host="{bridge: ▸lan}") + "bridges: {lan: {netns: blue}}\n",
        "bridge lan is in the network namespace blue",
        "write netns: blue",
    ),
    "a bridge's mtu": (
        gre(two="{local: 192.0.2.2, bridge: lan}").replace("db:vec0", "host:g0") + "bridges: {lan: {mtu: ▸1500}}\n",
        "mtu 1500 does not fit the member web:vec0--host:g0 of bridge lan: it leaves 1462",
        "at most 1462",
    ),
    "a member's mtu": (
        tap("mtu: ▸9000", host="{bridge: lan}") + "bridges: {lan: {mtu: 1500}}\n",
        "drops larger frames than its own in silence",
        "write mtu: 1500",
    ),
    "what is not measured outside": (
        "links:\n  - transport: bess\n    expect: ▸{latency_p50: 1ms}\n"
        "    endpoints: [web:vec0, outside:slirp4netns]\n",
        "latency_p50 is not measured of a program outside, such as outside:slirp4netns",
        "leave it out; what can be expected is throughput",
    ),
}
