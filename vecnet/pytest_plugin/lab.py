"""Labs: topologies that are up in networks of their own, which tests enter and leave.

Entering moves pytest's own thread, so that whatever the test does there, in Python or by a program that it starts, is
in the lab. Threads and processes stay in the network in which they were started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vecnet.errors import InputError, VecnetError

if TYPE_CHECKING:
    from vecnet.sandbox import Place
    from vecnet.topology import Topology

TOPOLOGY = "vecnet_topology"  # the fixture that puts a test into its lab
_OWNERS: dict[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}


@dataclass(frozen=True)
class Lab:
    """A topology, and the network that it is up in."""

    topology: Topology
    place: Place


class Labs:
    """The way into labs, and out of them again."""

    def __init__(self) -> None:
        self.trouble = ""  # why nobody can have a lab here
        self._home: Place | None = None
        self._inside: Place | None = None
        self._said: dict[str, str] = {}  # what was said of failures, and at which test

    @cached_property
    def can_return(self) -> bool:
        """Whether this thread may leave its network and come back, which only the network's owner may."""
        from vecnet import sandbox

        if not sandbox.privileged():
            return False
        try:
            self._home = sandbox.Place()
            self._home.enter()
        except VecnetError:
            return False
        return True

    def make(self, file: Path) -> Lab:
        """Bring a topology up in a new network; this thread stays where it is. Raises VecnetError."""
        from vecnet import lab, sandbox
        from vecnet.topology import load

        load(file).one_machine()  # a broken file is told before anything is made
        assert self._home is not None
        place = None
        try:
            place = self._inside = sandbox.Place.made()
            topology = lab.bring_up(lambda: load(file))
        except BaseException:
            if place is not None:
                place.close()
            raise
        finally:
            self._go_home()
        return Lab(topology, place)

    @contextmanager
    def inside(self, lab: Lab) -> Iterator[None]:
        """This thread is in the lab within the block."""
        self._inside = lab.place
        try:
            lab.place.enter()
            yield
        finally:
            self._go_home()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """This thread is in the network that pytest was started in, within the block."""
        place = self._inside
        self.leave()
        try:
            yield
        finally:
            if place is not None:
                self._inside = place
                place.enter()

    def leave(self) -> None:
        """Go back to the network that pytest was started in, from wherever this thread is."""
        if self._inside is not None:
            self._go_home()

    def _go_home(self) -> None:
        assert self._home is not None
        try:
            self._home.enter()
        except VecnetError as error:
            pytest.exit(f"vecnet: every later test would run in the wrong network: {error}", returncode=3)
        self._inside = None

    def say(self, reason: str, test: str) -> str:
        """The reason why a test has no lab, in full the first time only."""
        first = self._said.setdefault(reason, test)
        return reason if first == test else f"no lab, for the reason that {first} has"

    def close(self) -> None:
        if self._home is not None:
            self._home.close()


LABS = pytest.StashKey[Labs]()
_SHARED = pytest.StashKey[dict[Path, Lab]]()  # those of a class, a module, …, at its node


@pytest.fixture
def vecnet_topology(request: pytest.FixtureRequest) -> Iterator[Topology]:
    """The topology of the test's `vecnet` mark, up in a network that the test is in until it ends."""
    labs = request.config.stash[LABS]
    mark = request.node.get_closest_marker("vecnet")
    file, scope = _file_and_scope(*mark.args, **mark.kwargs) if mark is not None else ("", "function")
    if not file:
        pytest.fail('say which topology this test needs: @pytest.mark.vecnet("lab.yaml")', pytrace=False)
    if not (labs.trouble or labs.can_return):
        labs.trouble = (
            "a test without root must say beforehand that it needs a lab: name the fixture as an argument of the test, "
            "or with @pytest.mark.usefixtures"
        )
    if labs.trouble:
        pytest.fail(labs.say(labs.trouble, request.node.nodeid), pytrace=False)
    try:
        lab = _lab(request.node, labs, (request.path.parent / file).resolve(), scope)
    except VecnetError as error:
        pytest.fail(labs.say(str(error), request.node.nodeid), pytrace=False)
    with labs.inside(lab):
        yield lab.topology


def _file_and_scope(file: str = "", *, scope: str = "function") -> tuple[str, str]:
    """The arguments of the mark."""
    return file, scope


def _lab(test: pytest.Item, labs: Labs, file: Path, scope: str) -> Lab:
    """The lab of a test, or the one that it shares, which ends with what owns it. Raises VecnetError."""
    owner = _owner(test, scope)
    shared = owner.stash.setdefault(_SHARED, {})
    if file not in shared:
        lab = shared[file] = labs.make(file)
        owner.addfinalizer(lab.place.close)
        owner.addfinalizer(partial(shared.pop, file))
    return shared[file]


def _owner(test: pytest.Item, scope: str) -> pytest.Item | pytest.Collector:
    if scope == "function":
        return test
    if scope not in _OWNERS:
        raise InputError(f"a vecnet mark has the scope {scope!r}", f"write function, {', '.join(_OWNERS)}")
    return test.getparent(_OWNERS[scope]) or (test.session if scope == "package" else test)
