"""What goes wrong is told once, in words, and ends nothing but its test."""

from __future__ import annotations

import pytest

from tests.need import need_command
from tests.plugin.conftest import LAB, NETWORK, PYTEST, QUICK, Pytest, assert_nothing_left

pytestmark = pytest.mark.unsanitized
HEAD = """
import os, signal, subprocess, sys, time
import pytest
pytestmark = [pytest.mark.vecnet("lab.yaml"), pytest.mark.usefixtures("vecnet_topology")]
"""
POWERLESS = ("setpriv", "--bounding-set=-sys_admin,-net_admin")  # uid 0, as in many containers
# what a host may do against it: forbid user namespaces, or forbid to use them
LIMIT = (
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
)
READ_ONLY = ("sh", "-c", 'mount -o remount,bind,ro /proc && exec "$@"', "sh")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (LIMIT, "the kernel refuses a private network (no more of them are allowed)"),
        (READ_ONLY, "/proc/self/setgroups cannot be written (Read-only file system)"),
    ],
    ids=["forbidden", "useless"],
)
def test_no_sandbox_is_an_error_that_is_told_once(
    pytester: pytest.Pytester, host: tuple[str, ...], reason: str
) -> None:
    need_command("unshare", "setpriv")
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    pytester.makepyfile(
        test_it=HEAD
        + """
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
def test_one(): open("ran", "w").close()
def test_two(): open("ran", "w").close()
@pytest.mark.xfail
def test_xfail(): open("ran", "w").close()
"""
    )
    done = pytester.run(*NETWORK, *host, *POWERLESS, *PYTEST, *QUICK, "--vecnet=lab.yaml", "--reruns=1")
    done.assert_outcomes(errors=2, skipped=1, xfailed=1, failed=9)
    text = done.stdout.str()
    body = text.partition("short test summary")[0]
    assert body.count(f"no sandbox: {reason}; allow user namespaces") == 2  # once by the tests, once by the probes
    assert "CAP_SYS_ADMIN" in body
    done.stdout.fnmatch_lines(["no lab, for the reason that test_it.py::test_one has"])
    done.stdout.fnmatch_lines(["not tried, for the reason that lab.yaml::a:vec0--b:vec0?open? has"])
    assert not pytester.path.joinpath("ran").exists()
    assert "Traceback" not in text + done.stderr.str()


def test_root_without_capabilities_is_an_ordinary_user(pytester: pytest.Pytester) -> None:
    need_command("unshare", "setpriv")
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    pytester.makepyfile(
        test_it=HEAD + "def test_one(): assert subprocess.run(['ip', 'link', 'add', 'x', 'type', 'bridge'])"
    )
    done = pytester.run(*NETWORK, *POWERLESS, *PYTEST, *QUICK, "--vecnet=lab.yaml", "-k", "one or open")
    done.assert_outcomes(passed=2)


def test_mistakes_are_told_without_a_traceback(run: Pytest, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("broken.yaml").write_text(
        "name: b\nlinks: [{transport: tape, endpoints: [a:vec0, host:t]}]\n"
    )
    pytester.path.joinpath("taken.yaml").write_text(
        "name: t\nlinks: [{transport: tap, endpoints: [a:vec0, {host:t: {netns: nowhere}}]}]\n"
    )
    done = run(
        """
import pytest
def test_unmarked(vecnet_topology): pass
@pytest.mark.vecnet("none.yaml")
def test_missing(vecnet_topology): pass
@pytest.mark.vecnet("broken.yaml")
def test_broken(vecnet_topology): pass
@pytest.mark.vecnet("broken.yaml")
def test_broken_again(vecnet_ports): pass
@pytest.mark.vecnet("lab.yaml")
def test_no_such_port(vecnet_ports): vecnet_ports["c:vec0"]
def test_fine(): pass
"""
    )
    done.assert_outcomes(passed=1, failed=1, errors=4)
    done.stdout.fnmatch_lines(["say which topology this test needs*"])
    done.stdout.fnmatch_lines(["*none.yaml: cannot be read*"])
    done.stdout.fnmatch_lines(["*broken.yaml:2:21: *tape*did you mean tap?*"])
    done.stdout.fnmatch_lines(["no lab, for the reason that test_it.py::test_broken has"])
    done.stdout.fnmatch_lines(["E*KeyError*no guest has 'c:vec0'; there are a:vec0, b:vec0*"])
    assert "lab.py" not in done.stdout.str()


def test_a_test_that_dies_is_a_failure_and_the_rest_go_on(pytester: pytest.Pytester) -> None:
    """Where tests with a lab have a process of their own."""
    need_command("unshare", "setpriv")
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    pytester.makepyfile(
        test_it=HEAD
        + """
def test_dies(): os.kill(os.getpid(), signal.SIGKILL)
def test_exits(): os._exit(0)
def test_leaves_a_child():
    if os.fork() == 0: time.sleep(3)
    os._exit(5)
def test_lives(tmp_path): pass
"""
    )
    done = pytester.run(*NETWORK, *POWERLESS, *PYTEST, *QUICK)
    done.assert_outcomes(passed=1, failed=3)
    done.stdout.fnmatch_lines(
        [
            "the process of tests with a lab was killed by SIGKILL",
            "the process of tests with a lab ended with status 0",
            "the process of tests with a lab ended with status 5",
        ]
    )


def test_what_the_second_pytest_did_not_collect_is_told(pytester: pytest.Pytester) -> None:
    need_command("unshare", "setpriv")
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    pytester.makepyfile(test_it=HEAD + "assert os.environ.get('PYTEST_XDIST_WORKER') != 'labs'\ndef test_one(): pass\n")
    done = pytester.run(*NETWORK, *POWERLESS, *PYTEST, *QUICK)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["it was not collected where tests with a lab run", "*assert 'labs' != 'labs'*"])


def test_who_asks_in_the_middle_of_a_test_is_told_how(run: Pytest, user: tuple[str, ...]) -> None:
    done = run(
        """
import pytest
@pytest.mark.vecnet("lab.yaml")
def test_asks(request): assert request.getfixturevalue("vecnet_ports")["a:vec0"]
"""
    )
    if len(user) == len(NETWORK):
        done.assert_outcomes(passed=1)
    else:
        done.assert_outcomes(failed=1)
        done.stdout.fnmatch_lines(["*must say beforehand that it needs a lab*"])


def test_a_probe_that_takes_too_long(pytester: pytest.Pytester, words: tuple[str, ...]) -> None:
    """All of a link are tried at its first: that one has the time-out, the others say where to look."""
    pytester.path.joinpath("lab.yaml").write_text(LAB)
    done = pytester.run(*words, "--vecnet=lab.yaml", "--timeout=0.3")
    done.assert_outcomes(failed=9)
    done.stdout.fnmatch_lines(["*Timeout*", "not tried, for the reason that lab.yaml::a:vec0--b:vec0?open? has"])
    assert_nothing_left(pytester.path)
