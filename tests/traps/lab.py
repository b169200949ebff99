"""Guests of one kernel that have all traps, and what each trap came to.

    guest a0, a1, … ── vecN, each with a trap ══ taps, a veth pair, and its other end, right ══ vecN ── guest b0, b1, …
    guest ownN      ── vecN, whose trap spoils a guest for others ══════ its other end, right ══ vecN ── guest b…

A device each in a few guests, but for those that panic, spin or overwrite memory: these have a guest each.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.traps.table import HOST, NUMBERED, Trap, device, peer, string
from tests.uml.guest import Guest, Kernel, Report, Wiring

PER_GUEST = 45  # their strings have to fit into a command line of 4096 bytes
AT_ONCE = 3  # guests that spin
PATIENCE = 60  # seconds for such a guest

Numbered = tuple[int, Trap]

# Brings each device up, and says of it what became of that; then of those that are there, what they are.
_LOOK = """
for dev in {devices}; do
    said=$(ip link set "$dev" up 2>&1) && said=yes
    echo "$dev.up=${{said#RTNETLINK answers: }}"
done
ip -batch - <<END
{addresses}
END
ip -o link |
    sed -n 's/^[0-9]*: \\([a-z]*-*[0-9]*\\): .* mtu \\([0-9]*\\) .*ether \\([^ ]*\\) .*/\\1.mtu=\\2\\n\\1.mac=\\3/p'
for dev in {rings}; do ethtool -g "$dev" | sed -n "s/^RX:\\t*/$dev.depth=/p" | tail -n 1; done
meet up host
ask() {{
    ping -q -n -c 3 -i 0.5 -W 5 "10.2.$1.2" >/dev/null && echo "vec$1.packets=pass" || echo "vec$1.packets=lost"
}}
for ping in {pings}; do ask "$ping" & done
wait
"""
_TOGETHER = _LOOK + "meet done host"
_ALONE = (
    _LOOK
    + """
idle() {{ set -- $(head -n 1 /proc/stat); echo "$5"; }}
before=$(idle); sleep 1
[ "$(idle)" -gt $((before + 10)) ] && echo {devices}.spins=no || echo {devices}.spins=yes
sync  # a panic takes what is not written
ip link set {devices} down
said=$(ip link set {devices} up 2>&1) && said=yes
echo "{devices}.again=${{said#RTNETLINK answers: }}"
"""
)


@dataclass(frozen=True)
class Found:
    """What each trap's device showed, how the guests of those ended that have their own, and what was opened."""

    values: dict[int, dict[str, str]]
    own: dict[int, Report]
    opened: set[str]  # the host's interfaces that a guest held open or made


def measure(kernel: Kernel, chosen: Collection[int]) -> Found:
    together = [(number, trap) for number, trap in NUMBERED if not trap.has_own_guest]
    own = [(number, trap) for number, trap in NUMBERED if trap.has_own_guest and number in chosen]
    with Wiring(kernel) as wiring, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as switch:
        switch.bind(str(wiring.folder / "switch"))
        switch.listen()
        wiring.run("ip", "-batch", "-", stdin=None, input="\n".join(_network()))
        before = {link["ifname"] for link in json.loads(wiring.run("ip", "-j", "link").stdout)}
        guests = [_boot(wiring, f"a{part}", traps, 1) for part, traps in enumerate(_parts(together))]
        paired = [(number, trap) for number, trap in NUMBERED if trap.peer not in ("", HOST)]
        others = [_boot(wiring, f"b{part}", traps, 2) for part, traps in enumerate(_parts(paired))]
        with contextlib.ExitStack() as all_up:
            for guest in (*guests, *others):
                all_up.enter_context(guest.at("up"))
            links = json.loads(wiring.run("ip", "-j", "link").stdout)
        with contextlib.ExitStack() as all_done, ThreadPoolExecutor(AT_ONCE) as pool:
            for guest in (*guests, *others):
                all_done.enter_context(guest.at("done"))  # the other ends stay
            reports = dict(pool.map(lambda one: (one[0], _alone(wiring, one)), own))
        shared = [guest.wait() for guest in (*guests, *others)]
    for report in shared:
        assert report.status == 0, report
    values = {key: value for report in shared[: len(guests)] for key, value in report.values.items()}
    for report in reports.values():
        values |= report.values
    opened = {link["ifname"] for link in links if "LOWER_UP" in link["flags"] or link["ifname"] not in before}
    return Found({number: _of(device(number, trap), values) for number, trap in NUMBERED}, reports, opened)


def _network() -> Iterable[str]:
    """Commands of `ip`: an interface each, or addresses."""
    yield "link add veth type veth peer name other"
    yield "link set veth up"
    yield "link add under type bridge"
    yield "link set under up"
    for number, trap in NUMBERED:
        yield from (f"address add fd00::{number}:{end}/64 dev under nodad" for end in (1, 2))
        ifname = f"d{number}" if "dNN" in trap.string else f"t{number}"
        yield f"tuntap add {ifname} mode tap vnet_hdr"
        if ifname[0] == "t":
            yield f"link set {ifname} up"
        if trap.peer == HOST:
            yield f"address add 10.2.{number}.2/24 dev {ifname}"


def _parts(traps: Sequence[Numbered]) -> list[Sequence[Numbered]]:
    return [traps[start : start + PER_GUEST] for start in range(0, len(traps), PER_GUEST)]


def _boot(wiring: Wiring, name: str, traps: Sequence[Numbered], end: int, script: str = _TOGETHER) -> Guest:
    strings = [(string(*one) if end == 1 else peer(*one)).replace("FOLDER", str(wiring.folder)) for one in traps]
    paired = [number for number, trap in traps if trap.peer]
    filled_in = script.format(
        devices=" ".join(device(*one) if end == 1 else f"vec{one[0]}" for one in traps),
        addresses="\n".join(f"address add 10.2.{number}.{end}/24 dev vec{number}" for number in paired),
        rings=" ".join(f"vec{number}" for number, trap in traps if "depth" in trap.shows and end == 1),
        pings=" ".join(map(str, paired if end == 1 else [])),
    )
    return wiring.boot(strings, filled_in, name=name)


def _alone(wiring: Wiring, one: Numbered) -> Report:
    return _boot(wiring, f"own{one[0]}", [one], 1, _ALONE).wait(PATIENCE)


def _of(name: str, values: dict[str, str]) -> dict[str, str]:
    """What is known of one device."""
    return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
