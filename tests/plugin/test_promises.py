"""What pytest promises to every test, and its plugins too, holds for a test with a lab."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.need import need
from tests.plugin.conftest import LAB, PYTEST, Pytest, assert_nothing_left

pytestmark = pytest.mark.unsanitized
ROOT = Path(__file__).parents[2]
HEAD = """
import logging, os, subprocess, sys, time, unittest, warnings
import pytest
pytestmark = [pytest.mark.vecnet("lab.yaml"), pytest.mark.usefixtures("vecnet_topology")]
"""


def test_subtests_that_fail_are_failures(run: Pytest) -> None:
    done = run(
        HEAD
        + """
def test_each_mtu(subtests):
    for mtu in (1280, 1500):
        with subtests.test(mtu=mtu):
            assert mtu == 1500

class Links(unittest.TestCase):
    def test_each(self):
        with self.subTest(link=1):
            self.fail("this link does not work")
"""
    )
    assert done.ret == 1
    done.stdout.fnmatch_lines(["SUBFAILED*test_each_mtu*1280 == 1500", "FAILED*contains 1 failed subtest"])
    done.stdout.fnmatch_lines(["SUBFAILED*test_each*"])
    assert done.parseoutcomes()["failed"] == 3


def test_unittests_set_up_and_tear_down(run: Pytest) -> None:
    done = run(
        HEAD
        + """
done = []
class Suite(unittest.TestCase):
    @classmethod
    def setUpClass(cls): done.append("class")
    @classmethod
    def tearDownClass(cls): open("done", "w").write(" ".join(done))
    def setUp(self):
        subprocess.run(["ip", "link", "add", "made", "type", "bridge"], check=True)
        done.append("up")
    def tearDown(self):
        subprocess.run(["ip", "link", "del", "made"], check=True)
        done.append("down")
    def test_one(self): self.addCleanup(done.append, "cleanup")
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail("as expected")

class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def test_awaits(self):
        import asyncio
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 80)
        await asyncio.open_connection("127.0.0.1", 80)
        server.close()

def test_later():
    assert open("done").read() == "class up down up down cleanup"
"""
    )
    done.assert_outcomes(passed=3, skipped=1, xfailed=1)


OUTCOMES = """
def test_skip(): pytest.skip("not today")
@pytest.mark.skipif(True, reason="never")
def test_skipif(): pass
@pytest.mark.xfail(raises=KeyError)
def test_xfail(): {}["x"]
@pytest.mark.xfail
def test_xpass(): pass
@pytest.mark.xfail(strict=True)
def test_strict(): pass
def test_calls_xfail(): pytest.xfail("known")
@pytest.fixture
def broken(): raise OSError("its set-up")
def test_error(broken): pass
@pytest.fixture
def leaks():
    yield
    raise OSError("its end")
def test_ends_badly(leaks): pass
@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(number): assert number == 1
def test_fails():
    print("on stdout")
    print("on stderr", file=sys.stderr)
    logging.getLogger("lab").warning("logged")
    assert [1, 2] == [1, 3]
def test_reads_what_was_captured(capsys, caplog):
    print("mine")
    logging.warning("mine too")
    assert capsys.readouterr().out == "mine\\n"
    assert caplog.messages == ["mine too"]
def test_child(capfd):
    subprocess.run(["echo", "a child's"], check=True)
    assert capfd.readouterr().out == "a child's\\n"
def test_has_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open("file", "w").close()
    assert tmp_path.joinpath("file").exists()
def test_measures(record_property): record_property("mtu", 1500)
"""


def test_outcomes_are_what_they_are_without_a_lab(run: Pytest) -> None:
    options = ("-rA", "-v", "--junitxml=report.xml", "-o", "junit_family=xunit1")

    def without_times(text: str) -> str:
        return re.sub(r'=* [^=]* in \d.*s =+|(time|timestamp)="[^"]*"', "", text)

    with_lab = run(HEAD + OUTCOMES, *options)
    report = Path("report.xml").read_text()
    with_lab.assert_outcomes(passed=6, failed=3, errors=2, skipped=2, xfailed=2, xpassed=1)
    without = run(HEAD + "pytestmark = []\n" + OUTCOMES[1:], *options)
    assert without_times(with_lab.stdout.str()) == without_times(without.stdout.str())
    assert without_times(report) == without_times(Path("report.xml").read_text())


def test_times_and_set_ups_are_shown(run: Pytest) -> None:
    done = run(HEAD + "def test_has_files(tmp_path): time.sleep(0.5)\n", "--durations=3", "--setup-show")
    done.stdout.fnmatch_lines(["*SETUP    F vecnet_topology", "*test_it.py::test_has_files (fixtures used: *tmp_path*"])
    done.stdout.fnmatch_lines(["*slowest 3 durations*", "*s call * test_it.py::test_has_files"])


def test_warnings_are_counted_and_can_be_errors(run: Pytest) -> None:
    source = (
        HEAD
        + """
class LabWarning(UserWarning): pass
def test_warns(): warnings.warn(LabWarning("the wire is slow"))
def test_expects():
    with pytest.warns(LabWarning): warnings.warn(LabWarning("expected"))
"""
    )
    done = run(source)
    done.assert_outcomes(passed=2, warnings=1)
    done.stdout.fnmatch_lines(["test_it.py::test_warns", "*test_it.py:*: LabWarning: the wire is slow"])
    done = run(source, "-W", "error")
    done.assert_outcomes(passed=1, failed=1)


def test_reruns(run: Pytest) -> None:
    done = run(
        HEAD
        + """
tries = []
@pytest.fixture(autouse=True)
def made():
    subprocess.run(["ip", "link", "add", "made", "type", "bridge"], check=True)
def test_flaky():
    tries.append(1)
    assert len(tries) == 3
""",
        "--reruns=2",
    )
    assert done.ret == 0
    assert done.parseoutcomes() == {"passed": 1, "rerun": 2}


def test_coverage(run: Pytest, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mod="def one():\n    x = 1\n    return x\ndef two():\n    return 2\n")
    done = run(HEAD + "import mod\ndef test_one(): assert mod.one() == 1\n", "--cov=mod", "--cov-report=term-missing")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["mod.py * 80% * 5"])


@pytest.mark.parametrize("stop", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_run(run: Pytest, stop: str) -> None:
    done = run(
        """
import pytest
def test_before(): pass
@pytest.mark.vecnet("lab.yaml")
def test_fails(vecnet_topology): assert 0
@pytest.mark.vecnet("lab.yaml")
def test_never(vecnet_topology): pass
def test_never_either(): pass
""",
        stop,
    )
    assert done.ret == 1
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_failures_of_both_kinds_count_together(run: Pytest) -> None:
    done = run(
        """
import pytest
def test_fails(): assert 0
@pytest.fixture(scope="module")
def ends():
    yield
    print("the module's end")
@pytest.mark.vecnet("lab.yaml")
def test_fails_too(vecnet_topology, ends): assert 0
@pytest.mark.vecnet("lab.yaml")
def test_never(vecnet_topology, ends): pass
""",
        "--maxfail=2",
        "-s",
    )
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*the module's end", "*stopping after 2 failures*"])


def test_a_test_may_end_the_run(run: Pytest) -> None:
    done = run(HEAD + "def test_ends(): pytest.exit('the lab burns', 42)\ndef test_never(): pass\n")
    assert done.ret == 42
    done.stdout.fnmatch_lines(["*Exit: the lab burns*"])
    assert "passed" not in done.parseoutcomes()


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_time_out_ends_the_test_in_words(run: Pytest, method: str) -> None:
    done = run(
        HEAD
        + """
def test_hangs():
    subprocess.Popen(["sleep", "0.1"])
    time.sleep(60)
def test_later(): pass
""",
        "--timeout=2",
        f"--timeout-method={method}",
    )
    assert "Timeout" in done.stdout.str() + done.stderr.str()
    if method == "signal":
        done.assert_outcomes(passed=1, failed=1)
        done.stdout.fnmatch_lines(["*Failed: Timeout*2.0s*"])
    assert done.ret == 1
    assert "INTERNALERROR" not in done.stdout.str()


def test_an_interrupt_ends_the_run(run: Pytest, words: tuple[str, ...], pytester: pytest.Pytester) -> None:
    """As `kill -INT` gives it to the one process, and as Ctrl-C at a terminal gives it to all."""
    pytester.makepyfile(
        test_it=HEAD
        + """
@pytest.fixture(autouse=True)
def ends():
    yield
    open("ended", "w").close()
def test_waits():
    open("waits", "w").close()
    time.sleep(60)
def test_never(): pass
"""
    )
    with subprocess.Popen([*words], stdout=subprocess.PIPE, text=True, process_group=0) as process:
        wait_for("waits")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 2
    assert "KeyboardInterrupt" in output
    assert "no tests ran" in output
    wait_for("ended")
    assert_nothing_left(pytester.path)

    Path("waits").unlink()
    Path("ended").unlink()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(words[0], words)
    wait_for("waits")
    os.write(terminal, b"\x03")
    output = read_all(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2, output
    assert "KeyboardInterrupt" in output
    wait_for("ended")


def test_the_debugger_has_the_terminal(run: Pytest) -> None:
    source = HEAD + "def test_stops():\n    answer = 42\n    assert answer == 43\ndef test_goes_on(): breakpoint()\n"
    done = run(source, "--pdb", stdin=b"p answer * 100\nc\np 'in the second'\nc\n")
    done.stdout.fnmatch_lines(["*entering PDB*", "*4200", "*PDB set_trace*", "*'in the second'"])
    done.assert_outcomes(failed=1, passed=1)


def test_workers_of_xdist(run: Pytest) -> None:
    done = run(
        """
import os, pytest
HOME = os.readlink("/proc/thread-self/ns/net")
@pytest.mark.vecnet("lab.yaml")
@pytest.mark.parametrize("number", range(6))
def test_lab(number, vecnet_ports, worker_id):
    assert os.readlink("/proc/thread-self/ns/net") != HOME
    assert worker_id.startswith("gw")
    one, other = vecnet_ports["a:vec0"], vecnet_ports["b:vec0"]
    one.send(bytes(60))
    assert other.recv(timeout=5) == [bytes(60)]
@pytest.mark.parametrize("number", range(6))
def test_home(number):
    assert os.readlink("/proc/thread-self/ns/net") == HOME
@pytest.mark.vecnet("lab.yaml")
def test_fails(vecnet_ports): assert 0
""",
        "-n2",
        "--reruns=1",
    )
    assert done.parseoutcomes() == {"passed": 12, "failed": 1, "rerun": 1}


def test_asyncio(pytester: pytest.Pytester, user: tuple[str, ...]) -> None:
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    pytester.makepyfile(
        test_it=HEAD
        + """
import asyncio
async def talk():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.11", 80)
    await asyncio.open_connection("127.0.0.11", 80)
    server.close()
    return os.readlink("/proc/thread-self/ns/net")
HOME = os.readlink("/proc/thread-self/ns/net")
def test_plain(): assert asyncio.run(talk()) != HOME
@pytest.fixture
async def answer(): return await talk()
@pytest.mark.asyncio
async def test_awaits(answer): assert answer == await talk() != HOME
@pytest.mark.asyncio(loop_scope="module")
async def test_shares_a_loop(): assert await talk() != HOME
"""
    )
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    pytester.run(*user, *PYTEST, *options).assert_outcomes(passed=3)


def test_logs_are_shown_live(run: Pytest) -> None:
    done = run(HEAD + "def test_logs(): logging.warning('it lives')\n", "-o", "log_cli=true")
    done.stdout.fnmatch_lines(["WARNING  root:test_it.py:* it lives"])


def wait_for(name: str) -> None:
    deadline = time.monotonic() + 60
    while not Path(name).exists():
        assert time.monotonic() < deadline, f"no {name}"
        time.sleep(0.02)


def read_all(terminal: int) -> str:
    data = b""
    try:
        while piece := os.read(terminal, 65536):
            data += piece
    except OSError:  # its other end has closed
        pass
    return data.decode()


def test_warnings_that_are_errors(run: Pytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's configuration says so; the plugin gives none where it is installed as files of its own, either."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    need((ROOT / "uml_vecnet.egg-info").exists(), "needs the list of files that `pip install --editable` leaves")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    done = run('import pytest\n@pytest.mark.vecnet("lab.yaml")\ndef test_one(vecnet_topology): pass\n')
    done.assert_outcomes(passed=1)
