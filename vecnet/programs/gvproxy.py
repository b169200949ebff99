"""gvproxy: an IPv4 network behind NAT with DHCP and DNS, the one of podman's machines, as a switch of its own.

Its network is fixed. 192.168.127.1 is the gateway and the name server, .254 leads to the host's own 127.0.0.1.

Source: gvisor-tap-vsock, README.md, "Run with User Mode Linux" and "Expose ports"; gvproxy -help.
"""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from vecnet.errors import ProgramError
from vecnet.programs.base import PORTS, Places, Program, Running, Wanted

if TYPE_CHECKING:
    import socket

    from vecnet.programs.keys import Forward

_PATIENCE = 10.0  # seconds for an answer to a request


class Gvproxy(Program):
    """The host's network for one guest, or for a switch, without any privilege."""

    name = "gvproxy"
    transport = "bess"
    package = "gvproxy"
    keys = {"ports": PORTS}
    places = Places(ipaddress.IPv4Network("192.168.127.0/24"), gateway=1, name_server=1, host=254, guest=2)

    @classmethod
    def start(cls, wanted: Wanted) -> Running:
        """It does not say that it listens for frames, and is asked until it does."""
        from vecnet.programs.process import Process

        frames, control = f"{wanted.folder}/frames", f"{wanted.folder}/control"
        words = [cls.name, f"-mtu={wanted.mtu}", "-ssh-port=-1"]  # it would take a port of the host's for ssh
        words += [f"-listen=unix://{control}", f"-listen-bess=unixpacket://{frames}"]
        with ExitStack() as failed:
            process = failed.enter_context(Process(cls.name, words, cls.package))
            packets = failed.enter_context(process.until(partial(_connected, frames)))
            for forward in wanted.forwards:
                _expose(control, forward, wanted.own)
            failed.pop_all()
            return Running(process, packets.detach())


def _connected(path: str) -> socket.socket | None:
    """A socket whose packets are frames; None while nobody listens there. Raises OSError."""
    from vecnet.kernel import unix_sockets

    try:
        return unix_sockets.connected(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None


def _expose(control: str, forward: Forward, guest: str) -> None:
    """Ask for a forwarded port, by HTTP. Raises ProgramError."""
    import http.client
    import json
    import socket

    from vecnet.kernel import unix_sockets

    request = {
        "local": f"{forward.address}:{forward.port}",
        "remote": f"{forward.guest or guest}:{forward.guest_port}",
        "protocol": forward.protocol,
    }
    try:
        with unix_sockets.connected(control, socket.SOCK_STREAM, _PATIENCE) as api:
            api.settimeout(_PATIENCE)
            asked = http.client.HTTPConnection("gvproxy")
            asked.sock = api
            asked.request("POST", "/services/forwarder/expose", json.dumps(request))
            answer = asked.getresponse()
            said = answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise ProgramError(f"gvproxy does not answer: {error}") from None
    if answer.status != http.HTTPStatus.OK:
        instead = "choose a port that is free and may be taken"
        raise ProgramError(f"gvproxy cannot forward {forward}: {said}", instead)
