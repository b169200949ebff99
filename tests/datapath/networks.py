"""VDE networks: a vde_switch that runs as long as a test wants it, and how who joins one is started."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.datapath.wires import wait_for
from tests.need import need_command

# the options of a string, and the words that its program is started with by a guest, and so by a port
PLUG_WORDS = [
    ("", ["--descr", "UML"]),
    (
        ",group=root,mode=660,port=3,descr=web",
        ["--descr", "web", "--port2", "3", "--mod2", "660", "--group2", "root"],
    ),
]


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


@contextmanager
def vde_switch(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One whose sockets are in the folder `path`. It ends with its standard input."""
    need_command("vde_switch", "vde_plug")
    command = ["vde_switch", "--sock", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as switch:
        try:
            wait_for(lambda: _listens(path / "ctl"))
            yield switch
        finally:
            switch.terminate()
