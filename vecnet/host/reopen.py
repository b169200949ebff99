"""Which guests must open their device again: those whose interface was made anew while they ran.

A guest tells by its command line which interface is its device's, and the kernel tells that it holds one that is gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from vecnet.host.plan import Key, Node
from vecnet.host.snapshot import Snapshot
from vecnet.kernel.left_behind import LeftBehind, left_behind


def to_reopen(nodes: Iterable[Node], snapshot: Snapshot) -> dict[Key, str]:
    """What is to be done in which guest, by the interface, of those whose guests hold an earlier one."""
    guests = [*left_behind("ifname=")]
    found: dict[Key, str] = {}
    for node in nodes if guests else ():
        for key in node.keys:
            for guest in guests:
                for device in _devices(guest, key, snapshot):
                    found.setdefault(
                        node.key,
                        f"{guest} still has the {key[1]} that was there before: in that guest, "
                        f"ip link set {device} down, and up again",
                    )
    return found


def _devices(guest: LeftBehind, key: Key, snapshot: Snapshot) -> Iterator[str]:
    """The devices of a guest that open an interface by its name, and do not hold the one that is there."""
    netns, ifname = key
    link = snapshot.at(key)
    if guest.namespace != os.fstat(snapshot.place(netns or None).fd).st_ino or ifname in guest.taps:
        return
    if link is not None and link.index in guest.packets:
        return
    for word in guest.words:
        device, _, options = word.partition(":")
        if re.fullmatch(r"vec\d+", device) and f"ifname={ifname}" in options.split(","):
            yield device
