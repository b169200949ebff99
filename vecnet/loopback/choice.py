"""What of a topology is proved, and by which probes: names that others give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.topology import Topology


def known_probes() -> tuple[str, ...]:
    """The names of all probes."""
    from vecnet.loopback.bridge import PROBE
    from vecnet.loopback.outside import PROBES
    from vecnet.loopback.probes import FILTER, NAMES

    return tuple(dict.fromkeys((*NAMES, FILTER, PROBE, *PROBES)))


def require_probes(probes: Sequence[str]) -> None:
    """Raise InputError for one that there is not."""
    names = known_probes()
    unknown = [probe for probe in probes if probe not in names]
    if unknown:
        raise InputError(f"there is no probe {unknown[0]!r}; the probes are {', '.join(names)}")


def require_links(topology: Topology, links: Sequence[str]) -> None:
    """Raise InputError for one that the topology has not."""
    names = [link.name for link in topology.links]
    for link in links:
        if link not in names:
            raise InputError(f"{topology.name} has no link {link!r}; its links are {', '.join(names)}")
