"""Impairments: their words, what they do to frames, and that the probe measures what was asked for."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecnet
from tests.loopback.test_loopback import in_sandbox
from tests.thorough import stride
from vecnet.datapath.impaired import Impaired
from vecnet.datapath.port import Port, open_port
from vecnet.impairment import Impairment, ImpairmentText
from vecnet.transports.fd import Fd


def plan(text: str) -> Impairment:
    return ImpairmentText().parse(text)


def test_words_are_netems() -> None:
    assert plan("loss 1% delay 10ms 2ms reorder 5% duplicate 0.5% corrupt 0.1% rate 10mbit seed 7") == Impairment(
        loss=0.01, delay=0.01, jitter=0.002, reorder=0.05, duplicate=0.005, corrupt=0.001, rate=10e6, seed=7
    )
    assert plan("delay 1s") == Impairment(delay=1.0)


@pytest.mark.parametrize(
    "text",
    [
        "loss 1%",
        "loss 2% duplicate 1% corrupt 3%",
        "delay 10ms 2ms reorder 5%",
        "rate 5mbit seed 9",
        "rate 1bit",
        "delay 1us",
    ],
)
def test_printed_it_reads_the_same(text: str) -> None:
    assert plan(str(plan(text))) == plan(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected an impairment such as 'loss 1%"),
        ("loss", "such as 'loss 1%"),
        ("loss 1", "such as 'loss 1%"),
        ("loss 101%", "write at most 100%"),
        ("loss 1% loss 2%", "such as 'loss 1%"),
        ("delay 5parsec", "such as 'loss 1%"),
        ("delay 1ms 2ms", "write at most the delay"),
        ("reorder 5%", "add delay 10ms"),
        ("lose 1%", "such as 'loss 1%"),
        ("seed 1", "such as 'loss 1%"),
    ],
)
def test_nonsense_is_told_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        plan(text)


@pytest.fixture
def ports() -> Iterator[tuple[Port, Port]]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ends[0], ends[1]:
        one, other = (vecnet.VecDevice(0, Fd(fd=end.fileno())) for end in ends)
        with open_port(one) as sender, open_port(other) as receiver:
            yield sender, receiver


def through(ports: tuple[Port, Port], text: str, count: int = 500) -> list[bytes]:
    sender, receiver = ports
    came: list[bytes] = []
    with Impaired(sender, plan(text)) as wire:
        for number in range(count):
            wire.send([number.to_bytes(4, "big") * 16])
            came += receiver.recv(timeout=0)
        while frames := receiver.recv(timeout=0.3):
            came += frames
    return came


def test_the_same_seed_makes_the_same_choices(ports: tuple[Port, Port]) -> None:
    first, again, another = (through(ports, f"loss 10% duplicate 5% corrupt 5% seed {seed}") for seed in (4, 4, 5))
    assert first == again
    assert first != another


def test_each_impairment_does_its_own_thing_alone(ports: tuple[Port, Port]) -> None:
    whole = [number.to_bytes(4, "big") * 16 for number in range(500)]
    assert through(ports, "delay 1ms 1ms") == whole
    lost = through(ports, "loss 10%")
    assert len(lost) < 500
    assert [frame for frame in whole if frame in lost] == lost
    doubled = through(ports, "duplicate 10%")
    assert set(doubled) == set(whole)
    assert max(Counter(doubled).values()) == 2
    corrupt = through(ports, "corrupt 10%")
    bits = [sum((a ^ b).bit_count() for a, b in zip(x, y, strict=True)) for x, y in zip(corrupt, whole, strict=True)]
    assert set(bits) == {0, 1}
    overtaken = through(ports, "delay 20ms reorder 10%")
    assert sorted(overtaken) == whole
    assert overtaken != whole


IMPAIRMENTS = [
    "loss 10%",
    "duplicate 5%",
    "corrupt 5%",
    "delay 15ms 5ms",
    "rate 2mbit",
    "rate 1kbit",
    "rate 16kbit",
    "delay 300ms",
    "loss 3% delay 5ms reorder 10%",
]


@pytest.mark.parametrize("text", IMPAIRMENTS[:: stride(3)])
def test_the_probe_measures_what_was_asked_for(tmp_path: Path, text: str) -> None:
    topology = tmp_path / "impaired.yaml"
    topology.write_text(f"name: i\nlinks: [{{transport: fd, impair: {text}, endpoints: ['a:vec0', 'b:vec0']}}]")
    done = in_sandbox(topology, "-v", "-p", "impair", "-p", "open")
    assert done.returncode == 0, done.stdout
    assert "impair: as asked for:" in done.stdout


def test_an_impairment_from_the_command_line() -> None:
    done = in_sandbox(Path("topologies/fd.yaml"), "-v", "-p", "impair", "--impair", "duplicate 4% seed 2")
    assert done.returncode == 0, done.stdout
    assert "impair: as asked for: duplicate 4% seed 2" in done.stdout
    wrong = in_sandbox(Path("topologies/fd.yaml"), "--impair", "loss much")
    assert wrong.returncode == 2
    assert "--impair: 'loss much' is not an impairment such as" in wrong.stderr


def test_the_probe_notices_a_wire_that_does_more(ports: tuple[Port, Port]) -> None:
    from contextlib import ExitStack

    from vecnet.loopback.nursery import Nursery
    from vecnet.loopback.probes.impair import impair
    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.subject import Side, Subject
    from vecnet.loopback.verdict import Failed
    from vecnet.loopback.wire import Wire

    sender, receiver = ports
    subject = Subject(
        name="w",
        transport="fd",
        mtu=1500,
        near=Side(name="near", device=sender.device),
        far=Side(name="far", device=receiver.device),
        impairment=plan("duplicate 5%"),
    )
    macs = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
    with Impaired(sender, plan("loss 20%")) as lossy, ExitStack() as stack, pytest.raises(Failed, match="loss is"):
        impair(Wire(subject, lossy, receiver, macs), Stacks(stack, Nursery(), {}))  # type: ignore[arg-type]
