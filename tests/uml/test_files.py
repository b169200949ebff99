"""Files that a string names: a program that is run with the interface's name, and a filter of classic BPF.

guest ── vec0 ══ tap0, brought up by the program      vec1, vec2 ══ veth pairs whose other ends answer
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.uml.guest import Kernel, Wiring
from vecnet import Raw, Tap, VecDevice

pytestmark = pytest.mark.uml

BPF_RET = 0x06  # linux/bpf_common.h: BPF_RET | BPF_K
INSTRUCTION = struct.Struct("=HBBI")  # linux/filter.h, struct sock_filter

SCRIPT = """
up vec0 10.5.0.1/24; up vec1 10.5.1.1/24; up vec2 10.5.2.1/24
for wire in 0 1 2; do ping -q -n -c 1 -W 2 10.5.$wire.2 >/dev/null; echo "vec$wire=$?"; done
"""


@pytest.mark.alike
def test_a_program_and_a_filter(kernel: Kernel) -> None:
    with Wiring(kernel) as wiring:
        program = wiring.folder / "ifup"
        program.write_text('#!/bin/sh\nip link set "$1" up && ip address add 10.5.0.2/24 dev "$1"\n')
        program.chmod(0o755)
        filters: list[Path] = []
        for name, length in (("all", 0xFFFF), ("none", 0)):
            filters.append(wiring.folder / name)
            filters[-1].write_bytes(INSTRUCTION.pack(BPF_RET, 0, 0, length))
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        for unit in (1, 2):
            wiring.run("ip", "link", "add", f"veth{unit}", "up", "type", "veth", "peer", "name", f"p{unit}")
            wiring.run("ip", "link", "set", f"p{unit}", "up")
            wiring.run("ip", "address", "add", f"10.5.{unit}.2/24", "dev", f"veth{unit}")
        devices = [
            VecDevice(0, Tap(ifname="tap0", ifup=str(program), gro=True)),
            VecDevice(1, Raw(ifname="p1", bpffile=str(filters[0]), gro=True)),
            VecDevice(2, Raw(ifname="p2", bpffile=str(filters[1]), gro=True)),
        ]
        report = wiring.boot([str(device) for device in devices], SCRIPT).wait()
    assert report.status == 0, report
    assert report.values == {"vec0": "0", "vec1": "0", "vec2": "1"}, report
