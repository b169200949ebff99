"""libFuzzer's harnesses in _native/fuzz, built with both sanitizers and run a fixed number of times.

`make fuzz RUNS=10000000` runs them for longer. The seeds are the frames that the other tests are made of.
"""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.datapath.test_offload import ECN, LIES, NEEDS_CHECKSUM, OPEN_SUMS, TCP_CASES, built, content, vnet
from tests.datapath.test_tunnels import WIRES
from tests.datapath.wires import VNET, frame
from tests.need import need, need_command

pytestmark = pytest.mark.unsanitized
NATIVE = Path(__file__).resolve().parents[2] / "_native"
HARNESSES = {
    "receive": 15_000,
    "segment": 15_000,
    "send": 2_000,
    "queue": 500,
    "switch": 200,
}  # runs of each, a few seconds
FORMS = 21  # how many header forms receive.c chooses from by its first byte
FLAGS = [
    *("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"),
    *("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"),
]


def with_vnet() -> list[bytes]:
    """Frames with their virtio-net headers, true ones and lies."""
    seeds = [*LIES.values(), VNET + frame(1)]
    for below, tcp, kind, _ in TCP_CASES.values():
        whole = built(below / tcp / content(600))
        start = len(whole) - len(built(tcp / content(600)))
        for size in (1, 7, 100, 599, 1448):
            seeds.append(vnet(kind & ~ECN, size, start=start, offset=16, flags=NEEDS_CHECKSUM) + whole)
    for packet, start, offset in OPEN_SUMS.values():
        seeds.append(vnet(start=start, offset=offset, flags=NEEDS_CHECKSUM) + built(packet))
        if offset == 6:
            seeds += [vnet(kind, 16, start=start, offset=6) + built(packet / content(200)) for kind in (3, 5)]
            # one fragment, whose header makes the frame longer than an MTU of 576 allows
            seeds.append(vnet(3, 1552, start=start, offset=6) + built(packet / content(528)))
    return seeds


def on_a_switch(frames: list[bytes]) -> Iterator[bytes]:
    """What happens to a switch, many things after each other."""
    chance = random.Random(1)
    for _ in range(300):
        steps = b""
        while len(steps) < 4000:
            what = chance.randrange(256)
            steps += bytes([what])
            if what >= 56:
                one = chance.choice(frames)[: 8 * chance.choice((2, 8, 255))]
                steps += bytes([len(one) // 8]) + one[: len(one) // 8 * 8]
        yield steps


def carried() -> Iterator[bytes]:
    """Tunnels' packets, as an interface carries them: from no address to none, whole and in fragments."""
    options = b"\x3c\x00" + bytes(6)  # destination options, behind which more stand
    for header in (
        "00006558",
        "30006558 00000001 00000007",
        "0003000000000001 00000003 00000000",
        "00000001" + "03" * 8,
    ):
        payload = bytes.fromhex(header) + frame(1)
        udp = struct.pack("!HHHH", 2, 1, 8 + len(payload), 0) + payload
        for protocol, inside in ((47, payload), (17, udp), (115, payload)):
            for part in (0, 0x2000, 0x0007):
                yield struct.pack("!BBHHHBBH8x", 0x45, 0, 20 + len(inside), 1, part, 64, protocol, 0) + inside
            yield struct.pack("!BBHHHBBH12x", 0x46, 0, 24 + len(inside), 1, 0, 64, protocol, 0) + inside
            yield struct.pack("!IHBB32x", 6 << 28, len(inside), protocol, 64) + inside
            yield (
                struct.pack("!IHBB32x", 6 << 28, 16 + len(inside), 60, 64)
                + options
                + bytes([protocol])
                + bytes(7)
                + inside
            )
            for part in (0, 1):
                piece = struct.pack("!BBHI", protocol, 0, part, 1)
                yield struct.pack("!IHBB32x", 6 << 28, 8 + len(inside), 44, 64) + piece + inside


def seeds_of(harness: str) -> list[bytes]:
    if harness == "queue":
        return [random.Random(number).randbytes(1900) for number in range(50)]
    seeds = with_vnet()
    if harness == "switch":
        return list(on_a_switch(seeds))
    if harness != "receive":
        return seeds
    seeds += [bytes(ip) + bytes.fromhex(wire.taken) + frame(1) for wire in WIRES for ip in (0, 20)]
    seeds += [bytes(ip) + bytes.fromhex(wire.taken) + frame(1, 2000) for wire in WIRES for ip in (0, 20)]
    ports = [bytes([form]) + seed for form in range(FORMS) for seed in seeds]
    return ports + [bytes([FORMS]) + seed for seed in carried()]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What all harnesses have in common, compiled once."""
    need_command("clang")
    folder = tmp_path_factory.mktemp("objects")
    table = folder / "table.c"
    table.write_bytes(subprocess.run([sys.executable, NATIVE / "build.py"], check=True, capture_output=True).stdout)
    sources = [path for path in NATIVE.glob("*.c") if path.name != "sock.c"]
    sources += [*(NATIVE / "transports").glob("*.c"), NATIVE / "fuzz/fake_sock.c", table]
    _clang("-c", *sources, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    assert len(objects) == len(sources)
    return objects


def _clang(*words: str | Path, cwd: Path) -> None:
    done = subprocess.run(
        ["clang", *FLAGS, f"-I{NATIVE}", *words], capture_output=True, text=True, check=False, cwd=cwd
    )
    need("libclang_rt.fuzzer" not in done.stderr, "needs clang's runtime: libclang-rt-dev")
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("harness", "runs"), HARNESSES.items())
def test_a_harness_finds_nothing(harness: str, runs: int, objects: list[Path], tmp_path: Path) -> None:
    program = tmp_path / harness
    _clang("-o", program, NATIVE / f"fuzz/{harness}.c", *objects, cwd=tmp_path)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds = seeds_of(harness)
    for number, seed in enumerate(seeds):
        (corpus / f"{number:04}").write_bytes(seed)
    runs = int(os.environ.get("VECNET_FUZZ_RUNS", runs))
    options = [f"-runs={runs}", "-seed=1", "-timeout=10", "-max_len=6000", "-use_value_profile=1", "-verbosity=1"]
    done = subprocess.run([program, *options, corpus], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-10_000:]
    ran = re.search(r"^Done (\d+) runs", done.stderr, re.MULTILINE)  # on a slow machine it reads its corpus once more
    assert ran, done.stderr[-10_000:]
    assert int(ran[1]) >= max(runs, len(seeds) + 1), done.stderr[-10_000:]  # each seed, and an empty one
