"""Wires that are descriptors of the guests' own, started by `vecnet run`: fd between guests and to a tap, and bess.

    guest a ── vec0 ══════════ a pair of sockets ═════════ vec0 ── guest b
            ── vec1 ══ /…/port1 ── a switch ── /…/port2 ══ vec1 ──
            ── vec2 ══ a tap's descriptor ── tap-fd ── the host

The switch is this test's own: it listens, as BESS does, and hands every frame to the other port. The guests' memory is
poisoned, since nothing in these wires takes any that is not cleared.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.need import need_command
from tests.uml.guest import BOOT_SECONDS, Kernel, Report, Wiring

pytestmark = pytest.mark.uml

TOPOLOGY = """
name: descriptors
links:
  - transport: fd
    endpoints: [a:vec0, b:vec0]
  - transport: bess
    endpoints:
      a:vec1: {{}}
      host:port1: {{path: {folder}/port1}}
  - transport: bess
    endpoints:
      b:vec1: {{path: {folder}/own}}
      host:port2: {{path: {folder}/port2}}
  - transport: fd
    endpoints:
      a:vec2: {{}}
      host:tap-fd: {{ip: 10.2.2.2/24}}
"""

A = """
ip -batch - <<END
link set vec0 up
address add 10.2.0.1/24 dev vec0
link set vec1 up
address add 10.2.1.1/24 dev vec1
link set vec2 up
address add 10.2.2.1/24 dev vec2
END
meet up b
for wire in 0 1 2; do ping -q -n -c 3 -i 0.01 -W 5 -M do -s 1472 10.2.$wire.2; echo vec$wire.ping=$?; done
meet done b
refused vec0 vec1 vec2
echo "strings=$(tr ' ' '\\n' </proc/cmdline | grep ^vec | tr '\\n' ' ')"
"""

B = """
ip -batch - <<END
link set vec0 up
address add 10.2.0.2/24 dev vec0
link set vec1 up
address add 10.2.1.2/24 dev vec1
END
meet up a
meet done a
refused vec0 vec1
"""


@contextlib.contextmanager
def switch(*paths: Path) -> Iterator[None]:
    """A switch with a port on each path; a frame that comes in at one goes out at all others."""
    ports: dict[socket.socket, Path] = {}
    stop, stopped = socket.socketpair()
    with contextlib.ExitStack() as held, selectors.DefaultSelector() as waiting:

        def watch(port: socket.socket, kind: str) -> None:
            waiting.register(held.enter_context(port), selectors.EVENT_READ, kind)

        def serve() -> None:
            while True:
                for key, _ in waiting.select():
                    assert isinstance(key.fileobj, socket.socket)
                    if key.data == "stop":
                        return
                    if key.data == "listener":
                        port, _ = key.fileobj.accept()
                        ports[port] = Path(key.fileobj.getsockname())
                        watch(port, "port")
                        continue
                    frame = key.fileobj.recv(65536)
                    if not frame:
                        waiting.unregister(key.fileobj)
                        del ports[key.fileobj]
                    for other in ports.keys() - {key.fileobj}:
                        other.send(frame)

        for path in paths:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(str(path))
            listener.listen()
            watch(listener, "listener")
        watch(stopped, "stop")
        held.enter_context(stop)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            stop.send(b"stop")
            thread.join()


@dataclass(frozen=True)
class Lab:
    strings: dict[str, list[str]]
    reports: dict[str, Report]


@pytest.fixture(scope="module")
def lab(kernel: Kernel) -> Lab:
    need_command("ping", "ethtool")
    with Wiring(kernel) as wiring, switch(wiring.folder / "port1", wiring.folder / "port2"):
        file = wiring.folder / "descriptors.yaml"
        file.write_text(TOPOLOGY.format(folder=wiring.folder))
        vecnet = (sys.executable, "-m", "vecnet")
        strings: dict[str, list[str]] = {}
        for line in wiring.run(*vecnet, "args", file).stdout.splitlines():
            guest, _, string = line.partition("\t")
            strings.setdefault(guest, []).append(string)
        wiring.prepare("a", A)
        wiring.prepare("b", B)
        words = wiring.kernel("{guest}", ["slub_debug=P"])
        wiring.run(*vecnet, "run", "--up", file, "--", *words, env=wiring.environment, timeout=BOOT_SECONDS)
        return Lab(strings, {name: Report.read(wiring.folder / name) for name in "ab"})


@pytest.mark.parametrize(("wire", "transport"), [("vec0", "fd"), ("vec1", "bess"), ("vec2", "fd with vec=0")])
def test_a_descriptor_carries_packets(lab: Lab, wire: str, transport: str) -> None:
    report = lab.reports["a"]
    assert report.status == 0, report
    assert report.values[f"{wire}.ping"] == "0", report
    assert report.values[f"{wire}.refused"] == "0", report
    assert lab.reports["b"].values.get(f"{wire}.refused", "0") == "0", lab.reports["b"]


def test_run_gives_what_args_prints(lab: Lab) -> None:
    assert lab.reports["a"].values["strings"].split() == lab.strings["a"]
