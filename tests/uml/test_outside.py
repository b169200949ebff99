"""Real guests with the real programs outside, started by `vecnet run` and by the demo, as an ordinary user.

guest web ── bess ── lan ── outside:slirp4netns            guest app ── fd ── outside:passt
guest db  ── fd   ── lan
"""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import CHOSEN, KERNELS
from tests.need import need, need_command
from tests.uml.guest import Kernel

pytestmark = pytest.mark.uml

ROOT = Path(__file__).parents[2]
USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")  # no capability, as after a login
PAGE = os.urandom(1 << 20).hex().encode()  # 2 MiB

LAB = """
name: outside
switches: {{lan: }}
links:
  - {{transport: bess, endpoints: {{web:vec0: {{ip: 10.0.2.15/24}}, lan:web: }}}}
  - {{transport: fd, endpoints: {{db:vec0: {{ip: 10.0.2.16/24}}, lan:db: }}}}
  - {{transport: bess, endpoints: {{lan:out: , outside:slirp4netns: {{ports: "{first}:10.0.2.16:80"}}}}}}
  - {{transport: fd, mtu: 9000, endpoints: {{app:vec0: {{ip: 10.0.2.17/24}}, outside:passt: {{ports: "{second}:80"}}}}}}
"""
INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
ip link set vec0 up mtu {mtu}; ip addr add {address}/24 dev vec0; ip route add default via 10.0.2.2
for attempt in {{1..30}}; do ping -q -n -c 1 -W 1 10.0.2.2 && break; done
exec 3<>/dev/tcp/10.0.2.2/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3 >{folder}/{name}.page
{more}
: >{folder}/{name}.done
echo o >/proc/sysrq-trigger; sleep 60
"""
SERVE = f"""timeout 60 {Path(sys.executable).resolve()} -c '
import socket
server = socket.create_server(("", 80))
open("{{folder}}/{{name}}.listens", "w").close()
one, _ = server.accept()
one.sendall(one.recv(100)[::-1])
one.close()'"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Every page is the same."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[int]:
    """A web server of this machine; its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def need_user() -> None:
    allowed = subprocess.run([*USER, "true"], capture_output=True, check=False)
    need(allowed.returncode == 0, "needs user namespaces")


def run(folder: Path, *words: str | Path, **options: object) -> subprocess.Popen[str]:
    """A command as an ordinary user, whose sockets lie in `folder`."""
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder), "HOME": str(folder)}
    return subprocess.Popen(
        [*USER, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    "kernel",
    [pytest.param(one, marks=() if one == KERNELS[-1] else pytest.mark.long) for one in KERNELS],
    indirect=True,
)
def test_guests_reach_the_host_and_are_reached(kernel: Kernel, tmp_path: Path) -> None:
    """A page of 2 MiB comes whole by a switch and slirp4netns, and by passt; a forwarded port leads to each."""
    import socket
    import time

    from tests.serving.test_programs import free_port

    need_command("slirp4netns", "passt", "ping", "ip")
    need_user()
    first, second = free_port(), free_port()
    (tmp_path / "lab.yaml").write_text(LAB.format(first=first, second=second))
    with web_server() as port:
        for name, number in (("web", 15), ("db", 16), ("app", 17)):
            more = "" if name == "web" else SERVE.format(folder=tmp_path, name=name)
            if name == "web":
                more = "ping -q -n -c 3 -i 0.2 -W 5 10.0.2.16"
            init = tmp_path / name
            address, mtu = f"10.0.2.{number}", 9000 if name == "app" else 1500
            init.write_text(INIT.format(folder=tmp_path, address=address, port=port, name=name, more=more, mtu=mtu))
            init.chmod(0o755)
        command = [kernel.command, "mem=128M", "umid={guest}-outside", "root=/dev/root", "rootfstype=hostfs", "rw"]
        command += [
            "hostfs=/",
            f"init={tmp_path}/{{guest}}",
            "con=null",
            "con0=fd:0,fd:1",
            "quiet",
            f"uml_dir={tmp_path}/",
        ]
        guests = run(tmp_path, sys.executable, "-m", "vecnet", "run", tmp_path / "lab.yaml", "--", *command)
        end = time.monotonic() + 120
        for name, number in (("db", first), ("app", second)):
            while not (tmp_path / f"{name}.listens").exists() and time.monotonic() < end and guests.poll() is None:
                time.sleep(0.05)
            with socket.create_connection(("127.0.0.1", number), 30) as client:
                client.sendall(b"forwarded")
                assert client.recv(100) == b"dedrawrof"
        output, _ = guests.communicate(timeout=120)
    for name in ("web", "db", "app"):
        assert (tmp_path / f"{name}.done").exists(), output
        assert (tmp_path / f"{name}.page").read_bytes().partition(b"\r\n\r\n")[2] == PAGE, output
    assert " 0% packet loss" in output
    assert not (tmp_path / "vecnet" / "outside").exists()


@pytest.mark.skipif(CHOSEN is not None, reason="the demo boots the machine's own kernel")
def test_the_demo_of_an_ordinary_user(tmp_path: Path) -> None:
    need_command("slirp4netns", "linux.uml", "ping", "ip")
    need_user()
    demo = run(tmp_path, "env", f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}", "topologies/demo/rootless")
    output, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, output
    assert "without any privilege" in output
    assert list(tmp_path.iterdir()) == []
