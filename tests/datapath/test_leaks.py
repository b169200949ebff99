"""Nothing is left behind: no descriptor and no memory, however a port ends."""

from __future__ import annotations

import contextlib
import gc
import socket
from pathlib import Path

import pytest

import vecnet
from tests.datapath.wires import frame, receive, tap, veth
from tests.need import need_command
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.record import record
from vecnet.errors import PortError

pytestmark = pytest.mark.unsanitized
ROUNDS = 200
DEVICES = {
    "tap": "vec0:transport=tap,ifname=tap0,gro=1",
    "hybrid": "vec0:transport=hybrid,ifname=tap0",
    "raw": "vec0:transport=raw,ifname=near,gro=1",
    "gre": "vec0:transport=gre,src=127.0.0.1,dst=127.0.0.1,sequence=1",
    "l2tpv3": "vec0:transport=l2tpv3,src=127.0.0.1,dst=127.0.0.1,udp=1,srcport=9,dstport=9,rx_session=1,tx_session=1",
    "bess": "vec0:transport=bess,dst=/run/switch",
    "fd": "vec0:transport=fd,fd=FD",
    "vde": "vec0:transport=vde,vnl=vde:///run/vde.ctl",
}
FAILING = [
    "vec0:transport=tap,ifname=none",
    "vec0:transport=raw,ifname=near,bpffile=/none",
    "vec0:transport=raw,ifname=asleep",
    "vec0:transport=gre,src=192.0.2.1,dst=192.0.2.2",
    "vec0:transport=bess,dst=/run/none,src=/run/own",
    "vec0:transport=fd,fd=999",
]


def held() -> tuple[int, int]:
    """Descriptors, and bytes of memory that is this process's own and in use."""
    gc.collect()
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return len(list(Path("/proc/self/fd").iterdir())), int(fields["RssAnon"].split()[0]) * 1024


def assert_nothing_grows(work: object, rounds: int = ROUNDS) -> None:
    """Memory settles in the first rounds. A port's arrays have 15 kB and more, so one that is lost each time shows."""
    assert callable(work)
    gc.collect()
    gc.freeze()  # what other tests have left need not be walked each round
    try:
        for _ in range(30):
            work()
        descriptors, memory = held()
        for _ in range(rounds):
            work()
            gc.collect()  # else memory is what waits for the collector: more, the more memory a process has
        now, grown = held()
    finally:
        gc.unfreeze()
    assert now == descriptors
    assert grown - memory < 2_000 * rounds


@pytest.mark.parametrize("kind", DEVICES)
def test_opening_and_closing(kind: str, tmp_path: Path) -> None:
    if kind == "vde":
        need_command("vde_plug")  # which may find its network or not
    veth()
    tap()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("/run/switch")
    listener.listen(1000)
    device = DEVICES[kind].replace("FD", str(near.fileno()))

    def work() -> None:
        with vecnet.open_port(device) as port:
            if kind == "bess":
                listener.accept()[0].close()
            with contextlib.suppress(PortError):
                port.send([frame(1)] * 64, timeout=0)
                port.recv(0)
            with record(tmp_path / "recording", port):
                pass

    with near, far, listener:
        assert_nothing_grows(work)


@pytest.mark.parametrize("device", FAILING)
def test_failing_to_open(device: str) -> None:
    veth()
    veth("asleep", "other")
    from tests.host.network import ip

    ip("link", "set", "asleep", "down")

    def work() -> None:
        with pytest.raises(PortError):
            vecnet.open_port(device)

    assert_nothing_grows(work)


def test_loops_and_views() -> None:
    def work() -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, far:
            with (
                vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as one,
                vecnet.open_port(f"vec0:transport=fd,fd={far.fileno()}") as other,
            ):
                seen = drain(other, count=50)
                generate(one, count=50, size=1514, follow=seen).wait()
                assert seen.wait()["frames"] == 50
                one.send(frame(1))
                views = other.recv(1, copy=False)
            assert views == [frame(1)]

    assert_nothing_grows(work)


def test_a_switch_whose_guests_come_and_go() -> None:
    device = "vec0:transport=bess,dst=/run/switch"
    with vecnet.open_port(device, role="switch") as switch:

        def work() -> None:
            with vecnet.open_port(device) as guest:
                guest.send(frame(1))
                assert receive(switch, 1) == [frame(1)]
            assert switch.recv(0.001) == []

        assert_nothing_grows(work)
