"""Which network everything around a test is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import Pytest

HEAD = """
import os, subprocess, threading
import pytest
def network(): return os.readlink("/proc/thread-self/ns/net"), os.readlink("/proc/thread-self/ns/mnt"), os.getcwd()
HOME = network()
"""


def test_what_tests_share_is_made_and_ended_once_in_one_network(run: Pytest) -> None:
    """Per process: without root, tests with a lab have a process of their own, as with xdist."""
    done = run(
        HEAD
        + """
def shared(scope):
    @pytest.fixture(scope=scope, params=["p", "q"] if scope == "class" else None)
    def fixture(request):
        say(request.fixturename, getattr(request, 'param', ''), "made")
        yield
        say(request.fixturename, getattr(request, 'param', ''), "ended")
    return fixture
def say(*words):
    with open("events", "a") as file: print(os.getpid(), network()[0], *words, file=file)
for_session, for_module, for_class, for_package = map(shared, ["session", "module", "class", "package"])
lab = pytest.mark.vecnet("lab.yaml")
class TestBoth:
    def test_without(self, for_session, for_package, for_module, for_class): assert network() == HOME
    @lab
    def test_lab(self, vecnet_topology, for_session, for_package, for_module, for_class): assert network() != HOME
    @lab
    def test_lab_again(self, vecnet_topology, for_class): assert network() != HOME
    def test_without_again(self, for_session, for_class): assert network() == HOME
@lab
@pytest.mark.usefixtures("vecnet_topology")
def test_asks_later(request): request.getfixturevalue("for_more")
for_more = shared("module")
def test_last(for_session, for_module): assert network() == HOME
"""
    )
    done.assert_outcomes(passed=10)
    made: dict[tuple[str, ...], str] = {}  # by process and what it is: the network
    processes: dict[str, set[str]] = {}
    for line in Path("events").read_text().splitlines():
        process, network, *what, event = line.split()
        processes.setdefault(process, set()).add(network)
        if event == "made":
            assert made.setdefault((process, *what), network) == network
        else:
            assert made.pop((process, *what)) == network  # ended where it was made
    assert not made
    assert all(len(networks) == 1 for networks in processes.values())


def test_what_a_test_has_for_itself_is_in_its_lab(run: Pytest) -> None:
    done = run(
        HEAD
        + """
@pytest.fixture
def watched(vecnet_topology):
    before = network()
    yield
    assert network()[:2] == before[:2] != HOME[:2]
@pytest.fixture
def server():
    subprocess.run(["ip", "link", "add", "made", "type", "bridge"], check=True)
    assert "made" in os.listdir("/sys/class/net")
    return network()
class TestOrder:
    def setup_method(self): self.place = network()
    @pytest.mark.vecnet("lab.yaml")
    def test_order(self, server, watched, vecnet_ports, tmp_path):
        assert server == network() == self.place != HOME
        seen = []
        thread = threading.Thread(target=lambda: seen.append(network()))
        thread.start()
        thread.join()
        assert seen == [network()]
        assert subprocess.run(["ip", "link", "show", "made"]).returncode == 0
        assert os.getcwd() == HOME[2]
    @pytest.mark.vecnet("lab.yaml")
    def test_fresh(self, watched, tmp_path):
        assert subprocess.run(["ip", "link", "show", "made"]).returncode == 1
        subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
        os.chdir(tmp_path)
    def test_mounts_are_gone(self, tmp_path_factory):
        assert "test_fresh" not in open("/proc/self/mounts").read()
        os.chdir(HOME[2])
"""
    )
    done.assert_outcomes(passed=3)


def test_tests_without_a_lab_are_not_touched(run: Pytest) -> None:
    done = run(
        """
import os, pytest
def place(): return [os.readlink(f"/proc/thread-self/ns/{name}") for name in ("net", "mnt", "user", "pid")]
BEFORE = place(), os.geteuid(), os.getpid()
def test_before(): assert (place(), os.geteuid(), os.getpid()) == BEFORE
@pytest.mark.vecnet("lab.yaml")
def test_lab(vecnet_topology): assert place() != BEFORE[0]
def test_after(): assert (place(), os.geteuid(), os.getpid()) == BEFORE
""",
        "-v",
    )
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*test_before PASSED*", "*test_lab PASSED*", "*test_after PASSED*"])


def test_tests_may_share_a_lab(run: Pytest) -> None:
    done = run(
        HEAD
        + """
made = lambda: subprocess.run(["ip", "link", "show", "made"]).returncode == 0
module = pytest.mark.vecnet("lab.yaml", scope="module")
@module
def test_first(vecnet_topology):
    assert not made()
    subprocess.run(["ip", "link", "add", "made", "type", "bridge"], check=True)
def test_without(): assert network() == HOME
@module
def test_shares(vecnet_ports):
    assert made()
    vecnet_ports["a:vec0"].send(bytes(60))
@pytest.mark.vecnet("lab.yaml")
def test_alone(vecnet_topology): assert not made()
@pytest.mark.vecnet("lab.yaml", scope="class")
class TestClass:
    def test_first(self, vecnet_topology):
        assert not made()
        subprocess.run(["ip", "link", "add", "made", "type", "bridge"], check=True)
    def test_shares(self, vecnet_topology): assert made()
@module
def test_still(vecnet_topology): assert made()
@pytest.mark.vecnet("lab.yaml", scope="function")
def test_function(vecnet_topology): assert not made()
@pytest.mark.vecnet("lab.yaml", scope="modul")
def test_typo(vecnet_topology): pass
"""
    )
    done.assert_outcomes(passed=8, errors=1)
    done.stdout.fnmatch_lines(["*scope 'modul'*write function, class, module, package*"])


def test_threads_that_run_already_stay_where_they_are(run: Pytest, pytester: pytest.Pytester) -> None:
    """And do not keep a test from its lab: many libraries start some while they are imported."""
    pytester.makeconftest(
        """
import os, threading, queue
asked, answers = queue.Queue(), queue.Queue()
def serve():
    while asked.get(): answers.put(os.readlink("/proc/thread-self/ns/net"))
threading.Thread(target=serve, daemon=True).start()
"""
    )
    done = run(
        HEAD
        + """
@pytest.mark.vecnet("lab.yaml")
@pytest.mark.parametrize("number", range(2))
def test_lab(vecnet_topology, number, pytestconfig):
    (conftest,) = (one for one in pytestconfig.pluginmanager.get_plugins() if hasattr(one, "asked"))
    conftest.asked.put(True)
    assert conftest.answers.get() == HOME[0] != network()[0]
    assert "sit0" not in os.listdir("/sys/class/net")
    os.chdir("/proc")
    os.chdir(HOME[2])
"""
    )
    done.assert_outcomes(passed=2)
