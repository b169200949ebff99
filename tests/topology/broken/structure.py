"""Keys that are missing, unknown or in the wrong place, but for those at ends."""

from __future__ import annotations

from tests.topology.broken.texts import tap

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
