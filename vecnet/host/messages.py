"""The messages that change the host. What is sent when, and how answers are read, is `work.py`'s and `netlink.py`'s.

What goes out by the thousand, and what removes it, is packed by hand (`links.py`, `tunnels.py`); pyroute2 encodes the
rest (`encoded.py`). It takes longer to import than all else that a small `up` or `down` does.
"""

from __future__ import annotations

from typing import Any

from vecnet.host.links import address as address
from vecnet.host.links import delete_group as delete_group
from vecnet.host.links import delete_link as delete_link
from vecnet.host.links import new_veth as new_veth
from vecnet.host.links import set_link as set_link
from vecnet.kernel.l2tp import delete_tunnel as delete_tunnel
from vecnet.kernel.l2tp import new_session as new_session
from vecnet.kernel.l2tp import new_tunnel as new_tunnel


def __getattr__(name: str) -> Any:
    """PEP 562: what is not here is looked for in `encoded.py`."""
    from vecnet.host import encoded

    return getattr(encoded, name)
