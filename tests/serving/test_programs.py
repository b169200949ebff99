"""The programs outside, real ones, as a guest meets them: neighbours, ports that are forwarded, their end.

a port, as the guest ── door ══ a switch ══ slirp4netns, gvproxy, or the pump and passt ── this machine's sockets
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.datapath.wires import wait_for
from tests.need import need_command
from tests.serving.frames import answer_to_arp, guest
from vecnet import runtime
from vecnet.errors import ProgramError, ProgramMissing, VecnetError
from vecnet.programs import PROGRAMS
from vecnet.programs.process import Process
from vecnet.serving.plan import Door, planned
from vecnet.serving.served import Served
from vecnet.topology import loads

SMALL = {"slirp4netns": "bess", "passt": "fd", "gvproxy": "bess"}  # with the transport of a link to it


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def topology(program: str, keys: str = "", end: str = "", link: str = "") -> str:
    ends = f"{{web:vec0: {{{end}}}, outside:{program}: {{{keys}}}}}"
    return f"name: lab\nlinks: [{{transport: {SMALL[program]}, {link} endpoints: {ends}}}]\n"


@contextmanager
def served(text: str, folder: Path, said: list[str]) -> Iterator[tuple[Served, str]]:
    """What a topology asks for, and the path of its first door. Its sockets lie in the test's own folder."""
    plan = planned(loads(text))
    doors = [port.behind.options.dst for switch in plan for port in switch.ports if isinstance(port.behind, Door)]
    os.close(runtime.open_folder("lab")[1])
    with Served(str(folder), said.append) as running:
        running.apply(plan)
        yield running, doors[0]


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture(params=sorted(SMALL))
def program(request: pytest.FixtureRequest) -> str:
    need_command(request.param)
    return str(request.param)


def addresses(program: str) -> tuple[str, str, str]:
    """Of its gateway, of the host, and of its first guest."""
    places = PROGRAMS[program].places
    gateway, host, own = (str(places.network[number]) for number in (places.gateway, places.host, places.guest))
    return gateway, host, own


def test_every_program_is_tested() -> None:
    assert set(PROGRAMS) == set(SMALL)
    assert {name: kind.transport for name, kind in PROGRAMS.items()} == SMALL


def test_its_gateway_answers_and_again_to_a_guest_that_comes_again(program: str, tmp_path: Path) -> None:
    said: list[str] = []
    gateway, _, own = addresses(program)
    with served(topology(program), tmp_path, said) as (_, door):
        for _ in range(3):
            with guest(door) as port:
                assert answer_to_arp(port, gateway, own)
    assert said == []  # that it was stopped is nobody's news


@pytest.mark.parametrize("program", [name for name in sorted(SMALL) if "subnet" in PROGRAMS[name].keys])
def test_the_network_is_the_one_that_is_stated(program: str, tmp_path: Path) -> None:
    need_command(program)
    with (
        served(topology(program, "subnet: 192.168.77.0/24"), tmp_path, []) as (_, door),
        guest(door) as port,
    ):
        assert answer_to_arp(port, "192.168.77.2", "192.168.77.15")


@pytest.mark.parametrize("stated", [False, True])
def test_a_port_of_the_host_leads_to_the_guest(program: str, tmp_path: Path, stated: bool) -> None:
    """What connects there is seen as a SYN to the guest's own address and port."""
    number = free_port()
    router, _, first = addresses(program)
    own = str(PROGRAMS[program].places.network[99]) if stated else first
    text = topology(program, f'ports: ["{number}:22"]', f"ip: {own}/24")
    with served(text, tmp_path, []) as (_, door), guest(door) as port, socket.socket() as client:
        gateway = answer_to_arp(port, router, own)
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", number))
        wanted, end = socket.inet_aton(own) + b"\0\x16", time.monotonic() + 10
        found = False
        while not found and time.monotonic() < end:
            for frame in port.recv(0.2):
                if frame[12:14] == b"\x08\x06" and frame[38:42] == socket.inet_aton(own):  # it asks for the guest
                    port.send(_is_at(frame))
                found |= frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[30:34] + frame[36:38] == wanted
        assert found
        assert gateway


def _is_at(question: bytes) -> bytes:
    from tests.serving.frames import MAC

    asker, who = question[22:32], question[38:42]
    return (asker[:6] + MAC + question[12:20] + b"\0\2" + MAC + who + asker).ljust(60, b"\0")


def test_a_port_that_is_taken_is_told(program: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = topology(program, f'ports: ["{taken.getsockname()[1]}:22"]')
        with pytest.raises(VecnetError, match=program), served(text, tmp_path, []):
            pass
    assert _of(os.getpid(), program) == []


def test_its_death_is_told_and_reload_starts_it_again(program: str, tmp_path: Path) -> None:
    said: list[str] = []
    text = topology(program)
    with served(text, tmp_path, said) as (running, door):
        first = running.switches["web:vec0"].ports[program].pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: bool(said))
        assert said[0].startswith(f"web:vec0--outside:{program}: {program} has ended by SIGKILL")
        wait_for(lambda: running.switches["web:vec0"].ports[program].failed)
        with guest(door) as port:
            running.apply(planned(loads(text)))
            assert running.switches["web:vec0"].ports[program].pid != first
            gateway, _, own = addresses(program)
            assert answer_to_arp(port, gateway, own)


def test_what_is_not_installed_is_named_with_its_package(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VecnetError) as caught, served(topology(program), tmp_path, []):
        pass
    (problem,) = caught.value.problems
    assert f"{program} is not installed" in problem.message
    assert problem.instead == f"apt-get install {PROGRAMS[program].package}"
    assert issubclass(ProgramMissing, ProgramError)


@pytest.mark.parametrize("mtu", [1500, 9000, 65521])
def test_frames_of_the_full_mtu_pass_both_ways(program: str, tmp_path: Path, mtu: int) -> None:
    """UDP to a socket of the host that sends it back, as large as one datagram may be."""
    size = min(mtu, 65507) - 28
    with (
        served(topology(program, link=f"mtu: {mtu},"), tmp_path, []) as (_, door),
        guest(door, mtu) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host,
    ):
        host.bind(("127.0.0.1", 0))
        host.settimeout(10)
        _, there, own = addresses(program)
        gateway = answer_to_arp(port, there, own)
        assert gateway
        data = os.urandom(size)
        port.send(_datagram(gateway, own, (there, host.getsockname()[1]), data))
        came, sender = host.recvfrom(65536)
        assert came == data
        host.sendto(came[::-1], sender)
        end = time.monotonic() + 10
        back = b""
        while not back and time.monotonic() < end:
            for frame in port.recv(0.2):
                if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1":
                    port.send(_is_at(frame))
                elif frame[12:14] == b"\x08\x00" and frame[23] == 17:
                    back = frame[42 : 42 + size]
        assert back == data[::-1]


def _datagram(gateway: bytes, own: str, to: tuple[str, int], data: bytes) -> bytes:
    from tests.serving.frames import MAC

    def ipv4(payload: bytes) -> bytes:
        head = bytearray(b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + b"\0\1\x40\0\x40\x11\0\0")
        head += socket.inet_aton(own) + socket.inet_aton(to[0])
        total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
        total = (total & 0xFFFF) + (total >> 16)
        head[10:12] = (0xFFFF - (total & 0xFFFF) - (total >> 16)).to_bytes(2, "big")
        return bytes(head) + payload

    udp = (4444).to_bytes(2, "big") + to[1].to_bytes(2, "big") + (8 + len(data)).to_bytes(2, "big") + b"\0\0" + data
    return gateway + MAC + b"\x08\x00" + ipv4(udp)


def test_it_ends_with_a_vecnet_that_is_killed(program: str, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(topology(program))
    serving = subprocess.Popen(
        [sys.executable, "-m", "vecnet", "serve", str(file)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert serving.stdout
    with serving.stdout as told:
        assert b"is served" in told.readline()
        pids = _of(serving.pid, program)
        assert pids
        serving.kill()
        serving.wait()
    wait_for(lambda: not any(_runs(pid) for pid in pids))


def _of(parent: int, program: str) -> list[int]:
    """The processes of that program that a process has started."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    pids = [int(pid) for task in children for pid in task.read_text().split()]
    return [pid for pid in pids if program in Path(f"/proc/{pid}/comm").read_text()]


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_many_lines_do_not_hide_what_was_waited_for_nor_does_a_long_one_grow() -> None:
    script = "echo it is there; for i in $(seq 100); do echo line; done; head -c 5000000 /dev/zero; exec sleep 60"
    with Process("chatter", ["sh", "-c", script], "dash") as chatter:
        wait_for(lambda: len(chatter._lines) == chatter._lines.maxlen)
        assert max(map(len, chatter._lines)) <= 1000
    with Process("chatter", ["sh", "-c", script.partition("; head")[0] + "; exec sleep 60"], "dash") as chatter:
        wait_for(lambda: len(chatter._lines) > 100)
        chatter.wait_for("it is there")
