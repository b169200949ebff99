"""A wire that is declared to impair, where neither the kernel nor a served switch does so: then a switch of two ports
does, to what the near end sends.

    the tester's port ══ the switch, impairs ── the near end ══ the wire ══ the far end
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vecnet.datapath.switch import Switch
from vecnet.loopback.switched import plugged
from vecnet.loopback.wire import Wire

_NEAR = "near"
_ANOTHER = bytes.fromhex("020000000003")  # an address that no end has which has none of its own


def apart(wire: Wire) -> Wire:
    """The wire with an address for each end: of two strings that state none both have one, which confuses a bridge."""
    near, far = wire.macs
    return replace(wire, macs=(_ANOTHER, far)) if near == far else wire


@contextmanager
def spoiled(wire: Wire) -> Iterator[Wire]:
    """The wire as it is declared, within the block."""
    subject = wire.subject
    if subject.impairment is None or wire.impaired or subject.far.planned is not None:
        yield wire
        return
    with Switch() as switch:
        switch.add(wire.near, name=_NEAR, storm=None)
        switch.impair(_NEAR, subject.impairment)
        with plugged(switch, subject.mtu) as near:
            yield replace(wire, near=near)
