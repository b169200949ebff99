"""slirp4netns: an IPv4 network behind NAT, with DHCP, whose frames go by a socket as BESS has it. It takes one guest.

Source: slirp4netns(1), "--target-type=bess" and "API socket"; its main.c and slirp4netns.c.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from vecnet.errors import ProgramError
from vecnet.programs.base import DNS, IPV6, LOOPBACK, PORTS, SUBNET, Program, Running, Wanted, connected
from vecnet.programs.keys import Forward

_PATIENCE = 10.0  # seconds for an answer to a request


class Slirp4netns(Program):
    """The host's network for one guest, or for a switch, without any privilege."""

    name = "slirp4netns"
    transport = "bess"
    package = "slirp4netns"
    keys = {"ports": PORTS, "subnet": SUBNET, "ipv6": IPV6, "dns": DNS, "loopback": LOOPBACK}

    @classmethod
    def start(cls, wanted: Wanted) -> Running:
        """It says that it waits for a guest, and writes to a pipe once it serves one. It ends with another pipe."""
        from vecnet.programs.process import Process

        frames, control = f"{wanted.folder}/frames", f"{wanted.folder}/control"
        words = [cls.name, "--target-type=bess", f"--mtu={wanted.mtu}", f"--cidr={wanted.network}"]
        words += ["--enable-ipv6"] * wanted.on("ipv6", False)
        words += ["--disable-dns"] * (not wanted.on("dns", True))
        words += ["--disable-host-loopback"] * (not wanted.on("loopback", True))
        with ExitStack() as undo:
            ready, theirs = os.pipe()
            undo.callback(os.close, ready)
            ends, held = os.pipe()
            try:
                words += [f"--ready-fd={theirs}", f"--exit-fd={ends}", f"--api-socket={control}", frames]
                process = Process(cls.name, words, cls.package, (theirs, ends))
            except BaseException:
                os.close(held)
                raise
            finally:
                os.close(theirs)
                os.close(ends)
            failed = undo.enter_context(ExitStack())
            failed.callback(process.stop)
            failed.callback(os.close, held)
            process.wait_for(f"Waiting for connection to {frames}")
            packets = failed.enter_context(connected(frames, process))
            process.read(ready)
            for forward in wanted.forwards:
                _forward(control, forward, wanted.own)
            failed.pop_all()
            return Running(process, packets.detach(), (held,))


def _forward(control: str, forward: Forward, guest: str) -> None:
    """Ask for a forwarded port. Raises ProgramError."""
    import json
    import socket

    from vecnet.kernel import unix_sockets

    arguments = {
        "proto": forward.protocol,
        "host_addr": forward.address,
        "host_port": forward.port,
        "guest_addr": forward.guest or guest,
        "guest_port": forward.guest_port,
    }
    request = json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode()
    try:
        with unix_sockets.connected(control, socket.SOCK_STREAM, _PATIENCE) as api:
            api.settimeout(_PATIENCE)
            api.sendall(request)
            api.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: api.recv(4096), b""))
    except OSError as error:
        raise ProgramError(f"slirp4netns does not answer: {error.strerror or error}") from None
    if b'"error"' in answer:
        raise ProgramError(f"slirp4netns cannot forward {forward}", "choose a port that is free and may be taken")
