"""The transports of UML's vector driver, one file each and named like it, loaded when the transport is asked for.

Each file says, in this order: the reference, the options with their ranges, where they do not go together, the header's
size, the mirror, what a topology's link of this transport becomes, and what is asked of its wires elsewhere. What a
guest does where options do not go together is said in `vecnet/guests/`.

| file | subject |
|---|---|
| base.py | what every transport has: common options, the registry, the questions that each answers |
| answers.py | the answers, as data |
| link.py | a topology's link, and what a transport makes of it |
| tunnel.py | what gre and l2tpv3 share |
| any other | one transport |
"""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.registry import Registry
from vecnet.transports.base import REGISTRY, Transport

_SHARED = {"answers", "base", "link", "tunnel"}  # the files that are no transport
TRANSPORTS: Mapping[str, type[Transport]] = Registry(__name__, __path__, REGISTRY, _SHARED)

__all__ = ["TRANSPORTS", "Transport"]
