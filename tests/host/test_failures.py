"""What goes wrong half-way: a refusal or a lost answer at each message, a kill at each, a signal, two runs at once.

Each case is struck at the n-th message that `up` sends (or ioctl that it does), for every n, until `up` gets through.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.host.network import LAB, LAB_CHANGED, host_state, ip, names, topology
from tests.test_launch import vecnet
from tests.thorough import stride
from vecnet import host
from vecnet.errors import BusyError, HostError
from vecnet.host.kinds import tap
from vecnet.host.lock import locked
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespaces
from vecnet.topology import load

_UNKNOWN = netlink.message(0x7F0, netlink.NLM_F_REQUEST | netlink.NLM_F_ACK, b"\0" * 16)  # a type that no kernel knows


class Striker:
    """Counts what is sent, and strikes once: at the n-th message or ioctl it calls `strike`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, how: str) -> None:
        self.left, self.how, self.struck = at, how, False
        self.batch, self.control = netlink.Socket.batch, tap.control
        monkeypatch.setattr(netlink.Socket, "batch", lambda sock, messages: self.on_batch(sock, messages))
        monkeypatch.setattr(tap, "control", lambda *words: self.on_control(*words))

    def at_end(self, work: Callable[[], object]) -> bool:
        """Whether `work` gets through without a HostError."""
        try:
            work()
        except HostError:
            return False
        return True

    def on_batch(self, sock: netlink.Socket, messages: Sequence[bytes]) -> list[netlink.Refusal | None]:
        if self.struck or self.left >= len(messages):
            self.left -= len(messages)
            return self.batch(sock, messages)
        at, self.struck = self.left, True
        if self.how == "refused":  # the kernel itself says no to one message, and does the others
            return self.batch(sock, [*messages[:at], _UNKNOWN, *messages[at + 1 :]])
        self.batch(sock, messages[:at])
        if self.how == "lost":  # some of the batch was done, and its answers never came
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        os.kill(os.getpid(), signal.SIGKILL if self.how == "killed" else signal.SIGTERM)
        return self.batch(sock, messages[at:])

    def on_control(self, fd: int, request: int, argument: int | bytes) -> None:
        if not self.struck and self.left == 0:
            self.struck = True
            if self.how in ("killed", "stopped"):
                os.kill(os.getpid(), signal.SIGKILL if self.how == "killed" else signal.SIGTERM)
            else:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.left -= not self.struck
        self.control(fd, request, argument)


def every_strike(strike: Callable[[int], bool], usual: int = 3) -> int:
    """Strike at one message, at a later one, … until a run gets through unharmed; where that was."""
    for at in range(0, 400, stride(usual)):
        if not strike(at):
            return at
    raise AssertionError("up never got through")


@pytest.mark.parametrize("how", ["refused", "lost"])
def test_a_failure_at_each_message_leaves_the_namespace_as_it_was(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    ip("link", "add", "mine", "type", "bridge")
    lab = topology(LAB)
    before = host_state()

    def strike(at: int) -> bool:
        with monkeypatch.context() as patched:
            striker = Striker(patched, at, how)
            if not striker_runs(striker, lab):
                return False
        assert host_state() == before, at
        return True

    assert every_strike(strike) > 40
    assert host.plan(lab).steps == ()


def striker_runs(striker: Striker, lab: host.Network) -> bool:
    """Whether the strike came; then `up` must have failed with one of our errors."""
    if striker.at_end(lambda: host.up(lab)):
        return False
    assert striker.struck
    return True


@pytest.mark.parametrize("how", ["refused", "lost"])
def test_a_failure_at_each_message_of_a_change_is_undone(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    host.up(topology(LAB))
    before = host_state(numbers=False)

    def strike(at: int) -> bool:
        with monkeypatch.context() as patched:
            if not striker_runs(Striker(patched, at, how), topology(LAB_CHANGED)):
                return False
        assert host_state(numbers=False) == before, at
        assert host.plan(topology(LAB)).steps == (), at
        return True

    assert every_strike(strike) > 15
    assert host.plan(topology(LAB_CHANGED)).steps == ()


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own; its wait status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


@pytest.mark.parametrize("heal", ["down", "up"])
def test_a_kill_at_each_message_is_healed(monkeypatch: pytest.MonkeyPatch, heal: str) -> None:
    lab = topology(LAB)
    ip("link", "add", "mine", "type", "bridge")
    before = host_state()
    host.up(lab)
    whole = host_state(numbers=False)
    host.down("lab")

    def strike(at: int) -> bool:
        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.up(lab)

        status = in_child(work)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or status == 0, status
        if heal == "up":
            host.up(lab)
            assert host_state(numbers=False) == whole, at
        host.down("lab")
        assert host_state() == before, at
        return killed

    assert every_strike(strike) > 40


def test_a_kill_at_each_message_of_a_change_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    def strike(at: int) -> bool:
        host.up(topology(LAB))

        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.up(topology(LAB_CHANGED))

        status = in_child(work)
        host.up(topology(LAB_CHANGED))
        assert host.plan(topology(LAB_CHANGED)).steps == (), at
        assert "web-vec1" not in names()
        assert "veth-web" not in names(), at
        return os.WIFSIGNALED(status)

    assert every_strike(strike) > 15
    host.down("lab")
    assert names() == set()


def test_a_kill_at_each_message_of_down_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    ip("link", "add", "mine", "group", str(host_group()), "type", "bridge")
    ip("link", "set", "mine", "alias", "vecnet other bridge")  # so that down cannot take the whole group

    def strike(at: int) -> bool:
        host.up(topology(LAB))

        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.down("lab")

        status = in_child(work)
        host.down("lab")
        assert names() == {"mine"}, at
        return os.WIFSIGNALED(status)

    assert every_strike(strike) > 5


def host_group() -> int:
    from vecnet.host.mark import group

    return group("lab")


def test_sigterm_at_each_message_undoes_and_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = topology(LAB)
    before = host_state()

    def strike(at: int) -> bool:
        def work() -> None:
            Striker(monkeypatch, at, "stopped")
            host.up(lab)

        status = in_child(work)
        if status == 0:
            return False
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert host_state() == before, at  # with the last message, too
        return True

    assert every_strike(strike) > 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_once_all_is_made_waits_for_the_answer(number: signal.Signals, tmp_path: Path) -> None:
    lab, answered = topology(LAB), tmp_path / "answered"

    def answer(plan: host.Plan) -> None:
        signal.raise_signal(number)
        answered.write_text(plan.summary())

    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        host.up(lab, answer=answer)

    status = in_child(work)
    assert os.WTERMSIG(status) == number
    assert answered.read_text() == "lab: 7 made"
    assert host.plan(lab).steps == ()


def test_a_signal_in_the_last_moments_finds_all_or_nothing(tmp_path: Path) -> None:
    """Of `vecnet up`: its strings are printed and its interfaces are there, or neither."""
    file = tmp_path / "lab.yaml"
    file.write_text(f"name: lab\n{LAB}")
    before = host_state()
    for _ in range(4):
        command = [sys.executable, "-m", "vecnet", "up", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            while "fd09::1" not in ip("address") and process.poll() is None:
                pass
            process.send_signal(signal.SIGTERM)
            strings, _ = process.communicate(timeout=60)
        if strings:
            assert len(strings.splitlines()) == 7
            assert host.plan(load(file)).steps == ()
            host.down("lab")
        assert host_state() == before


def struck_by(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes with the fifth batch that is sent."""
    batch = netlink.Socket.batch
    sent: list[int] = []

    def interrupted(sock: netlink.Socket, messages: Sequence[bytes]) -> list[netlink.Refusal | None]:
        sent.append(len(messages))
        if len(sent) == 5:
            signal.raise_signal(number)
        return batch(sock, messages)

    monkeypatch.setattr(netlink.Socket, "batch", interrupted)


def test_ctrl_c_undoes_and_is_a_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    before = host_state()
    struck_by(signal.SIGINT, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        host.up(topology(LAB))
    assert host_state() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stops_nothing(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(number, signal.SIG_IGN)  # as nohup has it, and a shell for what runs in the background
    try:
        struck_by(number, monkeypatch)
        host.up(topology(LAB))
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert host.plan(topology(LAB)).steps == ()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_s_own_handler_is_called_once_all_is_undone(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = host_state()
    seen: list[bool] = []
    before = signal.signal(number, lambda *_: seen.append(host_state() == state))
    try:
        struck_by(number, monkeypatch)
        with pytest.raises(HostError, match=f"stopped by {number.name}"):
            host.up(topology(LAB))
    finally:
        signal.signal(number, before)
    assert seen == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_waits_for_another_can_be_ended(number: signal.Signals) -> None:
    script = (
        "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
        "host.up(topology(LAB))"
    )
    with Namespaces() as namespaces, locked([namespaces.home]):
        second = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert second.stderr.readline().startswith("waiting for another vecnet")
        second.send_signal(number)
        second.communicate(timeout=30)
    assert second.returncode == -number
    assert names() == set()


def test_the_second_of_two_runs_waits_and_says_for_whom() -> None:
    script = (
        "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
        "print(host.up(topology(LAB)).summary())"
    )
    with Namespaces() as namespaces:
        with locked([namespaces.home]):
            second = subprocess.Popen(
                [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert second.stderr is not None
            told = second.stderr.readline()
            assert names() == set()
        out, err = second.communicate(timeout=60)
    assert told == f"waiting for another vecnet (process {os.getpid()}) in this network namespace\n"
    assert out == "lab: 7 made\n", err


def test_a_run_that_waits_too_long_says_why_not() -> None:
    said: list[str] = []
    with Namespaces() as namespaces, locked([namespaces.home]):
        started = time.monotonic()
        with pytest.raises(BusyError, match=rf"another vecnet \(process {os.getpid()}\) works in this"):
            host.up(topology(LAB), timeout=0.2, say=said.append)
        assert time.monotonic() - started < 60
    assert len(said) == 1
    assert names() == set()


def test_many_runs_at_once_end_in_one_whole_topology() -> None:
    script = (
        "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
        "print(len(host.up(topology(LAB)).steps))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    steps = [int(run.communicate(timeout=120)[0]) for run in runs]
    assert sorted(steps) == [0, 0, 0, 7]
    assert host.plan(topology(LAB)).steps == ()


@pytest.mark.parametrize("at_home", [0, 1], ids=["the first is home", "the second is home"])
def test_down_takes_its_locks_in_the_order_in_which_up_does(at_home: int) -> None:
    """By the namespaces' cookies, whichever of the two is home: a `down` that waits for the first holds no other."""
    ip("netns", "add", "one")
    ip("netns", "add", "two")
    with Namespaces() as namespaces:
        names = sorted(("one", "two"), key=lambda name: namespaces[name].cookie)
        home, other = names[at_home], names[1 - at_home]
        script = (
            "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
            f"lab = topology('links: [{{transport: tap, endpoints: {{a:vec0: {{}}, host:t0: {{netns: {other}}}}}}}]'); "
        )
        inside = ["ip", "netns", "exec", home, sys.executable, "-c"]
        subprocess.run([*inside, f"{script}host.up(lab)"], check=True)
        with locked([namespaces[names[0]]]):
            down = subprocess.Popen([*inside, f"{script}host.down('lab')"], stderr=subprocess.PIPE, text=True)
            assert down.stderr is not None
            where = f"in network namespace {names[0]}\n" if at_home else "\n"
            waits = down.stderr.readline()
            assert waits.endswith(where), waits
            with locked([namespaces[names[1]]], timeout=1):
                pass
        _, err = down.communicate(timeout=60)
    assert down.returncode == 0, err
    assert "t0" not in ip("-n", other, "link")


def test_a_killed_holder_holds_no_lock() -> None:
    def work() -> None:
        with Namespaces() as namespaces, locked([namespaces.home]):
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(work)
    host.up(topology(LAB), timeout=5)
    assert host.plan(topology(LAB)).steps == ()


def test_a_failed_undo_says_how_to_remove_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = netlink.Socket.batch
    sent: list[int] = []

    def failing(sock: netlink.Socket, messages: Sequence[bytes]) -> list[netlink.Refusal | None]:
        sent.append(len(messages))
        if len(sent) > 4:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return batch(sock, messages)

    with monkeypatch.context() as patched:
        patched.setattr(netlink.Socket, "batch", failing)
        with pytest.raises(HostError, match=r"undoing .* failed too: .*; remove the rest with: vecnet down lab"):
            host.up(topology(LAB))
    assert names() != set()
    host.down("lab")
    assert names() == set()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_in_the_middle_of_a_thousand_links(number: signal.Signals, tmp_path: Path) -> None:
    """SIGINT takes back all that was made; after SIGKILL, `down` removes it, and `up` mends it."""
    file = tmp_path / "many.yaml"
    links = [f"{{transport: raw, endpoints: [g{i}:vec0, h{i}:vec0]}}" for i in range(1024)]
    file.write_text(f"name: many\nlinks: [{', '.join(links)}]\n")

    def struck() -> int:
        run = subprocess.Popen([sys.executable, "-m", "vecnet", "up", file], stdout=subprocess.DEVNULL)
        while interfaces() < 100:
            assert run.poll() is None
        run.send_signal(number)
        return run.wait(60)

    if number == signal.SIGINT:
        assert struck() == 130
        assert interfaces() == 0
        return
    assert struck() == -number
    assert interfaces() >= 100
    assert vecnet("down", file).returncode == 0
    assert interfaces() == 0
    assert struck() == -number
    assert vecnet("up", file).returncode == 0
    assert interfaces() == 2048
    assert vecnet("plan", file).stdout == "many: nothing to do, 1024 interfaces as wanted\n"


def interfaces() -> int:
    """How many there are beside the loopback."""
    return len(Path("/proc/self/net/dev").read_text().splitlines()) - 3
