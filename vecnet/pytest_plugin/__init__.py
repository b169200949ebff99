"""The pytest plugin: probes as tests, and fixtures that give a test its own network with open ports.

    pytest --vecnet lab.yaml          every probe of every link of lab.yaml is a test, in a sandbox

    @pytest.mark.vecnet("lab.yaml")   # beside the test's file
    def test_web(vecnet_ports):       # the topology is up, in a network that this test has for itself
        web = vecnet_ports["web:vec0"]
        web.send([frame])

A test with a lab runs where every other test runs, and pytest does around it what it always does. Only its network is
another: the process enters it before the test's own fixtures are set up, and leaves it after they are torn down.
Fixtures of a class, a module or the session, and tests without a lab, are in the network in which pytest was started.

    who starts pytest                              where tests with a lab run
    may leave a network and come back (root)       in the process of all tests
    an ordinary user, who could never come back    in a second pytest, in a sandbox, which reports to the first

The second pytest is to the first what a worker is to pytest-xdist: fixtures of module and session are its own. Under
`unshare -rn pytest …` there is one again, in a network without a way out.

| file | subject |
|---|---|
| lab.py | networks that tests enter and leave, and the fixtures |
| ports.py | the guests' ports, by name |
| probes.py | the probes of a topology, as tests |
| handover.py, second.py | the two pytests: the one that hands tests over, and the one that runs them |
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from vecnet.pytest_plugin.handover import Handover
from vecnet.pytest_plugin.lab import LABS, TOPOLOGY, Labs, vecnet_topology
from vecnet.pytest_plugin.ports import vecnet_ports
from vecnet.pytest_plugin.probes import TopologyFile

__all__ = ["vecnet_ports", "vecnet_topology"]


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
    config.addinivalue_line(
        "markers",
        "vecnet(file, scope='function'): the topology that the vecnet fixtures bring up, beside the test; with the "
        "scope class, module, package or session, tests share it",
    )
    for file in config.getoption("vecnet"):
        path = Path(file)
        if not path.exists():
            raise pytest.UsageError(f"--vecnet {file}: there is no such file")
        config.args.append(str(path.resolve()))
    labs = config.stash[LABS] = Labs()
    config.add_cleanup(labs.close)
    config.pluginmanager.register(Handover(config, labs), "vecnet-handover")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if any(file_path == Path(file).resolve() for file in parent.config.getoption("vecnet")):
        return TopologyFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's lab comes before all other fixtures that it has for itself: what they open is to be in the lab."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if TOPOLOGY in names:
            names.remove(TOPOLOGY)
            shared = [name for name in names if _scope(item, name) != "function"]
            names.insert(names.index(shared[-1]) + 1 if shared else 0, TOPOLOGY)


def _scope(item: pytest.Item, name: str) -> str:
    defined = item._fixtureinfo.name2fixturedefs.get(name)  # type: ignore[attr-defined]
    return str(defined[-1].scope) if defined else "function"


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """What tests share is set up outside the lab of the test that asks for it first."""
    labs = request.config.stash[LABS]
    if fixturedef.scope == "function":
        return (yield)
    with labs.outside():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """However a test ends: the next one starts outside its lab."""
    try:
        return (yield)
    finally:
        item.config.stash[LABS].leave()
