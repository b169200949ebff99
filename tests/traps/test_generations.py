"""How the generations of guests' kernels differ in what no single string shows, each fact asked of a real guest.

guest ── vec0 ══ tap, with IPv6 on     vec1 ══ raw, a deep queue     vec4 ══ fd ── this test
      ── vec2 ══ bess, vec3 ══ raw: neither is there when they are first opened
      ── eth0 … eth8, legacy drivers
"""

from __future__ import annotations

import re
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace

import pytest

from tests.need import need_command
from tests.uml.guest import Kernel, Wiring

pytestmark = pytest.mark.uml

LEGACY = {  # eth0=… of each driver
    "tuntap": "tuntap,t0",
    "ethertap": "ethertap,tap1",
    "daemon": "daemon",
    "mcast": "mcast",
    "ucast": "ucast,,127.0.0.1,1102,1103",
    "slip": "slip",
    "slirp": "slirp",
    "vde": "vde",
    "pcap": "pcap,lo",
}
MTU, ETHERNET, LONG = 1500, 14, 4000  # bytes
ETH_P_ALL, ETH_P_IPV6 = 3, b"\x86\xdd"


@dataclass(frozen=True)
class Facts:
    """What a generation does."""

    command_line: bool  # whether words that the kernel itself reads, such as mem=, count in the command line
    last_words: str
    first_frames: bool  # whether a device that is brought up sends IPv6 by itself
    bess_again: str  # what becomes of a device that could not be opened, and now could: "yes" where it comes up
    raw_again: str  # the same of one whose interface was not there
    legacy: frozenset[str]  # the drivers that eth0=… may name
    seccomp: bool  # whether it can do without ptrace
    weight: bool  # whether it warns of a queue deeper than 64
    longest: int  # bytes that are left of a longer frame


_6_1 = Facts(
    command_line=True,
    last_words="System halted",
    first_frames=False,
    bess_again="No such device or address",
    raw_again="yes",
    legacy=frozenset(LEGACY) - {"pcap"},
    seccomp=False,
    weight=True,
    longest=MTU + 66,
)
_6_12 = replace(_6_1, last_words="Power down", bess_again="yes", legacy=_6_1.legacy - {"mcast", "ucast", "vde"})
_7_2 = replace(_6_12, command_line=False, first_frames=True, legacy=frozenset(), seccomp=True)
FACTS = {"6.1": _6_1, "6.12": _6_12, "7.2": _7_2}

SCRIPT = """
try() {  # try NAME vecN: print NAME=yes, or why it does not come up
    said=$(ip link set "$2" up 2>&1) && said=yes
    echo "$1=${said#RTNETLINK answers: }"
}
try bess vec2; try raw vec3
meet missing host
try bess_again vec2; try raw_again vec3
try deep vec1
echo "command_line=$(cat /proc/cmdline)"
try fd vec4
meet long host
until_ok grep -q "vec4: *[1-9]" /proc/net/dev
echo "longest=$(cat /sys/class/net/vec4/statistics/rx_bytes)"
ipv6=/proc/sys/net/ipv6/conf/all/disable_ipv6
[ ! -e $ipv6 ] || echo 0 >$ipv6
try tap vec0
sleep 2
meet listened host
"""


@pytest.fixture(scope="module")
def facts(kernel: Kernel) -> Facts:
    """What a guest showed."""
    need_command("ip")
    with Wiring(kernel) as wiring, ExitStack() as opened:
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        wiring.run("ip", "link", "set", "tap0", "up", "addrgenmode", "none")
        wiring.run("ip", "link", "add", "v0", "up", "type", "veth", "peer", "name", "v1")
        mine, other = (opened.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        other.set_inheritable(True)
        with wiring.entered():
            tap = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
            tap.bind(("tap0", ETH_P_ALL))
        path = wiring.folder / "switch"
        strings = [
            "vec0:transport=tap,ifname=tap0,gro=1",
            "vec1:transport=raw,ifname=v0,depth=128",
            f"vec2:transport=bess,dst={path}",
            "vec3:transport=raw,ifname=late",
            f"vec4:transport=fd,fd={other.fileno()}",
            *(f"eth{number}={driver}" for number, driver in enumerate(LEGACY.values())),
        ]
        guest = wiring.boot(strings, SCRIPT, descriptors=[other.fileno()])
        with guest.at("missing"):
            wiring.run("ip", "link", "add", "late", "up", "type", "bridge")
            switch = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            switch.bind(str(path))
            switch.listen()
        with guest.at("long"):
            mine.send(bytes(LONG))
        with guest.at("listened"):
            frames = list(_waiting(tap))
        report = guest.wait()
    assert report.status == 0, report
    values, said = (
        report.values,
        subprocess.run([kernel.command, "--help"], capture_output=True, text=True, check=False),
    )
    assert [values[name] for name in ("bess", "raw", "deep", "fd", "tap")] == [
        *("Invalid argument", "Network is unreachable"),
        *("yes", "yes", "yes"),
    ]
    assert all(frame[12:14] == ETH_P_IPV6 for frame in frames)
    return Facts(
        command_line="mem=128M" in values["command_line"],
        last_words=re.findall(r"reboot: (.*)", report.console)[-1],
        first_frames=bool(frames),
        bess_again=values["bess_again"],
        raw_again=values["raw_again"],
        legacy=frozenset(name for unit, name in enumerate(LEGACY) if f"Netdevice {unit} (" in report.console),
        seccomp="seccomp" in said.stdout,
        weight=bool(re.search(r"napi_add_weight\w*\(\) called with weight 128", report.console)),
        longest=int(values["longest"]) + ETHERNET,
    )


def _waiting(packets: socket.socket) -> Iterator[bytes]:
    """What has come in."""
    while select.select([packets], [], [], 0)[0]:
        frame, (_, _, kind, *_) = packets.recvfrom(65536)
        if kind != socket.PACKET_OUTGOING:
            yield frame


@pytest.mark.parametrize("fact", [field.name for field in fields(Facts)])
def test_a_generation_shows_each_fact(kernel: Kernel, facts: Facts, fact: str) -> None:
    assert getattr(facts, fact) == getattr(FACTS[kernel.generation], fact)
