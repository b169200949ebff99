"""A machine that lacks something is told in words: the call, its object, and the limit or the right behind it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TAP, TOPOLOGIES, environment
from tests.need import need, need_command, need_root
from tests.thorough import stride
from vecnet.kernel.capabilities import Capability, has, who
from vecnet.kernel.unforeseen import in_words

FD = TOPOLOGIES / "fd.yaml"


def written(path: str) -> None:
    with Path(path).open("wb", buffering=0) as file:
        file.write(b"x")


def raised() -> None:
    raise OSError(24, "Too many open files")


CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "a function of os": (lambda: os.open("/none", os.O_RDONLY), "open('/none') failed: No such file or directory"),
    "bytes": (lambda: os.open(b"/none", 0), "open('/none') failed: No such file or directory"),
    "two files": (lambda: Path("/none").rename("/nor"), "rename('/none', '/nor') failed: No such file or directory"),
    "a method": (lambda: Path("/none").read_text(), "open('/none') failed: No such file or directory"),
    "over several lines": (
        lambda: os.open(
            "/none",
            os.O_RDONLY,
        ),
        "open('/none') failed: No such file or directory",
    ),
    "a socket": (lambda: socket.socket(socket.AF_INET, 77), "socket() failed: "),
    "of the standard library": (lambda: tempfile.mkdtemp(dir="/none", prefix="x"), "mkdir('/none/x"),
    "raised by hand": (raised, "raised() failed: Too many open files"),
    "a number beyond the limit": (
        lambda: os.dup2(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        f"limit, {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}; raise it with: ulimit -n",
    ),
    "a full disk": (lambda: written("/dev/full"), "write() failed: No space left on device; make room"),
    "a control character": (lambda: os.open("/none\x1b[2J", 0), r"open('/none\x1b[2J') failed: "),
}


def test_a_call_that_python_has_specialised_is_named() -> None:
    for _ in range(100):
        with pytest.raises(FileNotFoundError) as caught:
            tempfile.mkdtemp(dir="/none", prefix="x")
        assert "mkdir('/none/x" in str(in_words(caught.value))


@pytest.mark.parametrize("name", CALLS)
def test_the_call_and_its_object_are_named(name: str) -> None:
    call, sentence = CALLS[name]
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its text is the operating system's
        call()
    assert sentence in str(in_words(caught.value))


EVERY = {
    "args": ("args", LAB),
    "check": ("check", LAB),
    "plan": ("plan", LAB),
    "up": ("up", LAB),
    "status": ("status",),
    "down": ("down", "lab"),
    "loopback": ("loopback", FD, "-p", "frames"),
    "sandbox": ("sandbox", LAB, "--", "true"),
    "run": ("run", FD, "--", "true"),
    "bench": ("bench", "-t", "fd", "--no-guest", "--no-streams", "--no-making", "--quick"),
}


def limited(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command in a network and a mount namespace of its own, after a script has taken something away."""
    need_root()
    need_command("unshare", "bash", "ip")
    line = ["unshare", "-n", "-m", "--propagation", "private", "bash", "-c", f'{script} && exec "$@"', "-"]
    done = subprocess.run(
        [*line, EXECUTABLE, *words], capture_output=True, text=True, check=False, env=environment(), timeout=120
    )
    said = done.stdout + done.stderr
    assert "fault of its own" not in said, said
    assert "Traceback" not in said, said
    assert "None" not in said, said
    return done


@pytest.mark.parametrize("name", list(EVERY)[:: stride(2)])
def test_few_descriptors_end_in_a_sentence_that_names_the_limit(name: str) -> None:
    failed = 0
    for limit in (5, 6, 7, 8, 9, 10, 14)[:: stride(3)]:  # with 4 Python itself does not start
        done = limited(f"ulimit -n {limit}", *EVERY[name])
        if done.returncode:
            failed += 1
            assert "ulimit -n" in done.stdout + done.stderr, (limit, done)
    assert failed or name in ("args", "check", "status", "down")


def test_a_guests_descriptor_beyond_the_limit() -> None:
    done = limited("ulimit -n 64", "run", FD, "--", "true")
    assert done.returncode == 126
    assert "true is not started: dup2() failed: Bad file descriptor; a descriptor's number must be below" in done.stdout
    assert "64; raise it with: ulimit -n" in done.stdout


NO_PROC = "/proc is not mounted; mount it with: mount -t proc proc /proc"


@pytest.mark.parametrize("name", ["plan", "up", "status", "down", "loopback", "sandbox"])
def test_no_proc(name: str) -> None:
    """What needs nothing of it does its work, and all else says what is missing."""
    done = limited("mount -t tmpfs none /proc", *EVERY[name])
    said = done.stdout + done.stderr
    assert not done.returncode or NO_PROC in said


def test_no_proc_to_read_what_uses_an_interface() -> None:
    done = limited(f"mount -t tmpfs none /proc && '{EXECUTABLE}' up '{LAB}'", "status")
    assert done.returncode == 1
    assert NO_PROC in done.stderr


@pytest.mark.parametrize("limit", [8, 10, 12, 14, 15, 16, 17, 18, 20, 22, 24, 28][:: stride(3)])
def test_a_wire_for_which_the_tester_has_no_descriptors_does_not_fail(limit: int) -> None:
    done = limited(f"ulimit -n {limit}", "loopback", FD)
    assert "FAIL" not in done.stdout, done.stdout
    assert done.returncode in (0, 3) or not done.stdout
    assert done.returncode == 0 or "ulimit -n" in done.stdout + done.stderr


# ---- the device of taps ----

GONE = "mount -t tmpfs none /dev/net"
NO_TUN = "/dev/net/tun cannot be opened"


@pytest.mark.parametrize("name", ["plan", "up", "sandbox", "run"])
def test_a_missing_device_is_named(name: str) -> None:
    words = ("run", "--up", LAB, "--", "true") if name == "run" else EVERY[name]
    done = limited(GONE, *words)
    assert done.returncode == 1
    assert f"tap-web, hyb-app: {NO_TUN}: No such file or directory; " in done.stderr
    assert "mknod /dev/net/tun c 10 200; a container is given it with: --device /dev/net/tun" in done.stderr
    assert "boot a kernel" not in done.stderr


def test_what_the_tester_lacks_is_no_failure_of_the_wire() -> None:
    """Neither of a wire that needs no tap, but for the tester's own stack, nor of one that is a tap."""
    done = limited(f"ip link set lo up && {GONE}", "loopback", TOPOLOGIES / "gre.yaml")
    assert done.returncode == 3, done.stdout
    assert "? ping ? tcp ✓ burst" in done.stdout
    assert f"ping: no stack to test with: vec0: {NO_TUN}" in done.stdout
    for file in (TAP, TOPOLOGIES / "fd-tap.yaml"):
        done = limited(f"ip link set lo up && '{EXECUTABLE}' up '{file}' && {GONE}", "loopback", file)
        assert done.returncode == 3, done.stdout
        assert NO_TUN in done.stdout
        assert "--device /dev/net/tun" in done.stdout


def test_a_report_for_which_there_is_no_room(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=4k none {tmp_path} && head -c 4096 /dev/zero >{tmp_path}/full"
    done = limited(script, *EVERY["loopback"], "--json", tmp_path / "report")
    assert done.returncode == 1
    assert f"cannot be written to {tmp_path}/report: No space left on device; make room" in done.stderr


# ---- capabilities ----


def without(capability: str) -> str:
    """What a script's last words are run by: a root who lacks a capability."""
    need_command("setpriv")
    return f'set -- setpriv --bounding-set=-{capability} --inh-caps=-{capability} "$@"'


def test_root_without_a_capability_is_not_told_to_be_root() -> None:
    done = limited(without("net_admin"), *EVERY["up"])
    assert done.returncode == 1
    assert "root lacks CAP_NET_ADMIN here; a container is given it with: --cap-add NET_ADMIN" in done.stderr
    assert "run this as root" not in done.stderr


def test_a_root_who_may_not_make_namespaces_has_user_namespaces() -> None:
    allowed = subprocess.run(["unshare", "--user", "true"], check=False)
    need(allowed.returncode == 0, "needs user namespaces")
    assert limited(without("sys_admin"), *EVERY["sandbox"]).returncode == 0


def test_a_root_who_may_make_neither_is_told_why() -> None:
    forbidden = "echo 0 >/proc/sys/user/max_user_namespaces"
    inner = f'{forbidden}; {without("sys_admin")}; exec "$@"'
    done = limited(f"set -- unshare --user --map-root-user bash -c '{inner}' - \"$@\"", *EVERY["sandbox"])
    assert done.returncode == 1
    assert "the kernel refuses a private network (" in done.stderr
    assert "or root lacks CAP_SYS_ADMIN here; a container is given it with: --cap-add SYS_ADMIN" in done.stderr
    assert "run this as root" not in done.stderr


def test_a_named_namespace_that_root_may_not_enter(tmp_path: Path) -> None:
    file = tmp_path / "far.yaml"
    file.write_text("links: [{transport: tap, endpoints: {web:vec0: {}, host:tap0: {netns: there}}}]\n")
    script = "mount -t tmpfs none /run && ip netns add there && " + without("sys_admin")
    done = limited(script, "plan", file)
    assert done.returncode == 1
    assert "network namespace there cannot be entered: Operation not permitted; root lacks CAP_SYS_ADMIN" in done.stderr


def test_a_user_is_told_to_be_root(tmp_path: Path) -> None:
    readable = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-x", EXECUTABLE], check=False)
    need(readable.returncode == 0, "needs an executable that anybody may run")
    done = limited('set -- setpriv --reuid=65534 --clear-groups "$@"', *EVERY["up"])
    assert done.returncode == 1
    assert "run this as root, or give it CAP_NET_ADMIN; `vecnet sandbox` needs no such right" in done.stderr


def test_who_this_is() -> None:
    need_root()
    assert who().startswith("root")
    assert all(isinstance(has(one), bool) for one in Capability)
    code = "from vecnet.kernel.capabilities import who; print(who())"
    line = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    need(done.returncode == 0, "needs user namespaces")
    assert done.stdout == "root of a user namespace alone\n"
