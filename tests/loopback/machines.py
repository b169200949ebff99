"""Machines for tests: named network namespaces, each with an eth0 at one bridge.

::

    alpha: eth0 192.0.2.11 ─┐
    beta:  eth0 192.0.2.12 ─┼─ lan, a bridge in the test's own network namespace, with a port by each machine's name
    gamma: eth0 192.0.2.13 ─┘
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.host.network import ip, private_network, within
from tests.need import need_command, need_root
from vecnet.fleet.proof import AGENT
from vecnet.fleet.reach import of_variables
from vecnet.loopback import Verdicts, across
from vecnet.loopback.across.machine import Machine, started
from vecnet.topology import loads

PYTHON = shlex.quote(sys.executable)
ADDRESSES = {
    "alpha": ("192.0.2.11", "2001:db8::11"),
    "beta": ("192.0.2.12", "2001:db8::12"),
    "gamma": ("192.0.2.13", "2001:db8::13"),
}


@contextmanager
def machines(names: Sequence[str] = tuple(ADDRESSES)) -> Iterator[None]:
    """These machines, for as long as the block; the calling process is beside them."""
    need_root()
    need_command("ip", "nsenter")
    with private_network():
        ip("link", "add", "lan", "up", "type", "bridge")
        for name in names:
            ip("netns", "add", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", name, "master", "lan", "up")
            with within(name):
                ip("link", "set", "lo", "up")
                for address in ADDRESSES[name]:
                    six = ":" in address
                    ip("addr", "add", f"{address}/{64 if six else 24}", *["nodad"] * six, "dev", "eth0")
                ip("link", "set", "eth0", "up")
        yield


def interpreter(folder: Path, name: str) -> Path:
    """A machine's Python, with a runtime folder of its own: the machines of a test have one file system."""
    python, runtime = folder / f"python of {name}", folder / name
    if not python.exists():
        runtime.mkdir()
        python.write_text(f'#!/bin/sh\nexec env XDG_RUNTIME_DIR={shlex.quote(str(runtime))} {PYTHON} "$@"\n')
        python.chmod(0o755)
    return python


def inventory(folder: Path, names: Iterable[str]) -> Path:
    """An Ansible inventory, by which these machines are reached."""
    hosts = {
        name: {"ansible_connection": "vecnet.uml.netns", "ansible_python_interpreter": str(interpreter(folder, name))}
        for name in names
    }
    file = folder / "inventory.yaml"
    file.write_text(json.dumps({"all": {"hosts": hosts}}))
    return file


@contextmanager
def agents(names: Iterable[str]) -> Iterator[dict[str, Machine]]:
    """An agent on each, as the command starts it."""
    with TemporaryDirectory() as place:
        variables = {
            name: {
                "ansible_connection": "netns",
                "ansible_python_interpreter": str(interpreter(Path(place), name)),
            }
            for name in names
        }
        with started({name: of_variables(name, its).command(*AGENT) for name, its in variables.items()}) as there:
            yield there


def proved(text: str, probes: Sequence[str] = (), links: Sequence[str] = ()) -> Verdicts:
    """The report on a topology."""
    topology = loads(text)
    with agents(topology.hosts) as there:
        return across.prove(topology, there, links=links, probes=probes)


def reasons(report: Verdicts) -> Mapping[str, Mapping[str, str]]:
    """By link and probe: the verdict and its sentence."""
    return {
        link.link: {result.probe: f"{result.verdict}: {result.reason}" for result in link.results}
        for link in report.links
    }
