"""Hostile input on real sockets: whatever comes is handed out or counted under its cause, each packet exactly once.

The packets are random, and the same on every run. _native/fuzz looks for the ones that nobody thought of.
"""

from __future__ import annotations

import os
import random
import socket

import pytest

import vecnet
from tests.datapath.test_offload import LARGE, NEEDS_CHECKSUM, TCPV4, vnet
from tests.datapath.test_tunnels import Wire, every_wire, opened
from tests.datapath.wires import VNET, frame, receive, veth
from vecnet.datapath.port import Port

ROUNDS = 400


def dropped(port: Port) -> int:
    return sum(n for name, n in port.stats.items() if name.startswith("rx_drop_"))


def packets(header: bytes) -> list[bytes]:
    """Headers cut short, with bytes exchanged, with anything behind them; and bytes that are no header at all."""
    chance = random.Random(header)
    made = [header[:size] for size in range(1, len(header) + 1)]
    made += [header + frame(1)[:size] for size in range(1, 61)]
    for _ in range(ROUNDS):
        wrong = bytearray(header + chance.randbytes(chance.choice((0, 1, 13, 14, 60, 1514, 1515, 1519, 9000))))
        for _ in range(chance.randrange(4)):
            wrong[chance.randrange(len(wrong))] = chance.randrange(256)
        made.append(bytes(wrong[: chance.randrange(1, len(wrong) + 1)] if chance.random() < 0.3 else wrong))
        made.append(chance.randbytes(chance.randrange(1, 200)))
    return made


@every_wire
def test_a_tunnel_counts_every_packet_once(wire: Wire) -> None:
    hostile = packets(bytes.fromhex(wire.taken))
    with opened(wire) as (port, peer):
        handed = 0
        for number, packet in enumerate(hostile):
            peer.send(packet)
            if number % 50 == 49:  # no queue overflows
                handed += len(receive(port, 50, 0.05))
        handed += len(receive(port, 50, 0.05))
        assert handed + dropped(port) == len(hostile)
        assert handed > 60
        assert dropped(port) > ROUNDS
        assert port.stats["rx_drop_queue_full"] == 0
        peer.send(bytes.fromhex(wire.taken) + frame(7))
        assert receive(port, 1) == [frame(7)]


@pytest.mark.parametrize("offload", ["software", "raw"])
def test_any_virtio_net_header_is_obeyed_or_counted(offload: str) -> None:
    """No kernel makes such headers, so the socket behind a raw port's descriptor is exchanged for the test's own."""
    chance = random.Random(5)
    good = vnet(TCPV4, 1448, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM) + LARGE
    hostile = [good[:size] for size in range(1, 100)]
    for _ in range(2000):
        wrong = bytearray(good[: chance.randrange(60, len(good))] if chance.random() < 0.5 else good)
        for _ in range(chance.randrange(1, 4)):
            wrong[chance.randrange(70 if chance.random() < 0.7 else 10)] = chance.randrange(256)
        hostile.append(bytes(wrong))
        hostile.append(chance.randbytes(chance.randrange(1, 300)))
    veth()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    device = "vec0:transport=raw,ifname=near,gro=1"
    with near, far, vecnet.open_port(device, offload=offload) as port:  # type: ignore[arg-type]
        os.dup2(near.fileno(), port.fileno())
        for packet in hostile:
            before = dropped(port) + port.stats["rx_large"]
            far.send(packet)
            handed = len(receive_all(port))
            rest = dropped(port) + port.stats["rx_large"] - before
            assert (handed, rest) == (1, 0) or rest == 1
        far.send(VNET + frame(1))
        assert receive_all(port)[-1].endswith(frame(1))
        causes = {name for name, n in port.stats.items() if name.startswith("rx_drop_") and n}
        assert causes == (
            {"rx_drop_short", "rx_drop_gso", "rx_drop_checksum"} if offload == "software" else {"rx_drop_short"}
        )


def receive_all(port: Port) -> list[bytes]:
    frames: list[bytes] = []
    while got := port.recv(0):
        frames += got
    return frames
