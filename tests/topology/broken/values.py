"""Values that are not of their kind."""

from __future__ import annotations

from tests.topology.broken.texts import gre, l2tp, tap

VALUES = {
    "flag": (tap("gro: ▸maybe"), "gro: 'maybe' is not on or off", ""),
    "depth": (tap("depth: ▸1e3"), "depth: '1e3' is not a whole number from 1 to 1024", ""),
    "mtu small": (tap("mtu: ▸68"), "mtu: '68' is not a whole number from 576 to 65521", ""),
    "mtu nothing": (tap("mtu:▸"), "mtu: the value is empty", ""),
    "mac": (tap(guest='{mac: ▸"02:00:00"}'), "mac: '02:00:00' is not a unicast MAC address", ""),
    "mac multicast": (tap(guest="{mac: ▸33:33:00:00:00:01}"), "is a multicast address", "clear the lowest bit"),
    "ip without prefix": (tap(guest="{ip: ▸10.0.0.2}"), "is not an address with its prefix length", ""),
    "ip in a list": (tap(guest="{ip: [10.0.0.2/24, ▸10.0.0.300/24]}"), "'10.0.0.300/24' is not an address", ""),
    "ip a mapping": (tap(guest="{ip: ▸{v4: 10.0.0.2/24}}"), "ip is a mapping, and takes a single value", ""),
    "ip scoped": (tap(host='{ip: ▸"fe80::1%eth0/64"}'), "has a scope, which follows from the interface", "without '%'"),
    "impairment": (tap("impair: ▸loss"), "impair: 'loss' is not an impairment such as 'loss 1% delay 10ms", ""),
    "a share": (tap("expect: {loss: ▸3x}"), "loss: '3x' is not a share such as 0, 0.5% or 2%", ""),
    "a share without its sign": (tap("expect: {loss: ▸0.5}"), "loss: '0.5' is not a share", ""),
    "more than all": (tap("expect: {loss: ▸101%}"), "loss: '101%' is not a share", ""),
    "a time without a unit": (tap("expect: {latency_p99: ▸2}"), "latency_p99: '2' is not a time such as 200us", ""),
    "a rate": (tap("expect: {throughput: ▸fast}"), "throughput: 'fast' is not a rate in bits a second", ""),
    "a burst": (tap("expect: {burst: ▸0}"), "burst: '0' is not a whole number from 1 to 2048", ""),
    "a rate of all": ("defaults: {expect: {throughput: ▸1T}}\n" + tap(), "throughput: '1T' is not a rate", ""),
    "what is expected": (tap("expect: ▸much"), "expect is a single value, and takes a mapping", "write key: value"),
    "what nobody measures": (tap("expect: {▸thruput: 1}"), "expect has no key 'thruput'", "did you mean throughput?"),
    "owner's number": (tap(host="{owner: ▸4294967295}"), "is larger than a user's", "at most 4294967294"),
    "group's number": (tap(host="{group: ▸99999999999}"), "is larger than a user's", "at most 4294967294"),
    "owner": (tap(host="{owner: ▸'a b'}"), "'a b' is not a user's or group's name", ""),
    "sequence": (gre("sequence: ▸iseq"), "sequence: 'iseq' is not one of off, on, pinned", ""),
    "key": (gre(one="{local: 192.0.2.1, key: ▸0x100000000}"), "from 0 to 0xffffffff", ""),
    "local": (gre(one="{local: ▸here}"), "local: 'here' is not an IPv4 or IPv6 address", ""),
    "local scoped": (
        gre(one='{local: ▸"fe80::1%eth0"}'),
        "has a scope, which names an interface",
        "global scope",
    ),
    "cookie bits": (l2tp("cookie: ▸48"), "cookie: '48' is not one of 0, 32, 64", ""),
    "session": (l2tp(one="{local: 192.0.2.1, session: ▸0}"), "from 1 to 0xffffffff", ""),
    "port": (l2tp(one="{local: 192.0.2.1, port: ▸65536}"), "from 1 to 65535", ""),
    "fd": (
        "links:\n  - transport: fd\n    endpoints: {a:vec0: {fd: ▸-1}, b:vec0: {}}\n",
        "fd: '-1' is not a whole",
        "",
    ),
    "path": (
        "links:\n  - transport: bess\n    endpoints: {a:vec0: {}, host:s: {path: ▸'/run/a,b'}}\n",
        "holds a ',', which a vec string cannot carry",
        "choose a name without it",
    ),
    "path long": (
        f"links:\n  - transport: bess\n    endpoints: {{a:vec0: {{}}, host:s: {{path: ▸/{'x' * 107}}}}}\n",
        "has 108 bytes, and a Unix socket's has at most 107",
        "choose a shorter folder",
    ),
    "bridge name": (
        tap() + "bridges: {▸this-name-is-too-long: {}}\n",
        "a bridge is named like an interface",
        "shorten",
    ),
    "bridge name of the kernel's": (
        tap() + "bridges: {▸all: {}}\n",
        "the kernel keeps the interface name 'all' for itself",
        "choose another one",
    ),
    "a guest's end with a name of the kernel's": (
        "links:\n  - transport: raw\n    endpoints: {web:vec0: {ifname: ▸default}, host:veth0: {}}\n",
        "the kernel keeps the interface name 'default' for itself",
        "choose another one",
    ),
    "a name that a shell would cut": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸'host:a;reboot']\n",
        "'a;reboot' holds a ';', a sign of the shell's own",
        "choose a name without it",
    ),
    "a bridge's name that a shell would fill in": (
        tap() + "bridges: {▸$HOME: {}}\n",
        "'$HOME' holds a '$', a sign of the shell's own",
        "choose a name without it",
    ),
    "a name that is an option": (
        "links:\n  - transport: tap\n    endpoints: [web:vec0, ▸host:-all]\n",
        "'-all' begins with a '-', which programs take for an option",
        "begin with a letter",
    ),
    "a guest's end with a name that a shell would match": (
        "links:\n  - transport: raw\n    endpoints: {web:vec0: {ifname: ▸'veth*'}, host:veth0: {}}\n",
        "'veth*' holds a '*', a sign of the shell's own",
        "choose a name without it",
    ),
    "bridge key": (tap() + "bridges: {lan: {▸stp: on}}\n", "bridge lan has no key 'stp'", "its keys are"),
}
