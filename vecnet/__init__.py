"""vecnet: the network for User Mode Linux.

It makes the host's end of every vector transport, writes the matching string for the guest, and proves the wire with
packets. Names are loaded when they are first used, so that a command starts as fast as what it needs.

Lower floors know nothing of higher ones; a test holds it.

| floor | where | subject |
|---|---|---|
| 0 | text.py, errors.py | text for people, escaped; the exceptions |
| 0 | records.py | dataclasses that cost little |
| 1 | values.py, options.py, impairment.py | kinds of values; an option and how a driver reads it; tc-netem's words |
| 1 | expectation.py | what is expected of a wire |
| 1 | registry.py | classes that lie a file each in a package |
| 1 | columns.py, progress.py | what commands print, in columns; how far they are |
| 1 | svg.py | what charts are drawn with |
| 1 | plain.py | dataclasses from plain data that others wrote |
| 2 | kernel/ | the host kernel's bytes and namespaces |
| 2 | runtime.py | where served sockets lie, and guests' consoles |
| 2 | mconsole.py | a running guest's management console |
| 2 | guests/ | what each generation of guests does in each situation |
| 3 | transports/ | one file each, which answers every question on its transport |
| 3 | sandbox.py, signals.py | a private network; signals that wait |
| 4 | vecstring.py | the string's syntax, its one place |
| 4 | programs/ | the programs that stand outside, one file each |
| 4 | contained.py | a command with whom all ends that it has started |
| 4 | legacy.py, commandline.py | strings of the drivers before; a whole command line, word by word |
| 4 | host/ | the host's end of links: plan, apply, undo, status |
| 5 | topology/ | the file, with positions |
| 5 | datapath/ | ports, loops, the switch, recordings: the wing that host/ never meets |
| 6 | serving/ | switches and outside programs that run, from a topology |
| 6 | loopback/, lab.py, launch.py | probes and diagnosis; a private network with its topology up; guests' processes |
| 6 | graph/ | a topology as a picture |
| 6 | export/ | a topology for those who configure otherwise |
| 6 | plugging/ | devices into a guest that runs, and out of it |
| 7 | fleet/ | a topology of many hosts, from one of them, through Ansible |
| 7 | bench/, pytest_plugin | figures; fixtures and probes as tests |
| 7 | doctor/, capture/ | what a machine lacks; a wire as pcapng |
| 7 | observing/ | what is there at a moment, and what passed between two |
| 8 | cli/ | a file a command |
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "VecDevice": "vecnet.vecstring",
    "Explanation": "vecnet.vecstring",
    "parse": "vecnet.vecstring",
    "explain": "vecnet.vecstring",
    "Topology": "vecnet.topology",
    "load": "vecnet.topology",
    "Port": "vecnet.datapath.port",
    "open_port": "vecnet.datapath.port",
    "Switch": "vecnet.datapath.switch",
    "VecnetError": "vecnet.errors",
    "InputError": "vecnet.errors",
    "VecStringError": "vecnet.errors",
    "HostError": "vecnet.errors",
    "PortError": "vecnet.errors",
    "ProgramError": "vecnet.errors",
    "GuestError": "vecnet.errors",
}
__all__ = ["__version__", *_HOMES]  # and the class of each transport: Tap, L2tpv3, …

if TYPE_CHECKING:
    from vecnet.datapath.port import Port as Port
    from vecnet.datapath.port import open_port as open_port
    from vecnet.datapath.switch import Switch as Switch
    from vecnet.errors import GuestError as GuestError
    from vecnet.errors import HostError as HostError
    from vecnet.errors import InputError as InputError
    from vecnet.errors import PortError as PortError
    from vecnet.errors import ProgramError as ProgramError
    from vecnet.errors import VecnetError as VecnetError
    from vecnet.errors import VecStringError as VecStringError
    from vecnet.topology import Topology as Topology
    from vecnet.topology import load as load
    from vecnet.transports import Transport
    from vecnet.transports.bess import Bess as Bess
    from vecnet.transports.fd import Fd as Fd
    from vecnet.transports.gre import Gre as Gre
    from vecnet.transports.hybrid import Hybrid as Hybrid
    from vecnet.transports.l2tpv3 import L2tpv3 as L2tpv3
    from vecnet.transports.raw import Raw as Raw
    from vecnet.transports.tap import Tap as Tap
    from vecnet.transports.vde import Vde as Vde
    from vecnet.vecstring import Explanation as Explanation
    from vecnet.vecstring import VecDevice as VecDevice
    from vecnet.vecstring import explain as explain
    from vecnet.vecstring import parse as parse


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif (value := _transport(name)) is None:
        raise AttributeError(f"module 'vecnet' has no attribute {name!r}")
    globals()[name] = value
    return value


def _transport(name: str) -> type[Transport] | None:
    """The class of a transport, whose file says of itself what it is called."""
    if not name[:1].isupper():
        return None
    transports = importlib.import_module("vecnet.transports").TRANSPORTS
    kind: type[Transport] | None = transports.get(name.lower())
    return kind if kind is not None and kind.__name__ == name else None
