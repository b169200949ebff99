"""The programs that stand outside, and vde_plug, which guests start themselves: where they are, and their versions."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vecnet.doctor.finding import Finding, State
from vecnet.programs import PROGRAMS
from vecnet.transports.answers import FarEnd
from vecnet.transports.link import OUTSIDE

if TYPE_CHECKING:
    from vecnet.topology import Topology

_PLUG, _PLUG_PACKAGE = "vde_plug", "vdeplug"  # of a guest's vde
_SECONDS = 5  # that a program has to say its version
_VERSION = re.compile(r"(?i)version:?[ \t]+([\w.+~:-]*[0-9][\w.+~:-]*)")


def examine(topology: Topology | None) -> Iterator[Finding]:
    """Those that links of the topology need, or all that vecnet knows."""
    packages = {name: program.package for name, program in PROGRAMS.items()} | {_PLUG: _PLUG_PACKAGE}
    needed: dict[str, list[str]] = {name: [] for name in packages}
    for link in topology.links if topology else ():
        far = link.spec.ends[1]
        if far.kind == OUTSIDE and far.ifname in PROGRAMS:
            needed[far.ifname].append(link.name)
        elif link.options[0].far_end is FarEnd.PROGRAM:
            needed[_PLUG].append(link.name)
    for name, links in needed.items():
        if links or topology is None:
            yield _program(name, packages[name], tuple(links))


def _program(name: str, package: str, needed: tuple[str, ...]) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, State.MISSING, "it is not installed", f"apt-get install {package}", needed)
    return Finding(name, State.OK, f"{path}{_version(path)}", needed=needed)


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout.partition("\n")[0])
    return f", version {found[1][:60]}" if found and done.returncode == 0 else ""
