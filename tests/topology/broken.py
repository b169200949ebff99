"""The table of broken topologies: by name, the text with ▸ before the place that the error names, a part of the
sentence, and a part of what to write instead.
"""

from __future__ import annotations

from tests.topology.broken_switches import SWITCHES

MARK = "▸"


def tap(line: str = "", guest: str = "{}", host: str = "{}") -> str:
    return (
        f"links:\n  - transport: tap\n{line and '    ' + line}\n"
        f"    endpoints:\n      web:vec0: {guest}\n      host:tap0: {host}\n"
    )


def gre(line: str = "", one: str = "{local: 192.0.2.1}", two: str = "{local: 192.0.2.2}", more: str = "") -> str:
    return (
        f"links:\n  - transport: gre\n{line and '    ' + line}\n"
        f"    endpoints:\n      web:vec0: {one}\n      db:vec0: {two}\n{more}"
    )


def l2tp(line: str = "", one: str = "{local: 192.0.2.1}", two: str = "{local: 192.0.2.2}", more: str = "") -> str:
    return gre(line, one, two, more).replace("transport: gre", "transport: l2tpv3")


def two_taps(first: str, second: str, rest: str = "") -> str:
    one = f"links:\n  - transport: tap\n    endpoints:\n      web:vec0: {first}\n      host:tap0: {{}}\n"
    return one + f"  - transport: tap\n    endpoints:\n      db:vec0: {second}\n      host:tap1: {{}}\n{rest}"


SYNTAX = {
    "empty": ("▸", "the file is empty", "write links:"),
    "nothing said": ("▸~\n", "a topology needs links", "add links:"),
    "only a comment": ("▸# nothing\n", "the file is empty", "write links:"),
    "unclosed": ("links: [\n▸", "this is not YAML", "close every bracket"),
    "unclosed mapping": ("links:\n  - {transport: tap\n▸", "this is not YAML", "close the bracket that line 2 opens"),
    "an unclosed quote": ('name: "lab\nlinks: []\n▸', "this is not YAML", "close the quote that line 1 opens"),
    "an address unquoted": ("links: {local: ▸::1}\n", "this is not YAML", "put quotes around"),
    "a sign at the start": ("name: ▸@lab\n", "this is not YAML", "put quotes around"),
    "indented less": ("links:\n  - transport: tap\n   ▸endpoints: []\n", "this is not YAML", "indent the keys"),
    "indented more": ("name: lab\n  links▸: []\n", "this is not YAML", "indent the keys"),
    "a list behind a key": ("name: ▸- a\n", "this is not YAML", "on a line of its own"),
    "a backslash": ('name: "a▸\\q"\n', "this is not YAML", "within single quotes"),
    "a tag on a list": (tap().replace("links:", "links: ▸!wires"), "has no meaning in a topology", "leave it out"),
    "a tab": ("links:\n▸\t- transport: tap\n", "this is not YAML", "indent with spaces"),
    "two documents": ("links: []\n▸---\nlinks: []\n", "single document", "leave the second '---' out"),
    "an unknown alias": ("links: ▸*nothing\n", "undefined alias", "write &name"),
    "nested too deeply": ("links: " + "[" * 995 + "▸" + "[" * 9000, "this is not YAML", ""),
    "a control character": ("name: a▸\x07b\n", "U+0007 cannot stand", "plain text"),
    "a list on top": ("▸- transport: tap\n", "the topology is a list, and takes a mapping", "key: value"),
    "a word on top": ("▸lab\n", "the topology is a single value", "key: value"),
}

STRUCTURE = {
    "no links": ("▸name: lab\n", "needs links", "add links:"),
    "links empty": ("links: ▸[]\n", "there are no links", "add one"),
    "links nothing": ("links:▸\n", "links is empty, and takes a list", "- "),
    "links a mapping": ("links: ▸{transport: tap}\n", "links is a mapping, and takes a list", "- "),
    "an empty link": (tap() + "  -▸\n", "an empty link", "leave the '-' out"),
    "a link that is a word": (tap() + "  - ▸tap\n", "a link is a single value", "key: value"),
    "unknown key on top": (tap() + "▸bridge: {}\n", "a topology has no key 'bridge'", "did you mean bridges?"),
    "a far key on top": (tap() + "▸quux: 1\n", "no key 'quux'", "its keys are name, defaults, guests, links, bridges"),
    "a key twice": (tap() + "▸links: []\n", "has the key 'links' twice, first in line 1", "leave one out"),
    "a key that is a list": (tap() + "? ▸[a]\n: b\n", "a key of the topology is a list", ""),
    "a bad name": ("name: ▸my lab\n" + tap(), "'my lab' is not a name of letters", ""),
    "a name that is a list": ("name: ▸[lab]\n" + tap(), "name is a list, and takes a single value", ""),
    "a foreign tag": ("name: ▸!!python/name:os.system x\n" + tap(), "has no meaning in a topology", "leave it out"),
    "defaults a list": ("defaults: ▸[128]\n" + tap(), "defaults is a list", "key: value"),
    "defaults of one end": (
        "defaults: {▸mac: 02:00:00:00:00:01}\n" + tap(),
        "defaults has no key 'mac'",
        "its keys are",
    ),
    "a default out of range": (
        "defaults: {depth: ▸0}\n" + tap(),
        "depth: '0' is not a whole number from 1 to 1024",
        "",
    ),
    "no transport": ("links:\n  - ▸endpoints: [web:vec0, host:tap0]\n", "a link needs transport", "tap"),
    "unknown transport": (
        "links:\n  - transport: ▸l2tp\n    endpoints: [web:vec0, host:tap0]\n",
        "there is no transport 'l2tp'",
        "did you mean l2tpv3?",
    ),
    "a far transport": (
        "links:\n  - transport: ▸carrier pigeon\n    endpoints: [web:vec0, host:tap0]\n",
        "there is no transport 'carrier pigeon'",
        "write one of bess, fd, gre",
    ),
    "no endpoints": ("links:\n  - ▸transport: tap\n", "a link needs endpoints", "add endpoints:"),
    "one endpoint": ("links:\n  - transport: tap\n    ▸endpoints: [web:vec0]\n", "this one has 1", "each wire"),
    "three endpoints": (
        "links:\n  - transport: tap\n    ▸endpoints: [web:vec0, db:vec0, host:tap0]\n",
        "exactly two ends, this one has 3",
        "each wire",
    ),
    "forms mixed": (
        "links:\n  - transport: tap\n    endpoints:\n      - ▸web:vec0: {ip: 10.0.0.2/24}\n      - host:tap0\n",
        "the short form of endpoints holds names alone",
        "write endpoints as a mapping",
    ),
    "unknown key at a link": (tap("▸dept: 128"), "a tap link has no key 'dept'", "did you mean depth?"),
    "another transport's key": (tap("▸encap: udp"), "a tap link has no key 'encap'", "its keys are"),
    "merge of a word": (tap("<<: ▸base"), "what '<<' merges is a single value", "key: value"),
}

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
}

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

VDE = 'links: [{transport: vde, endpoints: {web:vec0: {}, outside:vde: {url: "slirp://"}}}]\n'

GUESTS = {
    "a key of no guest": (
        f"guests: {{web: {{▸kernal: 7.2}}}}\n{tap()}",
        "guest web has no key 'kernal'",
        "mean kernel?",
    ),
    "a guest of no link": (
        f"guests: {{▸wbe: {{kernel: 7.2}}}}\n{tap()}",
        "no link has an end at the guest wbe",
        "web?",
    ),
    "a guest's reserved name": (
        f"guests: {{▸host: {{}}}}\n{tap()}",
        "host is a reserved word, and names no guest",
        "choose another",
    ),
    "guests as a list": (f"guests: ▸[web]\n{tap()}", "guests is a list, and takes a mapping", "key: value"),
    "a kernel that is none": (
        f"guests: {{web: {{kernel: ▸7}}}}\n{tap()}",
        "kernel: '7' is not a kernel's version, such as 7.2, or the path of its binary",
        "",
    ),
    "a binary that is no kernel": (
        f"guests: {{web: {{kernel: ▸/bin/sh}}}}\n{tap()}",
        "kernel: /bin/sh is not the binary of a kernel",
        "write its version, such as 7.2",
    ),
    "a transport that the kernel lacks": (
        "guests: {web: {kernel: 6.1}}\n" + VDE.replace("{web:", "{▸web:"),
        "web:vec0: 6.1 has no transport vde",
        "boot a later kernel",
    ),
    "one at a time in a tunnel": (
        gre("vec: ▸off"),
        "vec=0: the guest never sends",
        "leave vec out",
    ),
    "one at a time by default": (
        "defaults: {vec: ▸off}\n" + gre(),
        "vec=0: the guest never sends",
        "leave vec out",
    ),
    "outside without its url": (
        VDE.replace(' {url: "slirp://"}', " {}").replace("outside", "▸outside"),
        "outside:vde, the end outside of a vde link, needs url",
        "add url:",
    ),
    "a program that vde is not": (
        VDE.replace("outside:vde", "▸outside:passt"),
        "a vde link has no end at outside:passt",
        "write outside:vde",
    ),
    "vde to the host": (
        VDE.replace('outside:vde: {url: "slirp://"}', "▸host:tap0: {}"),
        "a vde link has no end at host:tap0",
        "write outside:vde",
    ),
    "vde between guests": (
        VDE.replace('outside:vde: {url: "slirp://"}', "▸xdb:vec0: {}"),
        "a vde link has one end at a guest, and the other at outside:vde",
        "use two links to the same network",
    ),
    "outside of a tap": (
        "links: [{transport: tap, endpoints: [web:vec0, ▸outside:vde]}]\n",
        "a tap link has no end at outside:vde",
        "write host:ifname",
    ),
    "a key of the end outside": (
        VDE.replace("web:vec0: {}", "web:vec0: {▸port: 3}"),
        "port at web:vec0 is a key of the end outside of a vde link",
        "write it there",
    ),
}

TABLES = (SYNTAX, STRUCTURE, ENDPOINTS, VALUES, TOGETHER, CLASHES, GUESTS, SWITCHES)
CASES = {name: case for table in TABLES for name, case in table.items()}
