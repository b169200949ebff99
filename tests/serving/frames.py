"""What the tests of programs say to them, as a guest at a door."""

from __future__ import annotations

import socket
import time

from vecnet.datapath.port import Port
from vecnet.transports.bess import Bess
from vecnet.vecstring import VecDevice

MAC = bytes.fromhex("020000000015")
BROADCAST = b"\xff" * 6


def guest(path: str, mtu: int = 1500) -> Port:
    """A guest that comes in at a door."""
    return Port(VecDevice(0, Bess(dst=path, mtu=mtu)))


def arp(who: str, own: str, mac: bytes = MAC) -> bytes:
    """A question for the Ethernet address of `who`, RFC 826."""
    head = bytes.fromhex("0001080006040001")
    packet = head + mac + socket.inet_aton(own) + bytes(6) + socket.inet_aton(who)
    return (BROADCAST + mac + b"\x08\x06" + packet).ljust(60, b"\0")


def answer_to_arp(port: Port, who: str, own: str, seconds: float = 10) -> bytes | None:
    """The Ethernet address of `who`; None where none is told in time. A question may be lost while a program starts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        port.send(arp(who, own))
        for frame in port.recv(0.5):
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(who):
                return bytes(frame[22:28])
    return None
