"""ifupdown: stanzas as the HOWTO has them, for a file that /etc/network/interfaces sources.

The first IPv4 address is ifupdown's own to give, since `static` is what a reader looks for; all else is commands.

Source: interfaces(5); HOWTO, "Network setup on the host".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export import commands
from vecnet.export.base import GuestEnd, Made, Target


class Ifupdown(Target):
    name = "ifupdown"

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        order = sorted(made, key=lambda one: one.l2tp is not None)  # whose local address must be there before
        stanzas = "\n".join("".join(f"{line}\n" for line in _stanza(one)) for one in order)
        return {topology: f"# The host's end of {topology}, as vecnet export wrote it\n\n{stanzas}"}

    def guest_files(self, guest: str, ends: Sequence[GuestEnd]) -> Mapping[str, str]:
        stanzas = "\n".join("".join(f"{line}\n" for line in _guest_stanzas(end)) for end in ends)
        return {guest: f"# The devices of {guest}, as vecnet export wrote it\n\n{stanzas}"}


def _stanza(made: Made) -> Iterator[str]:
    one = made.interface
    v4 = next((address for address in one.addresses if ":" not in address), None)
    given = f"ip address add {v4} "
    yield f"auto {one.ifname}"
    yield f"iface {one.ifname} inet {'static' if v4 else 'manual'}"
    if v4:
        yield f"    address {v4}"
    yield from (f"    pre-up {command}" for command in (*commands.make(made), *commands.settle(made)))
    yield from (f"    up {command}" for command in commands.addresses(made) if not command.startswith(given))
    yield f"    post-down {commands.remove(made)}"


def _guest_stanzas(end: GuestEnd) -> Iterator[str]:
    """A stanza for each address; the MTU and the MAC address are in the guest's string."""
    yield f"auto {end.ifname}"
    for address in end.addresses:
        yield f"iface {end.ifname} {'inet6' if ':' in address else 'inet'} static"
        yield f"    address {address}"
        if ":" in address:
            yield "    dad-attempts 0"  # a wire has two ends, and a boot that waits for a second is slow
    if not end.addresses:
        yield f"iface {end.ifname} inet manual"
        yield f"    up ip link set dev {end.ifname} up"
