"""vde: bare frames by a child, vde_plug, into a network of VDE's.

port ── vde_plug ── a vde_switch ── vde_plug ── another port        port ── vde_plug ── tap:// ── a tap of the host's
"""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecnet
from tests.datapath.networks import PLUG_WORDS, vde_switch
from tests.datapath.wires import MAC_A, frame, packet_socket, receive, tap, wait_for
from tests.host.network import ip
from tests.need import need, need_command
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port
from vecnet.errors import ListenerMissing, PermissionMissing, PortClosed

ARP = "0001 0800 06 04 0001 020000000001 0a00020f 000000000000 0a000202"  # RFC 826: who has 10.0.2.2


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with vde_switch(tmp_path / "sw"):
        yield tmp_path / "sw"


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vde_plug that writes down how it was started, and then is the real one."""
    need_command("vde_plug")
    real = subprocess.run(
        ["sh", "-c", "command -v vde_plug"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (tmp_path / "bin").mkdir()
    plug = tmp_path / "bin" / "vde_plug"
    plug.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/words\nls -l /proc/$$/fd >{tmp_path}/fds\n"
        f'grep -E "^Sig(Blk|Ign)" /proc/self/status >{tmp_path}/signals\nexec {real} "$@"\n'
    )
    plug.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path


def children() -> list[str]:
    """The names and states of this process's children that are plugs."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].partition(")")
            found += [f"{name} {rest.split()[0]}"] if name.startswith("vde_plug") else []
    return found


def joined(here: Port, there: Port) -> None:
    """Wait until both have joined their network, which the plugs tell nobody."""
    for sender, receiver in ((here, there), (there, here)):
        for number in range(100):
            sender.send(frame(number))
            if receive(receiver, 1, 0.1):
                break
        while receiver.recv(0.05):
            pass


def test_frames_pass_both_ways_through_a_real_switch(folder: Path) -> None:
    sizes = [14, 59, 60, 1513, 1514]
    frames = [frame(number, sizes[number % 5]) for number in range(300)]
    with (
        vecnet.open_port(f"vec0:transport=vde,vnl=vde://{folder}") as one,
        vecnet.open_port(f"vec0:transport=vde,vnl={folder},depth=1") as other,  # a path alone is a switch's
    ):
        joined(one, other)
        for sender, receiver in ((one, other), (other, one)):
            for start in range(0, len(frames), 50):
                assert sender.send(frames[start : start + 50], timeout=5) == 50
                assert receive(receiver, 50) == frames[start : start + 50]
        assert one.stats["tx_frames"] >= 300
        with drain(other, count=10_000) as seen, generate(one, count=10_000, follow=seen) as sent:
            sent.wait(30)
            assert seen.wait(30)["lost"] == 0
    assert children() == []


@pytest.mark.parametrize(("options", "words"), PLUG_WORDS, ids=["as-it-is", "all"])
def test_the_program_is_started_as_a_guest_starts_it(
    recorder: Path, folder: Path, options: str, words: list[str]
) -> None:
    """What guests of 6.12 and 7.2 do: tests/uml/test_vde.py."""
    with vecnet.open_port(f"vec0:transport=vde,vnl=vde://{folder}{options}"):
        wait_for(lambda: (recorder / "signals").exists() and bool((recorder / "signals").read_text()))
    assert (recorder / "words").read_text().splitlines() == [*words, "seqpacket://3", f"vde://{folder}"]
    held = re.findall(r"(\d+) -> (socket:\S+)", (recorder / "fds").read_text())
    assert "3" in dict(held)  # frames
    assert len({name for _, name in held}) == 2  # and what it says: of either pair the other end is ours alone
    blocked, ignored = (int(mask, 16) for mask in (recorder / "signals").read_text().split()[1::2])
    assert blocked == 0
    assert ignored & 0x7FFFFFFF == 0  # Python ignores SIGPIPE; the two beyond are the C library's own


def test_it_is_reaped_with_the_port_and_does_not_outlive_the_process(folder: Path) -> None:
    port = vecnet.open_port(f"vec0:transport=vde,vnl=vde://{folder}")
    assert len(children()) == 1
    port.close()
    assert children() == []
    with pytest.raises(PortClosed):
        port.recv(0)
    forgotten = vecnet.open_port(f"vec0:transport=vde,vnl=vde://{folder}")
    assert forgotten.send(frame()) == 1
    del forgotten
    gc.collect()
    assert children() == []
    program = (
        f"import vecnet, time; p = vecnet.open_port('vec0:transport=vde,vnl=vde://{folder}'); print(1, flush=True)"
    )
    command = [sys.executable, "-c", f"{program}; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        of_it = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(of_it) == 1
        process.kill()
    wait_for(lambda: not Path(f"/proc/{of_it[0]}/exe").exists())


@pytest.mark.parametrize(
    ("url", "why"),
    [("vde:///none", "vde_open vde:///none: No such file or directory"), ("none://x", "Protocol not supported")],
    ids=["no switch", "no such module"],
)
def test_a_program_that_finds_no_network_is_told_and_reaped(url: str, why: str) -> None:
    need_command("vde_plug")
    with vecnet.open_port(f"vec0:transport=vde,vnl={url}") as port:
        with pytest.raises(ListenerMissing, match=f"vde_plug has ended: .*{why}") as caught:
            port.recv(10)
        assert "vdeplug 4 is Debian's vdeplug" in caught.value.problems[0].instead
        assert children() == []
        for again in (lambda: port.recv(1), lambda: port.send(frame())):
            with pytest.raises(ListenerMissing, match=why):
                again()
        with drain(port, count=1) as loop, pytest.raises(ListenerMissing, match=why):
            loop.wait(10)


def test_a_switch_that_goes_away_is_told(tmp_path: Path) -> None:
    string = f"vec0:transport=vde,vnl=vde://{tmp_path}/sw"
    with vde_switch(tmp_path / "sw") as switch, vecnet.open_port(string) as port:
        with vecnet.open_port(string) as other:
            joined(port, other)
            assert other.send(frame(7)) == 1
            assert select.select([port], [], [], 5)[0] == [port]
        switch.kill()
        switch.wait()
        wait_for(lambda: children() in ([], ["vde_plug Z"]))
        assert receive(port, 1) == [frame(7)]  # what came before is still handed out
        with pytest.raises(ListenerMissing, match="its network is gone"):
            port.recv(10)
        assert children() == []


def test_what_the_program_says_reaches_no_terminal_unescaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vde_plug").write_text(
        "#!/bin/sh\nprintf '\\n\\033[31mred\\377\\n' >&2\nyes >&2 & sleep 0.2; kill $!\n"
    )
    (tmp_path / "vde_plug").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    red = r"vde_plug has ended: \\x1b\[31mred"
    with vecnet.open_port("vec0:transport=vde,vnl=x") as port, pytest.raises(ListenerMissing, match=red):
        port.recv(10)


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vde_plug").write_text("#!/bin/sh\ntrap '' TERM HUP INT\nexec sleep 100\n")
    (tmp_path / "vde_plug").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with vecnet.open_port("vec0:transport=vde,vnl=x"):
        pass
    assert children() == []


@pytest.mark.parametrize("handling", [signal.SIG_IGN, lambda *_: os.waitpid(-1, os.WNOHANG)], ids=["ignored", "reaped"])
def test_a_child_that_somebody_else_waits_for(folder: Path, handling: signal.Handlers) -> None:
    earlier = signal.signal(signal.SIGCHLD, handling)
    try:
        with vecnet.open_port(f"vec0:transport=vde,vnl=vde://{folder}") as port:
            assert port.send(frame()) == 1
        assert children() == []
        with vecnet.open_port("vec0:transport=vde,vnl=vde:///none") as port, pytest.raises(ListenerMissing):
            port.recv(10)
    finally:
        signal.signal(signal.SIGCHLD, earlier)


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ListenerMissing, match="there is no vde_plug in PATH") as caught:
        vecnet.open_port("vec0:transport=vde,vnl=slirp://")
    assert "install vdeplug 4: Debian's vdeplug" in caught.value.problems[0].instead
    (tmp_path / "vde_plug").write_text("no program")
    (tmp_path / "vde_plug").chmod(0o644)
    with pytest.raises(PermissionMissing, match="vde_plug"):
        vecnet.open_port("vec0:transport=vde,vnl=slirp://")
    assert children() == []


def test_a_fork_leaves_the_program_to_the_parent(folder: Path) -> None:
    string = f"vec0:transport=vde,vnl=vde://{folder}"
    with vecnet.open_port(string) as port, vecnet.open_port(string) as other:
        joined(port, other)
        if not (child := os.fork()):
            port.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert port.send(frame(5)) == 1
        assert receive(other, 1) == [frame(5)]
        if not (child := os.fork()):  # which holds our end, too
            time.sleep(60)
        before = time.monotonic()
        port.close()
        assert time.monotonic() - before < 0.9  # it was not waited for until it was killed
        try:
            assert children() == ["vde_plug S"]  # the other's
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_tap_of_the_hosts() -> None:
    need_command("vde_plug")
    tap("tap9", vnet_hdr=False)
    with vecnet.open_port("vec0:transport=vde,vnl=tap://tap9") as port:
        wait_for(lambda: "LOWER_UP" in ip("link", "show", "tap9"))
        with packet_socket("tap9") as host:
            assert port.send(frame(1)) == 1
            assert host.recv(2000) == frame(1)
            host.send(frame(2))
            assert receive(port, 1) == [frame(2)]


def test_vxvde_joins_whoever_has_its_group() -> None:
    need_command("vde_plug")
    ip("route", "add", "224.0.0.0/4", "dev", "lo")
    string = "vec0:transport=vde,vnl=vxvde://239.1.2.3,mtu=9000"
    with vecnet.open_port(string) as one, vecnet.open_port(string) as other:
        joined(one, other)
        assert one.send([frame(1), frame(2, 9014)]) == 2
        assert receive(other, 2) == [frame(1), frame(2, 9014)]


def test_slirp_answers_for_its_gateway() -> None:
    need(list(Path("/usr/lib").glob("*/vdeplug/libvdeplug_slirp.so")), "needs Debian's libvdeplug-slirp")
    with vecnet.open_port("vec0:transport=vde,vnl=slirp://") as port:
        port.send(bytes.fromhex("ffffffffffff 020000000001 0806" + ARP))
        (answer,) = receive(port, 1)
        assert (answer[:6], answer[12:14], answer[28:32]) == (MAC_A, b"\x08\x06", bytes([10, 0, 2, 2]))
