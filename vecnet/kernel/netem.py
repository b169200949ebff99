"""netem, the queueing discipline by which the kernel impairs what an interface sends.

1. vecnet's own has a handle that none else has. Each message names it, and so no message touches one of another's: to
   make it is refused where there is another, and to change or remove it where it is another.
2. netem keeps frames of different delays in order only where it has a rate. So jitter comes with one that limits none.
3. To change one says all of it: netem keeps what a message leaves out.

Source: tc-netem(8); net/sched/sch_netem.c, sch_api.c; linux/pkt_sched.h, rtnetlink.h.
"""

from __future__ import annotations

import errno
import struct

from vecnet.errors import HostError
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.netlink import ACKED, MAKE
from vecnet.kernel.rtnl import RTM_DELQDISC
from vecnet.kernel.template import Unindexed
from vecnet.records import record

MODULE = "sch_netem"
RTM_NEWQDISC, RTM_GETQDISC = 36, 38
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_NETEM_REORDER, TCA_NETEM_CORRUPT, TCA_NETEM_RATE = 3, 4, 6
TC_H_ROOT = 0xFFFFFFFF
_OURS = 0x76650000  # "ve": far from the handles that the kernel chooses, and from those that people give
_TCMSG = struct.Struct("=BxxxiIII")  # struct tcmsg: family, index, handle, parent, info
_INDEX_AT = netlink.HEADER.size + 4
_QOPT = struct.Struct("=6I")  # struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
TICK = 64e-9  # seconds: PSCHED_SHIFT
MOST = 0xFFFFFFFF  # of a probability that is 1; as a rate it limits nothing
_LO = 1  # the index of lo, in every namespace


@record(frozen=True, slots=True)
class Values:
    """netem's own numbers: times in ticks, probabilities of `MOST`, the rate in bytes a second (0: none)."""

    delay: int
    limit: int
    loss: int
    gap: int
    duplicate: int
    jitter: int
    reorder: int = 0
    corrupt: int = 0
    rate: int = 0


@record(frozen=True, slots=True)
class Root:
    """An interface's root queueing discipline that somebody has given it; with `values` where it is vecnet's netem."""

    kind: str
    values: Values | None


def set_to(sent: Values, *, there: bool) -> Unindexed:
    """Impair an interface; `there` where vecnet does so already, in another way."""
    from vecnet.kernel import encode

    options = {
        **{key: getattr(sent, key) for key in ("delay", "limit", "loss", "gap", "duplicate", "jitter")},
        "attrs": [
            ("TCA_NETEM_REORDER", {"prob_reorder": sent.reorder, "corr_reorder": 0}),
            ("TCA_NETEM_CORRUPT", {"prob_corrupt": sent.corrupt, "corr_corrupt": 0}),
            ("TCA_NETEM_RATE", {"rate": sent.rate, "packet_overhead": 0, "cell_size": 0, "cell_overhead": 0}),
        ],
    }
    attrs = [("TCA_KIND", "netem"), ("TCA_OPTIONS", options)]
    return Unindexed(encode.root_qdisc(RTM_NEWQDISC, ACKED if there else MAKE, 0, _OURS, attrs), _INDEX_AT)


def remove() -> Unindexed:
    """End what `set_to` began."""
    from vecnet.kernel import encode

    return Unindexed(encode.root_qdisc(RTM_DELQDISC, ACKED, 0, _OURS), _INDEX_AT)


def read_roots(place: Namespace) -> dict[int, Root]:
    """The root queueing disciplines of a namespace that somebody has given, by their interfaces' numbers."""
    request = netlink.message(RTM_GETQDISC, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, _TCMSG.pack(0, 0, 0, 0, 0))
    found = {}
    for kind, message in place.route.dump(request):
        _, index, handle, parent, _ = _TCMSG.unpack_from(message)
        if kind == RTM_NEWQDISC and parent == TC_H_ROOT and handle:  # the kernel's own choice has none
            got = netlink.attributes(message[_TCMSG.size :], frozenset((TCA_KIND, TCA_OPTIONS)))
            ours = handle == _OURS and netlink.text(got[TCA_KIND]) == "netem"
            found[index] = Root(netlink.text(got[TCA_KIND]), _read(got[TCA_OPTIONS]) if ours else None)
    return found


def _read(options: memoryview) -> Values:
    delay, limit, loss, gap, duplicate, jitter = _QOPT.unpack_from(options)
    got = netlink.attributes(options[_QOPT.size :])

    def first(attribute: int) -> int:
        return netlink.number(got[attribute][:4]) if attribute in got else 0

    others = (first(attribute) for attribute in (TCA_NETEM_REORDER, TCA_NETEM_CORRUPT, TCA_NETEM_RATE))
    return Values(delay, limit, loss, gap, duplicate, jitter, *others)


def lacking(place: Namespace) -> bool | None:
    """Whether this kernel has no netem; None where this process may not ask. Nothing is made: what is asked for lacks
    netem's own values, without which it refuses."""
    payload = _TCMSG.pack(0, _LO, _OURS, TC_H_ROOT, 0) + netlink.pack(TCA_KIND, b"netem\0")
    try:
        answer = place.route.batch([netlink.message(RTM_NEWQDISC, MAKE, payload)])[0]
    except OSError as error:
        raise HostError(f"the kernel does not say whether it has netem: {error.strerror}") from error
    if answer is not None and answer.errno == errno.EPERM:
        return None
    return answer is not None and answer.errno == errno.ENOENT
