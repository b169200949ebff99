"""What a transfer leaves in the kernel: no connection that goes on sending to a wire that is closed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from vecnet.loopback import agent
from vecnet.loopback.agent import content, transfer

_GOES_ON = {"04", "09", "0B"}  # FIN_WAIT1, LAST_ACK, CLOSING of linux/tcp_states.h


def test_a_transfer_to_somebody_who_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    need_command("ip")
    monkeypatch.setattr(agent, "TIMEOUT", 0.2)
    monkeypatch.setattr(agent, "_SETTLES", 0.1)
    size = 8 << 20  # more than both ends' kernels keep
    with private_network():
        ip("link", "set", "lo", "up")
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as one,
        ):
            silent, _ = listener.accept()
            with silent:
                assert transfer(one, content(0, size), size).failure
                one.close()
                lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
                assert not _GOES_ON & {line.split()[3] for line in lines}
