"""What a machine lacks for a topology, or at all, each with the command that mends it. Nothing is changed.

| file | subject |
|---|---|
| finding.py | one thing that was looked at |
| apart.py | a question asked in a private network, where an ordinary user is root |
| kernel.py | what the host's kernel has, and its settings that keep packets back |
| rights.py | user namespaces, and the capabilities that guests need |
| programs.py | the programs that a topology names |
| guest.py | a guest's kernel, which is booted |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vecnet.doctor.finding import Finding, State

if TYPE_CHECKING:
    from vecnet.topology import Topology

__all__ = ["Finding", "State", "examine"]


def examine(topology: Topology | None = None, linux: str | None = None) -> Iterator[Finding]:
    """All that a topology needs, or all that vecnet can use where it is None; `linux` is the guests' kernel.

    That is found in PATH, where it is None, and boots for two seconds. Raises HostError and InputError.
    """
    from vecnet.doctor import guest, kernel, programs, rights

    yield from kernel.examine(topology)
    yield from rights.namespaces(topology)
    binary = guest.binary(linux)
    if topology is not None:
        yield from rights.of_guests(topology, binary)
    yield from programs.examine(topology)
    links = topology.links if topology is not None else ()
    yield guest.examine(binary, tuple(link.name for link in links if any(link.devices)))
