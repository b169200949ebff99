"""The pytest plugin: probes as tests, and fixtures that give a test its own network with open ports.

    pytest --vecnet lab.yaml          every probe of every link of lab.yaml is a test, in a sandbox

    @pytest.mark.vecnet("lab.yaml")   # beside the test's file
    def test_web(vecnet_ports):       # the topology is up, in a network that this test has for itself
        web = vecnet_ports["web:vec0"]
        web.send([frame])

A test with such a fixture runs in a forked child, which enters a sandbox first: no root is needed where user namespaces
are allowed, and whatever the test does to the network is gone with the child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.launch import Descriptors
    from vecnet.topology import Topology
    from vecnet.vecstring import VecDevice

_FIXTURES = {"vecnet_topology", "vecnet_ports"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vecnet", "proving the network of User Mode Linux guests")
    group.addoption(
        "--vecnet",
        action="append",
        default=[],
        metavar="FILE",
        help="Run the probes of `vecnet loopback` on this topology, each as a test. May be repeated.",
    )
    group.addoption(
        "--vecnet-here",
        action="store_true",
        help="The topologies are up already, in this network: probe them here and not in a sandbox.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vecnet(file): the topology that the vecnet fixtures bring up, beside the test")
    for file in config.getoption("vecnet"):
        path = Path(file)
        if not path.exists():
            raise pytest.UsageError(f"--vecnet {file}: there is no such file")
        config.args.append(str(path.resolve()))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if any(file_path == Path(file).resolve() for file in parent.config.getoption("vecnet")):
        return TopologyFile.from_parent(parent, path=file_path)
    return None


class TopologyFile(pytest.File):
    """A topology, whose links' probes are tests."""

    def collect(self) -> Iterator[pytest.Item]:
        from vecnet.errors import InputError
        from vecnet.loopback.probes import NAMES
        from vecnet.topology import load

        try:
            topology = load(self.path)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        self.results: dict[tuple[str, str], dict[str, Any]] | None = None
        for link in topology.links:
            for probe in NAMES:
                yield ProbeItem.from_parent(self, name=f"{link.name}[{probe}]", link=link.name, probe=probe)

    def result(self, link: str, probe: str) -> dict[str, Any]:
        """What a probe found; all are tried in one run, at the first question."""
        if self.results is None:
            self.results = self._run()
        return self.results[link, probe]

    def _run(self) -> dict[tuple[str, str], dict[str, Any]]:
        vecnet = [sys.executable, "-m", "vecnet"]
        here = self.config.getoption("vecnet_here")
        command = [
            *([] if here else [*vecnet, "sandbox", self.path, "--"]),
            *vecnet,
            "loopback",
            self.path,
            "--json",
            "-",
        ]
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if not done.stdout:
            raise ProbeError(done.stderr.strip() or f"vecnet loopback ended with status {done.returncode}")
        return {
            (link["link"], result["probe"]): result
            for link in json.loads(done.stdout)["links"]
            for result in link["probes"]
        }


class ProbeError(Exception):
    """A probe that did not pass; the message is the reason."""


class ProbeItem(pytest.Item):
    """One probe on one link. What could not be tested fails; what the link does not have is skipped."""

    def __init__(self, *, link: str, probe: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.link, self.probe = link, probe

    def runtest(self) -> None:
        assert isinstance(self.parent, TopologyFile)
        result = self.parent.result(self.link, self.probe)
        if result["verdict"] == "n/a":
            pytest.skip(result["reason"])
        if result["verdict"] != "pass":
            raise ProbeError(f"{result['verdict']}: {result['reason']}")
        self.user_properties += list(result["figures"].items())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, ProbeError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.link} {self.probe}"


# ---- fixtures ----


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """A test that uses our fixtures runs in a child: the child's network is private, and ends with it."""
    if not _FIXTURES & set(getattr(item, "fixturenames", ())):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports_of_child(item):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports_of_child(item: pytest.Item) -> list[pytest.TestReport]:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            _run_in_child(item, write)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not data:
        code = os.waitstatus_to_exitcode(status)
        what = f"the test's process was killed by signal {-code}" if code < 0 else f"it ended with status {code}"
        return [pytest.TestReport(item.nodeid, item.location, {}, "failed", what, "call")]
    hook = item.config.hook
    return [hook.pytest_report_from_serializable(config=item.config, data=one) for one in json.loads(data)]


def _run_in_child(item: pytest.Item, write: int) -> None:
    from _pytest.runner import runtestprotocol

    from vecnet import sandbox
    from vecnet.errors import HostError

    try:
        sandbox.enter()
        reports = runtestprotocol(item, log=False, nextitem=None)
    except HostError as error:
        reports = [pytest.TestReport(item.nodeid, item.location, {}, "failed", str(error), "setup")]
    hook = item.config.hook
    data = json.dumps([hook.pytest_report_to_serializable(config=item.config, report=one) for one in reports])
    with os.fdopen(write, "wb") as pipe:
        pipe.write(data.encode())


@pytest.fixture
def vecnet_topology(request: pytest.FixtureRequest) -> Topology:
    """The topology of the test's `vecnet` mark, up in a network of the test's own."""
    from vecnet import host
    from vecnet.topology import load

    mark = request.node.get_closest_marker("vecnet")
    if mark is None or not mark.args:
        pytest.fail('say which topology this test needs: @pytest.mark.vecnet("lab.yaml")')
    file = request.path.parent / mark.args[0]
    host.prepare_sandbox(load(file))
    topology = load(file)  # again: routes, and so MTUs, are now this network's
    host.up(topology)
    return topology


class Ports:
    """Ports by the names of guests' devices, `web:vec0`, each opened when it is first asked for."""

    def __init__(self, topology: Topology, stack: ExitStack) -> None:
        self._topology, self._stack = topology, stack
        self._devices = {f"{guest}:{d.ifname}": d for guest in topology.guests for d in topology.devices(guest)}
        self._ports: dict[str, Port] = {}
        self._descriptors: Descriptors | None = None  # what the guests of fd links inherit

    def __getitem__(self, name: str) -> Port:
        from vecnet.datapath.port import open_port

        if name not in self._devices:
            raise KeyError(f"no guest has {name!r}; there are {', '.join(self._devices)}")
        if name not in self._ports:
            self._ports[name] = self._stack.enter_context(open_port(self._with_descriptor(name)))
        return self._ports[name]

    def _with_descriptor(self, name: str) -> VecDevice:
        """The device; of an fd link with a descriptor that is open here, where two guests may have the same number."""
        from vecnet.launch import descriptors
        from vecnet.transports.fd import Fd

        device = self._devices[name]
        if not isinstance(device.transport, Fd):
            return device
        if self._descriptors is None:
            self._descriptors = descriptors(self._topology, self._topology.guests)
            for opened in self._descriptors.values():
                for fd in opened.values():
                    self._stack.callback(os.close, fd)
        inherited = self._descriptors[name.partition(":")[0]][device.transport.fd]
        return replace(device, transport=replace(device.transport, fd=inherited))


@pytest.fixture
def vecnet_ports(vecnet_topology: Topology) -> Iterator[Ports]:
    """The guests' ports, by name: vecnet_ports["web:vec0"]. They are closed after the test."""
    with ExitStack() as stack:
        yield Ports(vecnet_topology, stack)
