"""What devices elsewhere must be told, as a table for whoever configures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vecnet.columns import Line, table

if TYPE_CHECKING:
    from vecnet.topology import Topology

Settings = Mapping[str, str | int]


def lines(topology: Topology, width: int | None) -> list[Line]:
    """A table for each link that ends elsewhere."""
    found: list[Line] = []
    for link in topology.links:
        if settings := link.far_settings:
            here, there = link.spec.ends
            found += [f"{there}, for {here}:", *table(list(_rows(settings).items()), width, margin=4)]
    return found


def as_json(topology: Topology) -> dict[str, Settings]:
    """The same, by the link's name; the words of a key are joined by '_'."""
    return {link.name: by_key(link.far_settings) for link in topology.links if link.far_settings}


def by_key(settings: Settings) -> Settings:
    """Settings as JSON has them."""
    return {name.replace(" ", "_").replace("-", "_"): value for name, value in settings.items()}


def in_words(settings: Settings) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _rows(settings: Settings) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}
