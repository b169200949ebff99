"""TCP between a real guest and the host's stack, both ways, over each transport that takes large frames.

    guest web ── vecN ══ tap, hybrid, raw; with gro and without ══ the host, with its default offloads

The content is compared. A frame that is cut short, or whose checksum is never filled in, stops the transfer.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.need import need_command
from tests.uml.guest import PYTHON, Kernel, Wiring

pytestmark = pytest.mark.uml

KINDS = [(transport, gro) for transport in ("tap", "hybrid", "raw") for gro in ("on", "off")]
SIZE = 4 << 20  # bytes each way
PORT = 7001

# The host returns what it was sent, last byte first.
SERVER = f"""
import socket
with socket.create_server(("", {PORT})) as listener:
    print("ready", flush=True)
    while True:
        with listener.accept()[0] as peer, peer.makefile("rb") as sent:
            peer.sendall(sent.read()[::-1])
"""

CLIENT = f"""
import pathlib, socket, sys
folder = pathlib.Path(sys.argv[1])
data = (folder / "data").read_bytes()
for address in sys.argv[2:]:
    try:
        with socket.create_connection((address, {PORT}), timeout=60) as host, host.makefile("rb") as returned:
            host.sendall(data)
            host.shutdown(socket.SHUT_WR)
            (folder / address).write_bytes(returned.read())
    except OSError as error:
        print(address, error)
"""


@pytest.fixture(scope="module")
def returned(kernel: Kernel) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """For each kind of wire, what was sent and what came back."""
    need_command("ip")
    data = os.urandom(SIZE)
    topology, batch, addresses = ["name: transfer", "links:"], [], []
    for number, (transport, gro) in enumerate(KINDS):
        ends = f"{{web:vec{number}: {{}}, host:{transport}-{gro}: {{ip: 10.3.{number}.2/24}}}}"
        topology.append(f"- {{transport: {transport}, gro: {gro}, endpoints: {ends}}}")
        batch.append(f"link set vec{number} up\naddress add 10.3.{number}.1/24 dev vec{number}")
        addresses.append(f"10.3.{number}.2")
    with Wiring(kernel) as wiring:
        (wiring.folder / "data").write_bytes(data)
        file = wiring.folder / "transfer.yaml"
        file.write_text("\n".join(topology))
        strings = wiring.run(sys.executable, "-m", "vecnet", "up", file).stdout.splitlines()
        server = wiring.start(sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        client = wiring.folder / "client.py"
        client.write_text(CLIENT)
        lines = ["ip -batch - <<END", *batch, "END"]
        lines.append(f"{PYTHON} {client} {wiring.folder} {' '.join(addresses)}")
        report = wiring.boot(strings, "\n".join(lines)).wait()
        assert report.status == 0, report
        assert "GRO disabled" not in report.console, "a frame was larger than the guest has room for"
        files = [wiring.folder / address for address in addresses]
        return {
            kind: (data, file.read_bytes() if file.exists() else report.output.encode())
            for kind, file in zip(KINDS, files, strict=True)
        }


@pytest.mark.parametrize("kind", KINDS, ids="-gro-".join)
def test_content_survives(returned: dict[tuple[str, str], tuple[bytes, bytes]], kind: tuple[str, str]) -> None:
    sent, came = returned[kind]
    assert len(came) == len(sent), came[:500]
    assert came == sent[::-1]
