"""The topology file: load it, with every mistake at its place, into a model with everything chosen that it left out.

| file | subject |
|---|---|
| document.py | YAML as nodes with positions |
| grammar.py | the keys, declared once |
| read.py | nodes to what the file states |
| places.py | hosts, what is on which, and what may cross |
| resolve.py | what was left out: choices and MTUs |
| clashes.py | what can be there only once |
| circles.py | switches and bridges that are joined in a circle; a switch's ports |
| kernels.py | the kernels that guests boot, and whether they take their strings |
| underlay.py | the MTU of a route, and of an interface that exists |
| model.py | the result |
| schema.py | the JSON Schema, for editors |
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Iterator

from vecnet.topology.model import Machine, ResolvedLink, Switching, Topology

__all__ = ["ResolvedLink", "Topology", "load", "loads"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vecnet.guests.kernel import Kernel
    from vecnet.topology.resolve import InterfaceMtu, Underlay


def load(
    path: str | os.PathLike[str],
    *,
    underlay: Underlay | None = None,
    interface_mtu: InterfaceMtu | None = None,
    kernel: Kernel | None = None,
) -> Topology:
    """The topology in a file; "-" is standard input.

    `underlay` gives the MTU, in bytes, of the way from one outer address to another, or None where there is none; left
    out, the host's kernel is asked. `interface_mtu` gives that of an interface that exists, likewise. Neither is
    asked where the file names hosts: take one's part then, by `Topology.on`. `kernel` is that of the guests that state
    none; left out, any. Raises InputError with every mistake and its place.
    """
    from vecnet.topology.document import read_text

    file = os.fspath(path)
    return loads(read_text(file), path=file, underlay=underlay, interface_mtu=interface_mtu, kernel=kernel)


def loads(
    text: str,
    *,
    path: str = "topology",
    underlay: Underlay | None = None,
    interface_mtu: InterfaceMtu | None = None,
    kernel: Kernel | None = None,
) -> Topology:
    """The topology in a text; `path` is the file's name in errors, and names the topology where it has no `name`."""
    from vecnet.topology import circles, clashes, kernels, resolve
    from vecnet.topology.document import Document
    from vecnet.topology.read import read

    with _no_search_for_garbage():
        doc = Document("standard-input" if path == "-" else path, text)
        draft = read(doc)
        wires = resolve.wires(doc, draft)
        asked = functools.cache(underlay or _route_mtu), functools.cache(interface_mtu or _interface_mtu)
        mtus = resolve.settle_mtus(doc, draft, wires, *asked)
        bridges = list(resolve.bridge_interfaces(doc, draft, mtus))
        clashes.check(doc, draft, wires, bridges)
        circles.check(doc, draft, wires)
        booted = kernels.of_guests(doc, draft, kernel)
        kernels.check(doc, wires, booted)
        links = [
            ResolvedLink(
                wire.draft.name,
                wire.spec,
                wire.options,
                wire.interfaces,
                doc.at(wire.draft.node),
                wire.draft.given.get("impair"),
                expected=resolve.expected(doc, draft, wire),
            )
            for wire in wires
        ]
        doc.finish()
        switches = {
            name: Switching(stated.given.get("age"), stated.given.get("addresses"))
            for name, stated in draft.switches.items()
        }
        hosts = {
            name: Machine(tuple(stated.given["address"]), stated.given.get("mtu"))
            for name, stated in draft.places.hosts.items()
        }
        return Topology(draft.name, path, tuple(links), tuple(bridges), booted, switches, hosts, text=text)


@contextlib.contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """A large file makes a million objects and no garbage; looking for it would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _route_mtu(local: str, remote: str) -> int | None:
    from vecnet.topology.underlay import route_mtu  # its socket module is for tunnels alone

    return route_mtu(local, remote)


def _interface_mtu(ifname: str) -> int | None:
    from vecnet.topology.underlay import interface_mtu

    return interface_mtu(ifname)
