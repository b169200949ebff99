"""What ends a device, or its whole guest: a packet that cannot be sent, an interface that is late, ethtool -g.

    guest N ── vec0 ══ tap, raw, bess or gre ══ the host, which takes the wire away for a moment

Any error of sending, but for a full queue, ends a device: nothing passes any more though all is well again, and the
guest's processor has no rest. To take the device down and up in the guest helps. Each has a guest of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.datapath.wires import wait_for
from tests.need import need_command
from tests.uml.fetch import GENERATIONS
from tests.uml.guest import Kernel, Report, Wiring

pytestmark = [pytest.mark.uml, pytest.mark.unsanitized]

AT_ONCE = 3
FLOOD = 1 << 20  # bytes of a console that never ends

DIES = """
ask() {{ ping -q -n -c 2 -i 0.3 -W 2 {far} "$@" >/dev/null && echo pass || echo lost; }}
idle() {{ set -- $(head -n 1 /proc/stat); echo "$5"; }}
up vec0 {near}/24
pings {far} && echo before=pass
meet break{number} host
echo "meanwhile=$(ask {ping})"
meet mend{number} host
echo "after=$(ask)"
before=$(idle); sleep 1
[ "$(idle)" -gt $((before + 10)) ] && echo spins=no || echo spins=yes
ip link set vec0 down; ip link set vec0 up
pings {far} && echo again=pass || echo again=lost
"""


@dataclass(frozen=True)
class End:
    """A wire, with commands of `ip` that make it, take it away and bring it back. NN is its number."""

    name: str
    string: str
    make: str
    away: str = ""
    back: str = ""
    ping: str = ""  # what the guest sends meanwhile
    peer: str = ""  # the string of another guest, which then has the far address

    def __str__(self) -> str:
        return self.name


ENDS = [
    End(
        "a tap that is down for a moment",
        "transport=tap,ifname=tNN",
        "tuntap add tNN mode tap vnet_hdr\nlink set tNN up\naddress add 10.4.NN.2/24 dev tNN",
        "link set tNN down",
        "link set tNN up",
    ),
    End(
        "a veth pair that is down for a moment",
        "transport=raw,ifname=vNN",
        "link add vNN up type veth peer name pNN\nlink set pNN up\naddress add 10.4.NN.2/24 dev pNN",
        "link set vNN down",
        "link set vNN up",
    ),
    End(
        "a frame that is longer than the interface takes",
        "transport=raw,ifname=vNN",
        "link add vNN up mtu 1400 type veth peer name pNN\nlink set pNN up\naddress add 10.4.NN.2/24 dev pNN",
        ping="-M do -s 1440",
    ),
    End(
        "a route that is missing for a moment",
        "transport=gre,src=10.40.NN.1,dst=10.40.NN.2",
        "address add 10.40.NN.1/32 dev lo\naddress add 10.40.NN.2/32 dev lo",
        "address del 10.40.NN.2/32 dev lo",
        "address add 10.40.NN.2/32 dev lo",
        peer="transport=gre,src=10.40.NN.2,dst=10.40.NN.1",
    ),
]


def watch(wiring: Wiring, number: int, end: End) -> Report:
    """Let the end come to a guest, and see."""

    def filled(text: str) -> str:
        return text.replace("NN", str(number))

    def ip(commands: str) -> None:
        wiring.run("ip", "-batch", "-", stdin=None, input=filled(commands))

    near, far = f"10.4.{number}.1", f"10.4.{number}.2"
    mac = f"02:00:00:00:04:{number:02x}"
    ip(end.make)
    if end.peer:
        # it must not ask for its neighbour meanwhile, since it could not send either
        knows = f"ip neighbour add {near} lladdr {mac} dev vec0 nud permanent"
        wiring.boot([f"vec0:{filled(end.peer)}"], f"up vec0 {far}/24\n{knows}\nmeet end host", name=f"peer{number}")
    guest = wiring.boot(
        [f"vec0:{filled(end.string)},mac={mac}"],
        DIES.format(near=near, far=far, ping=end.ping, number=number),
        name=f"dies{number}",
    )
    with guest.at(f"break{number}"):
        ip(end.away)
    with guest.at(f"mend{number}"):
        ip(end.back)
    return guest.wait()


@pytest.fixture(scope="module")
def ended(kernel: Kernel) -> dict[str, Report]:
    need_command("ip", "ping")
    with Wiring(kernel) as wiring, ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(pool.map(lambda one: (one[1].name, watch(wiring, *one)), enumerate(ENDS, start=1)))


@pytest.mark.long
@pytest.mark.parametrize("end", ENDS, ids=str)
def test_one_failed_send_ends_a_device(ended: dict[str, Report], end: End) -> None:
    report = ended[end.name]
    assert report.values == {
        "before": "pass",
        "meanwhile": "lost",
        "after": "lost",
        "spins": "yes",
        "again": "pass",
    }, report


PANICS = {
    "of a tap": ("vec0:transport=tap,ifname=tap0", "up"),
    "of a hybrid": ("vec0:transport=hybrid,ifname=tap0", "up"),
    "of a device that was never opened": ("vec0:transport=raw,ifname=veth0", "down"),
}


@pytest.fixture(scope="module")
def asked(kernel: Kernel) -> dict[str, Report]:
    """What became of guests that were asked for the sizes of a device's rings."""
    need_command("ip", "ethtool")
    with Wiring(kernel) as wiring, ThreadPoolExecutor(AT_ONCE) as pool:
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "multi_queue", "vnet_hdr")

        def ask(name: str) -> tuple[str, Report]:
            string, state = PANICS[name]
            script = f"ip link set vec0 {state}; sync; ethtool -g vec0; echo survived=yes"
            return name, wiring.boot([string], script, name=name.replace(" ", "-")).wait()

        return dict(pool.map(ask, PANICS))


@pytest.mark.alike
@pytest.mark.parametrize("name", PANICS)
def test_to_ask_for_the_rings_panics(asked: dict[str, Report], name: str) -> None:
    assert asked[name].panicked, asked[name]
    assert "survived" not in asked[name].values


IFUP = """#!/bin/sh
sleep 1
ip address add 10.4.9.2/24 dev "$1"
ip link set "$1" up
"""
LATE = """
ipv6=/proc/sys/net/ipv6/conf/all/disable_ipv6
[ ! -e $ipv6 ] || echo 0 >$ipv6
up vec0 10.4.9.1/24
sleep 2
ping -q -n -c 3 -i 0.3 -W 2 10.4.9.2 >/dev/null && echo packets=pass || echo packets=lost
"""
# 7.2's IPv6 sends before the program is done.
SLOW_IFUP = {"tap": {"6.1": "pass", "6.12": "pass", "7.2": "lost"}, "hybrid": dict.fromkeys(GENERATIONS, "lost")}


@pytest.mark.parametrize("transport", ["tap", pytest.param("hybrid", marks=pytest.mark.long)])
def test_an_interface_that_its_program_brings_up_late(kernel: Kernel, transport: str) -> None:
    with Wiring(kernel) as wiring:
        program = wiring.folder / "ifup"
        program.write_text(IFUP)
        program.chmod(0o755)
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        report = wiring.boot([f"vec0:transport={transport},ifname=tap0,ifup={program}"], LATE).wait()
    assert report.status == 0, report
    assert report.values == {"packets": SLOW_IFUP[transport][kernel.generation]}, report


@pytest.mark.alike
def test_a_tap_that_may_not_be_made_hangs_the_guest(kernel: Kernel) -> None:
    """Without ifname the guest makes one, and tries again without end."""
    need_command("setpriv")
    with Wiring(kernel) as wiring:
        wiring.prepare("guest", "ip link set vec0 up; echo survived=yes")
        command = ["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin", *wiring.kernel("guest")]
        with (wiring.folder / "guest" / "console").open("wb") as console:
            words = [*command, "vec0:transport=tap"]
            kernel_process = wiring.start(*words, stdout=console, stderr=console, env=wiring.environment)
        wait_for(lambda: (wiring.folder / "guest" / "console").stat().st_size > FLOOD, seconds=60)
        assert kernel_process.poll() is None
        report = Report.read(wiring.folder / "guest")
        assert report.status is None
        assert "survived" not in report.values
