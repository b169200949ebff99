"""Hosts that differ: vecnet itself runs in a User Mode Linux, whose kernel is an old one or has IPv6 switched off.

::

    this machine ── the kernel under test, with this machine's files (hostfs) ── vecnet, and all that it makes
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, TOPOLOGIES
from tests.need import need
from tests.uml import fetch
from tests.uml.guest import Kernel, Report, Wiring

pytestmark = pytest.mark.uml

VECNET = shlex.quote(str(EXECUTABLE))  # as a shell's word, like the files
LAB, RAW, SIX = (shlex.quote(str(TOPOLOGIES / f"{name}.yaml")) for name in ("lab", "raw", "gre-ipv6"))
MODULES = ("tun", "llc", "stp", "bridge", "veth")
OWN_MODULES = Path("/usr/lib/uml/modules")

SCRIPT = """
export LANG=C.UTF-8
mount -t tmpfs none /run && mkdir /run/netns
{modules}
vecnet() {{ {executable} "$@" </dev/null 2>&1; echo "$1: exit $?"; }}
{commands}
echo "left: $(ip -br link | cut -d' ' -f1 | tr '\\n' ' ')"
"""


def on_kernel(kernel: Kernel, modules: list[Path], commands: str, **options: str) -> Report:
    """What vecnet says on a host with this kernel and these modules; `options` are of modules."""
    loads = [f"insmod {shlex.quote(str(path))} {options.get(path.stem, '')} || exit 1" for path in modules]
    script = SCRIPT.format(modules="\n".join(loads), executable=VECNET, commands=commands)
    with Wiring(kernel) as wiring:
        report = wiring.boot([], script, words=["mem=400M"]).wait(200)
    assert report.status == 0, report
    assert "fault of its own" not in report.output, report
    assert "Traceback" not in report.output, report
    return report


def statuses(report: Report) -> list[str]:
    return [line for line in report.output.splitlines() if ": exit " in line]


@pytest.mark.long
def test_the_oldest_kernel_that_is_supported() -> None:
    path = fetch.kernel(fetch.OLDEST)
    need(path, f"needs the kernel {fetch.OLDEST}: make deps")
    commands = f"""
vecnet plan {LAB}
vecnet up {LAB}
vecnet status
vecnet loopback {LAB} -p frames -p ping
vecnet down lab
vecnet sandbox {RAW} -- {VECNET} loopback {RAW} -p frames -p tcp
"""
    folder = fetch.GUESTS / fetch.OLDEST
    report = on_kernel(Kernel(str(path), fetch.OLDEST), [folder / name for name in fetch.MODULES], commands)
    wanted = ["plan", "up", "status", "loopback", "down", "sandbox"]
    assert statuses(report) == [f"{name}: exit 0" for name in wanted], report
    assert "5 of 5 links pass" in report.output, report
    assert "1 of 1 links pass" in report.output, report
    assert "left: lo \n" in report.output, report


@pytest.mark.long
def test_a_host_without_ipv6() -> None:
    """One that was booted with ipv6.disable=1: all that needs no IPv6 works, and `plan` foresees what does."""
    need(OWN_MODULES.is_dir(), "needs the modules of the machine's own guest kernel")
    modules = [next(OWN_MODULES.rglob(f"{name}.ko")) for name in ("crc-ccitt", "ipv6", *MODULES)]
    commands = f"""
vecnet up {RAW}
vecnet loopback {RAW} -p ping
vecnet down raw
vecnet plan {SIX}
vecnet sandbox {SIX} -- true
"""
    report = on_kernel(Kernel.of(), modules, commands, ipv6="disable=1")
    wanted = [("up", 0), ("loopback", 0), ("down", 0), ("plan", 1), ("sandbox", 1)]
    assert statuses(report) == [f"{name}: exit {status}" for name, status in wanted], report
    assert report.output.count("this kernel has no IPv6; boot it without ipv6.disable=1") >= 2, report
    assert "left: lo \n" in report.output, report
