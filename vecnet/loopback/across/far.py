"""A link's end on another machine, as the probes of one machine see it."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.across.answers import Counted, Listening, Pinged, Taken
from vecnet.loopback.across.line import Line
from vecnet.loopback.agent import Transferred


class FarEnd:
    """A link's end on another machine, as far as frames go in and out."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def recv(self, timeout: float | None = None) -> list[bytes]:
        return list(self._line.ask("recv", seconds=timeout).frames)

    def send(self, frames: list[bytes], timeout: float | None = None) -> int:
        return self._line.told(Taken, "send", frames, seconds=timeout).taken if frames else 0

    @property
    def stats(self) -> Mapping[str, int]:
        return self._line.told(Counted, "stats").stats


class FarStack:
    """The IP stack behind it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def ping(self, to: str, interface: str, packet: int) -> float:
        return self._line.told(Pinged, "ping", to=to, interface=interface, packet=packet).seconds

    def listen(self, address: str, interface: str) -> int:
        return self._line.told(Listening, "listen", address=address, interface=interface).port

    def serve(self, size: int, seed: int) -> None:
        self._line.ask("serve", size=size, seed=seed)

    def served(self) -> Transferred:
        return self._line.told(Transferred, "served")

    def connect(self, address: str, port: int, interface: str, size: int, seed: int) -> Transferred:
        return self._line.told(
            Transferred, "connect", address=address, port=port, interface=interface, size=size, seed=seed
        )
