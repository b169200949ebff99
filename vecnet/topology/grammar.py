"""The topology file's keys, declared once: the loader reads by them and the JSON Schema is generated from them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import cache

from vecnet.errors import Refused
from vecnet.expectation import MEASURES, ExpectedText
from vecnet.impairment import ImpairmentText
from vecnet.transports import TRANSPORTS
from vecnet.transports.base import MAX_MTU, MIN_MTU, Transport
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, SWITCH, End, Key, Keys
from vecnet.values import (
    NAME_PATTERN,
    Flag,
    IfName,
    Integer,
    IpAddress,
    IpInterface,
    KernelName,
    Mac,
    Name,
    NewIfName,
)
from vecnet.vecstring import MAX_UNIT

GUEST_IFNAME = r"vec(0|[1-9][0-9]{0,3})"
_GUEST_END = re.compile(f"({NAME_PATTERN}):({GUEST_IFNAME})")
_NAME, _IFNAME = Name(), NewIfName()

_IP = Key(IpInterface(), "the inner address, or a list of them", many=True)
_MAC = Key(Mac(), "the Ethernet address; chosen from the names if left out")
_EXISTING = Key(Flag(), "on: it is there already, and is neither made, nor changed, nor removed")
_NETNS = Key(Name(), "the named network namespace that the interface is in; it must exist")

TOPOLOGY = {
    "name": "the topology's name, in the marks of what it makes; the file's own name if left out",
    "defaults": "options of every link that does not state them itself",
    "guests": "the guests, by name: those that links name, booting any kernel, if left out",
    "links": "the wires, each with exactly two ends",
    "bridges": "bridges of the host, by name; with hosts, by host:name",
    "switches": "vecnet's own switches, by name: `vecnet serve` and `vecnet run` run them",
    "hosts": "the machines that the topology is for, by name; this one alone if left out",
}
NAME = Keys(name=Key(Name(), TOPOLOGY["name"]))
EXPECT = Key(ExpectedText(), "what `vecnet loopback` is to find, or the link fails")
EXPECTED = Keys(**{key: Key(measure.kind, measure.doc) for key, measure in MEASURES.items()})
COMMON = Keys(**{key: Key(o.kind, o.doc) for key, o in Transport.options().items() if key != "mac"}, expect=EXPECT)
HOST_KEYS = Keys(
    address=Key(
        IpAddress(),
        "its outer address, or one of each family, in a list: `local` of what leaves it, where none is stated",
        many=True,
        required=True,
    ),
    mtu=Key(Integer(MIN_MTU, MAX_MTU), "the largest packet on its way to the others, in bytes; 1500 if left out"),
)
_ON = Key(Name(), "the host that it is on; it may be left out where there is one host")
GUEST = Keys(
    kernel=Key(KernelName(), "the kernel that the guest boots: its version, or the path of its binary"),
    on=_ON,
)
SWITCH_KEYS = Keys(
    on=_ON,
    age=Key(Integer(1, 86400), "seconds after which an address that is silent is forgotten; 300 if left out"),
    addresses=Key(Integer(1, 2**24 - 1), "how many addresses it knows at the most; 65536 if left out"),
)
_PORT = {
    "isolated": Key(Flag(), "whether nothing passes between this port and others that are isolated"),
    "storm": Key(Integer(1, 2**32 - 1), "frames a second that the port may have flooded; 10000 if left out"),
    "mirror": Key(
        Name(), "the ports whose frames are copied to this one, or all; it then takes part in nothing else", many=True
    ),
}
BRIDGE = Keys(
    ip=_IP,
    mtu=Key(Integer(MIN_MTU, MAX_MTU), "the MTU of the bridge and of all its members"),
    mac=_MAC,
    netns=_NETNS,
    existing=_EXISTING,
)
INTERFACE = {
    "ip": _IP,
    "mac": _MAC,
    "bridge": Key(IfName(), "the bridge that it is a member of; one that is not under bridges is there already"),
    "netns": _NETNS,
    "existing": _EXISTING,
}
_LINK = {
    "name": Key(Name(), "the link's name; that of its ends if left out"),
    "impair": Key(
        ImpairmentText(),
        "what a served switch or the host's netem does to its frames, in tc-netem's words",
    ),
}


@cache
def _keys_of_link(name: str) -> Keys:
    return Keys(**{**_LINK, **COMMON, **TRANSPORTS[name].link_keys})


def link_keys(transport: type[Transport]) -> Keys:
    """The keys of a link besides `transport` and `endpoints`."""
    return _keys_of_link(transport.name)


def end_keys(transport: type[Transport], where: str = "", program: str = "", *, hosts: bool = False) -> Keys:
    """The keys of an endpoint, those that must be there first: a guest's, or one's at HOST, SWITCH, OUTSIDE, ELSEWHERE.

    Outside it is the program's keys. With `hosts`, those need not be there that a host may have a value for.
    """
    return _keys_of_end(transport.name, where, program if where == OUTSIDE else "", hosts)


def programs(transport: type[Transport]) -> tuple[str, ...]:
    """What may stand outside, at a link of this transport."""
    from vecnet.programs import PROGRAMS  # for links that lead outside, which few files have

    own = (transport.program,) if transport.program else ()
    return (*own, *(name for name, program in PROGRAMS.items() if program.transport == transport.name))


@cache
def _keys_of_end(name: str, where: str, program: str, hosts: bool) -> Keys:
    transport = TRANSPORTS[name]
    if where == HOST:
        keys = {**transport.host_keys, **{key: INTERFACE[key] for key in transport.interface_keys}}
    elif where == OUTSIDE:
        from vecnet.programs import PROGRAMS

        keys = {**(PROGRAMS[program].keys if program in PROGRAMS else transport.outside_keys)}
    elif where == ELSEWHERE:
        keys = {**transport.elsewhere_keys, "ip": _IP} if transport.elsewhere_keys else {}
    elif where == SWITCH:
        own = transport.guest_keys if transport.switch_keys is None else transport.switch_keys
        keys = {**own, **_PORT}
    else:
        keys = {**transport.guest_keys, "ip": _IP, "mac": _MAC}
    if hosts and where != ELSEWHERE:
        keys = {name: replace(key, required=key.required and not key.by_host) for name, key in keys.items()}
    return Keys(**dict(sorted(keys.items(), key=lambda item: not item[1].required)))


def parse_endpoint(text: str, switches: Collection[str] = (), hosts: Collection[str] = ()) -> End:
    """The end that `web:vec0`, `host:tap0`, `outside:vde`, `elsewhere:router` names.

    Of these switches `lan:web`, and of these hosts, where there are any, `alpha:tap0` in place of `host:tap0`. Raises
    Refused.
    """
    guest = _GUEST_END.fullmatch(text)
    if guest and (name := guest[1]) not in (HOST, OUTSIDE, ELSEWHERE) and name not in switches and name not in hosts:
        return End(name, guest[2])
    node, colon, ifname = text.partition(":")
    if not colon or not node or not ifname:
        raise Refused(f"{text!r} names no endpoint", "write guest:vecN or host:ifname")
    if node == HOST and hosts:
        raise Refused(f"{text!r} is on none of the hosts", f"write {next(iter(hosts))}:{ifname.strip()}")
    if node == HOST:
        return End(None, _IFNAME.parse(ifname))
    if node in hosts:
        if re.fullmatch("vec[0-9]+", ifname):
            raise Refused(f"{text!r}: an interface of a host is not named like a guest's", f"write {node}:tap0")
        return End(None, _IFNAME.parse(ifname), host=node)
    if node in (OUTSIDE, ELSEWHERE):
        return End(None, _NAME.parse(ifname), where=node)
    _NAME.parse(node)
    if node in switches:
        if re.fullmatch("vec[0-9]+", ifname):
            raise Refused(f"{text!r}: a port of a switch is not named like a guest's interface", f"write {node}:web")
        return End(None, _NAME.parse(ifname), where=node)
    message = f"{text!r} names no endpoint: a guest's interface is named vec0 to vec{MAX_UNIT}"
    own, named = (next(iter(hosts)), "switches or hosts") if hosts else (HOST, "switches")
    instead = f"write {node}:vec0, or {own}:{ifname.strip()} for the host's end, or add {node} to {named}"
    raise Refused(message, instead)
