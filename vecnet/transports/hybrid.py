"""hybrid: sends through a tap's descriptor, receives in batches from a packet socket on the same interface.

Source: HOWTO, "hybrid transport".
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from vecnet.transports.answers import Sample
from vecnet.transports.tap import Tap


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hybrid(Tap):
    """A tap interface and a packet socket on it. Privilege: the tap's, and CAP_NET_RAW."""

    name: ClassVar[str] = "hybrid"
    samples = (Sample("hybrid", "endpoints: ['a:vec{unit}', 'host:hyb{unit}']"),)
    howto = "> 6"

    def capabilities(self) -> tuple[str, ...]:
        return ("NET_RAW",)
