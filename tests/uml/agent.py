"""What a guest runs to talk to a port: it returns every frame of one Ethertype, and sends some of its own when told to.

    python agent.py FOLDER vec0 vec1 …        it makes FOLDER/ready; FOLDER/go: send; FOLDER/stop: end

Ethertypes are the experimental ones of IEEE 802.
"""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path

ASKED, RETURNED, SENT = b"\x88\xb5", b"\x88\xb6", b"\x88\xb7"
SENDS = 5  # frames of its own on each device
SIZE = 100  # bytes of each


def sent(number: int) -> bytes:
    """A frame of the guest's own."""
    return b"\xff" * 6 + bytes((2, 0, 0, 0, 0, 1)) + SENT + bytes((number,)) * (SIZE - 14)


def returned(frame: bytes) -> bytes:
    """What becomes of a frame that is returned: its addresses change places."""
    return frame[6:12] + frame[:6] + RETURNED + frame[14:]


def main(folder: Path, devices: list[str]) -> None:
    sockets = []
    for device in devices:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        end.bind((device, int.from_bytes(ASKED, "big")))
        sockets.append(end)
    (folder / "ready").touch()
    has_sent = False
    while not (folder / "stop").exists():
        for end in select.select(sockets, [], [], 0.05)[0]:
            end.send(returned(end.recv(65536)))
        if not has_sent and (folder / "go").exists():
            has_sent = True
            for end in sockets:
                for number in range(SENDS):
                    end.send(sent(number))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
