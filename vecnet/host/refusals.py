"""The kernel's refusals in words: what was asked, what it said, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from vecnet.errors import HostError
from vecnet.kernel import capabilities, unforeseen
from vecnet.kernel.capabilities import Capability
from vecnet.kernel.netlink import Refusal

_ADVICE = {
    errno.EEXIST: "something of that name or id exists already; see `ip -d link` and `ip l2tp show tunnel`",
    errno.EBUSY: "it is in use; stop what uses it",
    errno.ENODEV: "it went away meanwhile; try again",
    errno.ENXIO: "it went away meanwhile; try again",
    errno.EADDRINUSE: "another socket or tunnel has that address and port; see `ss -ulnp` and `ip l2tp show tunnel`",
    errno.EADDRNOTAVAIL: "the local address is on no interface; write one that this host has, as `ip -br addr` shows",
    errno.ENETUNREACH: "no route leads to the remote address; add one with `ip route add`",
    errno.EHOSTUNREACH: "no route leads to the remote address; add one with `ip route add`",
    errno.ENOBUFS: "the kernel is short of memory for messages; try again",
    errno.ENOMEM: "the kernel is short of memory",
    errno.ENOSPC: "the kernel is out of that resource",
    errno.EPROTONOSUPPORT: "a module is missing; load it with: modprobe -a l2tp_eth l2tp_ip l2tp_ip6",
    errno.EOPNOTSUPP: "this kernel cannot do it",
    errno.ELOOP: "that would make a loop of bridges",
}


def refused(who: str, what: str, refusal: Refusal) -> HostError:
    """The error for an interface for which the kernel refused to do `what`."""
    advice = _ADVICE.get(refusal.errno) or unforeseen.advice(OSError(refusal.errno, str(refusal)))
    if refusal.errno == errno.EPERM:
        advice = f"{capabilities.advice(Capability.NET_ADMIN)}; `vecnet sandbox` needs no such right"
    return HostError(f"{who}: the kernel refused to {what}: {refusal}", advice)


def together(errors: Sequence[HostError]) -> HostError:
    """One error that says all; of their own class where they are of one."""
    classes = {type(error) for error in errors}
    kind = classes.pop() if len(classes) == 1 else HostError
    return kind([problem for error in errors for problem in error.problems])
