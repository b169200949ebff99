"""The door to pyroute2, whose classes encode whatever changes the host. Attributes have the names of kernel headers.

`Any` is at home here. This file is imported with the first message that is to be sent, since pyroute2 takes a while.

What pyroute2 encodes differently from what the kernel reads is mended here, with a test that fails once it is right:
ip6gretap's flags, which it writes in the machine's byte order (`ip6gre_flags`).

Source: rtnetlink(7); linux/if_link.h, l2tp.h, ethtool_netlink.h.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Attrs = Sequence[tuple[str, Any]]


def _leave_the_rest() -> None:
    """Have pyroute2's own `__init__`, which loads all of the library, run only where somebody asks for its names.

    Messages are modules of their own, and take a quarter of the time without it.
    """
    spec = importlib.util.find_spec("pyroute2")
    if "pyroute2" in sys.modules or spec is None or spec.loader is None:
        return
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def late(name: str) -> Any:  # PEP 562
        if importlib.util.find_spec(f"pyroute2.{name}") is not None:
            raise AttributeError(name)  # a module, which the import system looks for next
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, name)

    package.__dict__["__getattr__"] = late
    sys.modules["pyroute2"] = package


_leave_the_rest()

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # noqa: E402
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # noqa: E402


def link(kind: int, flags: int, attrs: Attrs, *, up: bool | None = None, flags_on: int = 0, change: int = 0) -> bytes:
    """A message about an interface; `up` None leaves that as it is. Flags of `change` become those of `flags_on`."""
    message = ifinfmsg()
    if up is not None:
        flags_on, change = int(up), 1  # IFF_UP
    message["flags"], message["change"] = flags_on, change
    return _encoded(message, kind, flags, attrs)


def root_qdisc(kind: int, flags: int, index: int, handle: int = 0, attrs: Attrs = ()) -> bytes:
    """A message about an interface's root queueing discipline: the one of that handle, or whatever it is."""
    from pyroute2.netlink.rtnl.tcmsg import tcmsg

    message = tcmsg()
    message["index"], message["parent"], message["handle"] = index, 0xFFFFFFFF, handle  # TC_H_ROOT
    return _encoded(message, kind, flags, attrs)


def address(kind: int, flags: int, header: Mapping[str, int], attrs: Attrs) -> bytes:
    """A message about an address; `header` has the fields of struct ifaddrmsg."""
    message = ifaddrmsg()
    for field, value in header.items():
        message[field] = value
    return _encoded(message, kind, flags, attrs)


def l2tp(family: int, command: int, flags: int, attrs: Attrs) -> bytes:
    from pyroute2.netlink.generic.l2tp import L2TP_GENL_VERSION, l2tpmsg

    return _generic(l2tpmsg(), family, command, L2TP_GENL_VERSION, flags, attrs)


def ethtool_features(family: int, command: int, flags: int, attrs: Attrs) -> bytes:
    """ETHTOOL_MSG_FEATURES_SET, which pyroute2 has no class for, and the parts of it."""
    from pyroute2.netlink import genlmsg
    from pyroute2.netlink.generic.ethtool import ethtoolbitset, ethtoolheader

    class Features(genlmsg):  # type: ignore[misc]
        nla_map = (
            ("ETHTOOL_A_FEATURES_UNSPEC", "none"),
            ("ETHTOOL_A_FEATURES_HEADER", "device"),
            ("ETHTOOL_A_FEATURES_HW", "bitset"),
            ("ETHTOOL_A_FEATURES_WANTED", "bitset"),
        )
        device, bitset = ethtoolheader, ethtoolbitset

    return _generic(Features(), family, command, 1, flags, attrs)


def ip6gre_flags(flags: int) -> int:
    """GRE's flags as they must be handed to pyroute2 for an ip6gretap; for a gretap it orders the bytes itself."""
    return socket.htons(flags)


def _generic(message: Any, family: int, command: int, version: int, flags: int, attrs: Attrs) -> bytes:
    message["cmd"], message["version"] = command, version
    return _encoded(message, family, flags, attrs)


def _encoded(message: Any, kind: int, flags: int, attrs: Attrs) -> bytes:
    message["header"]["type"], message["header"]["flags"] = kind, flags
    message["attrs"] = attrs
    message.encode()
    return bytes(message.data)
