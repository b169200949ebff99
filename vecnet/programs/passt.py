"""passt: the host's sockets for one guest, without NAT, by a stream with each frame's length before it.

It ends with its stream, so it never outlives vecnet, although it changes its user when root starts it.

The one of Debian 12, of 2023-03-09, spoils a TCP connection on which both ends send at once: it gives bytes of the host
two places in the stream, whoever moves its frames. One way after the other it is right.

Source: passt(1), "--fd" and "OPTIONS"; qemu's stream netdev, net/stream.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from vecnet.programs.base import (
    DNS,
    IPV6,
    LOOPBACK,
    PORTS,
    SUBNET,
    Framing,
    Program,
    Running,
    Wanted,
)
from vecnet.transports.link import Link, Mistake


class Passt(Program):
    """The host's network for one guest, without any privilege. It copies TCP and UDP from sockets to frames."""

    name = "passt"
    transport = "fd"
    package = "passt"
    keys = {"ports": PORTS, "subnet": SUBNET, "ipv6": IPV6, "dns": DNS, "loopback": LOOPBACK}
    framing = Framing.STREAM
    echoes_by_host = True

    @classmethod
    def start(cls, wanted: Wanted) -> Running:
        """It tells the name servers that it hands out last, once it is set up."""
        import socket

        from vecnet.programs.process import Process

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, ExitStack() as failed:
            failed.enter_context(ours)
            words = [cls.name, "--foreground", f"--fd={theirs.fileno()}", f"--mtu={wanted.mtu}"]
            words += [f"--address={wanted.own}", f"--netmask={wanted.network.prefixlen}"]
            words += [f"--gateway={wanted.gateway}"]
            words += [] if wanted.on("ipv6", False) else ["--ipv4-only"]
            names = f"--dns-forward={wanted.name_server}"
            words += [names] if wanted.on("dns", True) else ["--no-dhcp-dns"]
            words += ["--no-map-gw"] * (not wanted.on("loopback", True))
            for forward in wanted.forwards:
                option = "--tcp-ports" if forward.protocol == "tcp" else "--udp-ports"
                words.append(f"{option}={forward.address}/{forward.port}:{forward.guest_port}")
            process = Process(cls.name, words, cls.package, (theirs.fileno(),))
            failed.callback(process.stop)
            theirs.close()
            process.wait_for("router:")
            failed.pop_all()
            return Running(process, ours.detach())

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from super().mistakes(link)
        if any(forward.guest for forward in link.ends[1].given.get("ports", ())):
            message = "ports: passt has one guest, whose address is not stated with the port"
            yield Mistake(message, "write the two ports alone, such as 2222:22", "ports", 1)
