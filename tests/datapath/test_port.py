"""A port as Python sees it: what is missing at opening, timeouts, views, threads, signals, closing."""

from __future__ import annotations

import array
import contextlib
import gc
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import vecnet
from tests.datapath.wires import frame, receive, tap, veth, wait_for
from tests.host.network import ip, private_network
from vecnet.datapath.capture import read_capture
from vecnet.datapath.loops import drain
from vecnet.datapath.port import Port
from vecnet.datapath.record import record
from vecnet.errors import (
    AddressMissing,
    InterfaceMissing,
    PermissionMissing,
    PortClosed,
    PortError,
    VecnetError,
    VecStringError,
)

GRE = "vec0:transport=gre,src=127.0.0.1,dst=127.0.0.2"
UDP = "vec0:transport=l2tpv3,src=127.0.0.1,dst=127.0.0.2,udp=1,srcport=1706,dstport=1707,rx_session=1,tx_session=2"


@contextmanager
def pair(options: str = "") -> Iterator[tuple[Port, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.settimeout(5)
    with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}{options}") as port:
        yield port, far


@contextmanager
def nobody() -> Iterator[None]:
    """Without any privilege."""
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def open_descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


@contextmanager
def later(seconds: float, far: socket.socket, one: bytes) -> Iterator[None]:
    """A frame is sent while the block runs; the thread that sends it is over with the block."""
    timer = threading.Timer(seconds, far.send, [one])
    timer.start()
    yield
    timer.join()


MISSING: list[tuple[str, type[VecnetError], str]] = [
    ("vec0:transport=tap,ifname=none", InterfaceMissing, "there is no interface none .* vecnet up"),
    ("vec0:transport=hybrid,ifname=none", InterfaceMissing, "there is no interface none"),
    ("vec0:transport=raw,ifname=none", InterfaceMissing, "there is no interface none"),
    ("vec0:transport=raw,ifname=asleep", InterfaceMissing, "asleep is down; .* ip link set asleep up"),
    ("vec0:transport=raw,ifname=a;sleep", InterfaceMissing, "ip link set 'a;sleep' up"),
    ("vec0:transport=tap,ifname=near", PortError, "near is no tap"),
    ("vec0:transport=tap,ifname=busy", PortError, "busy is in use by another process"),
    ("vec0:transport=gre,src=192.0.2.1,dst=192.0.2.2", AddressMissing, "192.0.2.1 is on no interface .* .ip -br addr"),
    ("vec0:transport=gre,src=fd00::1,dst=fd00::2,v6=1", AddressMissing, "fd00::1 is on no interface"),
    ("vec0:transport=gre,src=fe80::1,dst=fe80::2,v6=1", AddressMissing, "name its interface: fe80::1%"),
    ("vec0:transport=gre,src=10.9.0.1,dst=192.0.2.2", AddressMissing, "no route leads to 192.0.2.2"),
    ("vec0:transport=gre,src=10.9.0.1,dst=10.9.0.255", AddressMissing, "10.9.0.255 is a broadcast address"),
    ("vec0:transport=gre,src=no.such.invalid,dst=192.0.2.2", AddressMissing, "'no.such.invalid' has no address"),
    (UDP, PortError, "127.0.0.1 is in use"),
    ("vec0:transport=raw,ifname=near,bpffile=/nowhere/filter", PortError, "the filter /nowhere/filter"),
    ("vec0:transport=raw,ifname=near,bpffile=/etc/hostname", PortError, "the filter /etc/hostname"),
    ("vec0:transport=raw,ifname=near,bpffile=/dev/zero", PortError, "the filter /dev/zero"),
    ("vec0:transport=raw,ifname=near,bpffile=/etc", PortError, "the filter /etc cannot be used"),
    ("vec0:transport=tap", VecStringError, "needs ifname"),
]


@pytest.mark.parametrize(("device", "kind", "message"), MISSING)
def test_opening_says_what_is_missing_and_how_to_give_it(device: str, kind: type[VecnetError], message: str) -> None:
    veth()
    tap("busy")
    ip("link", "add", "asleep", "type", "veth", "peer", "name", "other")
    ip("link", "add", "a;sleep", "type", "veth", "peer", "name", "another")
    ip("addr", "add", "10.9.0.1/24", "dev", "near")
    with vecnet.open_port("vec0:transport=tap,ifname=busy"), vecnet.open_port(UDP):
        before = open_descriptors()
        with pytest.raises(kind, match=message) as caught:
            vecnet.open_port(device)
        assert open_descriptors() == before
    assert type(caught.value) is kind


def test_the_loopback_is_brought_up_and_given_no_route() -> None:
    with private_network(), pytest.raises(AddressMissing) as caught:
        vecnet.open_port(UDP)
    assert caught.value.problems[0].instead == "bring the loopback up: ip link set lo up"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (GRE, "raw IP socket needs CAP_NET_RAW"),
        (UDP.replace("1706", "706"), "CAP_NET_BIND_SERVICE"),
        ("vec0:transport=raw,ifname=near", "packet socket needs CAP_NET_RAW"),
        ("vec0:transport=tap,ifname=tap0", "belongs to another user.*ip tuntap add tap0 mode tap user"),
    ],
)
def test_a_missing_privilege_is_named(device: str, message: str) -> None:
    veth()
    ip("tuntap", "add", "tap0", "mode", "tap", "user", "root")
    ip("link", "set", "tap0", "up")
    os.mknod("/run/tun", 0o20666, os.makedev(10, 200))  # one that anybody may open, as udev makes it
    subprocess.run(["chmod", "666", "/run/tun"], check=True)
    subprocess.run(["mount", "--bind", "/run/tun", "/dev/net/tun"], check=True)
    with nobody(), pytest.raises(PermissionMissing, match=message):
        vecnet.open_port(device)


def test_a_filter_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    veth()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PortError, match=r"the filter .*/pipe cannot be used"):
        vecnet.open_port(f"vec0:transport=raw,ifname=near,bpffile={tmp_path}/pipe")


def test_descriptors_that_are_used_up_are_said() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(open_descriptors()) + 10, limits[1]))
    try:
        with pytest.raises(PortError, match="ulimit -n"):
            _ports = [vecnet.open_port(GRE) for _ in range(99)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_recv_waits_as_long_as_it_is_told() -> None:
    with pair() as (port, far):
        assert port.recv(0) == []
        assert port.recv(0.01) == []
        with later(0.05, far, frame(1)):
            assert port.recv() == [frame(1)]


def test_a_timeout_may_be_longer_than_any_clock_and_must_be_a_number() -> None:
    with pair() as (port, far):
        for timeout in (float("inf"), 1e300, threading.TIMEOUT_MAX):
            far.send(frame(1))
            assert port.recv(timeout) == [frame(1)]
            assert port.send(frame(2), timeout) == 1
        for timeout in (-1, float("-inf")):
            assert port.recv(timeout) == []
        for call in (port.recv, lambda timeout: port.send(frame(1), timeout)):
            with pytest.raises(PortError, match="no time"):
                call(float("nan"))
        with pytest.raises(PortError, match="one frame at the least"):
            port.recv(0, most=0)


def test_recv_hands_out_at_most_as_many_as_asked_for() -> None:
    with pair() as (port, far):
        for n in range(10):
            far.send(frame(n))
        assert port.recv(1, most=3) == [frame(0), frame(1), frame(2)]
        assert port.recv(1, most=1, copy=True) == [frame(3)]
        assert len(receive(port, 6)) == 6


def test_views_show_the_frames_where_they_lie_and_outlive_the_port() -> None:
    with pair() as (port, far):
        far.send(frame(1))
        (view,) = port.recv(1, copy=False)
        assert isinstance(view, memoryview)
        assert view == frame(1)
        far.send(frame(2))
        assert port.recv(1) == [frame(2)]
        assert view == frame(2)  # the next call wrote over it
        far.send(frame(3))
        kept = port.recv(1, copy=False)
    del port
    gc.collect()
    assert kept == [frame(3)]


def test_send_takes_one_frame_or_any_iterable_of_any_bytes() -> None:
    with pair() as (port, far):
        assert port.send(frame(1)) == 1
        assert port.send(one for one in (bytearray(frame(2)), memoryview(frame(3)))) == 2
        assert port.send([]) == 0
        assert [far.recv(99) for _ in range(3)] == [frame(1), frame(2), frame(3)]
        wide = array.array("H", range(40))
        assert port.send([frame(1), wide]) + port.send(memoryview(wide)) == 3  # type: ignore[list-item]
        assert [far.recv(99) for _ in range(3)] == [frame(1), wide.tobytes(), wide.tobytes()]
        for wrong in ("text", 5, [5], ["text"], [None]):
            with pytest.raises(TypeError):
                port.send(wrong)  # type: ignore[arg-type]


def test_fileno_tells_select_when_frames_wait() -> None:
    with pair() as (port, far):
        assert select.select([port], [], [], 0)[0] == []
        far.send(frame(1))
        assert select.select([port], [], [], 5)[0] == [port]


@pytest.mark.parametrize("how", ["recv", "send"])
def test_closing_ends_calls_in_other_threads(how: str) -> None:
    with pair() as (port, _far):
        raised = []

        def work() -> None:
            try:
                while True:
                    port.recv() if how == "recv" else port.send([frame(1)] * 1000)
            except PortClosed as error:
                raised.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        port.close()
        for thread in threads:
            thread.join(5)
        assert len(raised) == 4
        port.close()


def test_a_closed_port_says_so_and_still_has_its_counters() -> None:
    with pair() as (port, far):
        far.send(frame(1))
        port.recv(1)
    assert port.closed
    assert port.stats["rx_frames"] == 1
    for call in (port.recv, port.fileno, lambda: port.send(frame(1))):
        with pytest.raises(PortClosed):
            call()
    assert "closed" in repr(port)


def test_a_signal_interrupts_a_wait_as_python_wants_it() -> None:
    """The handler runs while recv waits; where it returns, recv goes on, and where it raises, recv ends."""
    seen = []

    def note(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, note)
    try:
        with pair() as (port, far):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with later(0.2, far, frame(1)):
                assert port.recv(5) == [frame(1)]
            assert len(seen) == 1
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt):
                port.recv()
            far.send(frame(2))
            assert port.recv(1) == [frame(2)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_is_heard_while_nothing_but_dropped_packets_come() -> None:
    flood = """
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
while True: sender.sendto(bytes(80), ("127.0.0.1", 0))
"""

    class Heard(Exception):
        pass

    def hear(_number: int, _frame: object) -> None:
        raise Heard

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        port.recv(10)

    before = signal.signal(signal.SIGALRM, hear)
    device = GRE + ",rx_key=1,tx_key=2,depth=1"
    with vecnet.open_port(device) as port, subprocess.Popen([sys.executable, "-c", flood]) as sender:
        try:
            while not port.stats["rx_drop_flags"]:
                port.recv(0)
            for _ in range(20):
                began = time.monotonic()
                with pytest.raises(Heard):
                    wait()
                assert time.monotonic() - began < 5
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            sender.kill()


def test_a_signal_s_handler_may_close() -> None:
    def close(_number: int, _frame: object) -> None:
        port.close()

    before = signal.signal(signal.SIGALRM, close)
    try:
        for call in ("recv", *["stats"] * 20):
            with pair() as (port, _far):
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                with contextlib.suppress(PortClosed):
                    while not port.closed:
                        port.recv() if call == "recv" else port.stats
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Python 3.12 warns of what is tested
forking = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def in_a_fork(work: Callable[[], object]) -> None:
    child = os.fork()
    if not child:
        try:
            signal.alarm(20)  # not to hang
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@forking
def test_a_fork_closes_its_copy_alone(tmp_path: Path) -> None:
    path = tmp_path / "switch"
    tap()
    with (
        pair() as (port, far),
        vecnet.open_port(f"vec0:transport=bess,dst={path}", role="switch") as switch,
        vecnet.open_port("vec0:transport=tap,ifname=tap0") as by_ring,
        drain(port) as loop,
        record(tmp_path / "recording", switch, by_ring) as recording,
    ):
        wait_for(lambda: loop.running)

        def work() -> None:
            assert by_ring.send([frame(1), frame(2)]) == 2
            loop.stop()
            recording.close()
            for one in (port, switch, by_ring):
                one.close()

        in_a_fork(work)
        assert loop.running
        far.send(frame(1))
        wait_for(lambda: loop.stats["foreign"] == 1)
        assert switch.recv(0) == []
        assert by_ring.send([frame(1), frame(2)]) == 2
        loop.stop()
        loop.wait()
        assert port.recv(0.05) == []
        assert path.exists()
    assert [one.data for one in read_capture(tmp_path / "recording")] == [frame(1)] * 2 + [frame(2)] * 2
    assert not path.exists()


@forking
def test_a_fork_goes_on_where_the_parent_closes() -> None:
    with pair() as (port, far):
        read_end, write_end = os.pipe()

        def work() -> None:
            os.read(read_end, 1)
            assert port.recv(0.05) == []
            far.send(frame(1))
            assert port.recv(5) == [frame(1)]
            with ThreadPoolExecutor(1) as threads:
                waiting = threads.submit(port.recv)
                time.sleep(0.05)
                port.close()
                with pytest.raises(PortClosed):
                    waiting.result(5)

        def close() -> None:
            port.close()
            os.write(write_end, b"x")

        parent = threading.Timer(0.1, close)
        parent.start()
        in_a_fork(work)
        parent.join()
        os.close(read_end)
        os.close(write_end)


def test_a_port_left_open_is_closed_with_its_last_reference() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.collect()  # what the tests before have left
    with near, far:
        before = open_descriptors()
        port = vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}")
        assert open_descriptors() != before
        del port
        gc.collect()
        assert open_descriptors() == before


def test_raw_offload_and_roles_are_checked() -> None:
    with pytest.raises(PortError, match="neither 'guest' nor 'switch'"):
        vecnet.open_port(GRE, role="host")  # type: ignore[arg-type]
    with pytest.raises(PortError, match="neither 'software' nor 'raw'"):
        vecnet.open_port(GRE, offload="none")  # type: ignore[arg-type]


def test_the_command_line_loads_neither_cffi_nor_the_compiled_module() -> None:
    code = f"""
import sys
from vecnet.cli import main
try:
    main(["check", "{GRE},mac=02:00:00:00:00:01"])
except SystemExit:
    pass
loaded = {{"cffi", "_cffi_backend", "vecnet._native", "vecnet.datapath"}} & set(sys.modules)
sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_wings_never_import_each_other() -> None:
    for wing, other in (("host", "datapath"), ("datapath.port", "host")):
        code = f"import sys, vecnet.{wing}; sys.exit(any(m.startswith('vecnet.{other}') for m in sys.modules))"
        subprocess.run([sys.executable, "-c", code], check=True)
