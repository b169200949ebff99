"""linux: the far end of a link, for a machine whose kernel makes it, as a script of iproute2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vecnet.export.base import Made, Target
from vecnet.export.iproute2 import script


class Linux(Target):
    name = "linux"
    elsewhere = True

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        return {f"{topology}.sh": script(topology, f"The wires that end at {topology}", made)}
