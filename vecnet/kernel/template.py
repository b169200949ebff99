"""Messages that go out by the thousand: encoded once, and stamped for each interface.

An encoder takes 150 µs for a veth pair, a quarter of what the kernel takes to make it; a stamp takes 3. What differs
from one message to the next is marked when the message is encoded, by values that nothing else in it looks like.
"""

from __future__ import annotations

import socket
import sys

from vecnet.records import record

IFNAMSIZ = 16  # linux/if.h; a name is as well taken with zeros up to here


@record(frozen=True, slots=True)
class Mark:
    """A value that is one letter over and over: `size` bytes of a message, in the form that an encoder takes."""

    letter: str
    size: int

    @property
    def raw(self) -> bytes:
        return self.text.encode()

    @property
    def text(self) -> str:
        return self.letter * self.size

    @property
    def number(self) -> int:
        return int.from_bytes(self.raw, sys.byteorder)

    @property
    def mac(self) -> str:
        return self.raw.hex(":")

    @property
    def ip(self) -> str:
        return socket.inet_ntop(socket.AF_INET if self.size == 4 else socket.AF_INET6, self.raw)


class Template:
    """A message with marks in it, each of which is there once."""

    def __init__(self, message: bytes, **marks: Mark) -> None:
        self._message = message
        self._places: dict[str, slice] = {}
        for name, mark in marks.items():
            if message.count(mark.raw) != 1:
                raise ValueError(f"{name}, marked {mark.text}, is not once in {message!r}")
            start = message.index(mark.raw)
            self._places[name] = slice(start, start + mark.size)

    def stamp(self, **values: bytes) -> bytes:
        """The message with a value at each mark, which must be as long."""
        out = bytearray(self._message)
        for name, value in values.items():
            out[self._places[name]] = value
        if len(out) != len(self._message):
            raise ValueError(f"{values} do not fit {self._message!r}")
        return bytes(out)

    def unindexed(self, name: str, **values: bytes) -> Unindexed:
        """The message with a value at each mark but `name`, where an interface's number goes."""
        return Unindexed(self.stamp(**values), self._places[name].start)


@record(frozen=True, slots=True)
class Unindexed:
    """A message that lacks the number of an interface, which may still have to be made."""

    message: bytes
    at: int

    def of(self, index: int) -> bytes:
        return self.message[: self.at] + index.to_bytes(4, sys.byteorder) + self.message[self.at + 4 :]


def name(ifname: str) -> bytes:
    """An interface's name as it is stamped over a mark of IFNAMSIZ - 1 letters."""
    return ifname.encode().ljust(IFNAMSIZ - 1, b"\0")


def u32(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def u16(number: int) -> bytes:
    return number.to_bytes(2, sys.byteorder)
