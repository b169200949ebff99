"""The vec string's laws over generated devices, and explanations of any text whatever."""

from __future__ import annotations

import dataclasses
import string
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import vecnet
from tests.devices import DEVICES, MACS, OPTIONS, transports
from tests.thorough import examples
from vecnet.errors import VecStringError
from vecnet.guests import GENERATIONS
from vecnet.options import Reading, Severity, option
from vecnet.transports import TRANSPORTS, Transport, base
from vecnet.transports.tunnel import Tunnel
from vecnet.values import Integer
from vecnet.vecstring import explain, parse

laws = settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
UNITS = st.integers(0, 9999)


def test_the_strategies_know_every_option() -> None:
    assert set(OPTIONS) == {TRANSPORTS[name] for name in TRANSPORTS}


@pytest.mark.parametrize("kind", OPTIONS, ids=lambda kind: kind.name)
def test_the_laws_of_the_string(kind: type[Transport]) -> None:
    seen: set[str] = set()  # options that some example gave another value than the default

    @laws
    @given(UNITS, transports(kind))
    def law(unit: int, transport: Transport) -> None:
        device = vecnet.VecDevice(unit, transport)
        text = str(device)
        assert parse(text) == device
        assert str(parse(text)) == text
        assert text.count(",") < min(guest.tokens for guest in GENERATIONS)
        explanation = explain(text)
        assert explanation.severity <= Severity.NOTE, explanation
        assert explanation.mended == text
        assert all(token.effect.severity is Severity.OK for token in explanation.tokens)
        assert device.mirror().mirror() == device
        assert device.mirror().overhead == device.overhead
        for token in text.partition(":")[2].split(","):
            name, _, value = token.partition("=")
            seen.add(name)
            if name in ("rx_key", "tx_key", "rx_session", "tx_session"):
                assert -(2**31) <= int(value) < 2**31
            if isinstance(getattr(transport, name, None), bool):
                assert value in "01"

    law()
    never = {"vec"} if issubclass(kind, Tunnel) else set()  # it sends nothing with vec=0
    assert seen == {"transport", *kind.options()} - never


@pytest.mark.parametrize("kind", OPTIONS, ids=lambda kind: kind.name)
def test_options_of_one_shape_are_judged_alike(kind: type[Transport]) -> None:
    seen: set[str] = set()

    @settings(laws, max_examples=examples(25))
    @given(OPTIONS[kind], OPTIONS[kind], st.booleans(), MACS.map(lambda octets: octets.hex(":")))
    def law(one: dict[str, Any], other: dict[str, Any], vec: bool, mac: str) -> None:
        one["vec"] = vec  # without it a tunnel is refused
        swapped = {key: other.get(key, value) if key in kind.varying else value for key, value in one.items()}
        if kind.shape(swapped) != kind.shape(one):
            return
        seen.update(key for key in one if swapped[key] != one[key])
        try:
            judged = kind(**one)
        except VecStringError:
            with pytest.raises(VecStringError):
                kind(**swapped)
            return
        alike, alone = judged.alike(mac, swapped), kind(mac=mac, **swapped)
        assert alike == alone
        assert alike.is_plain is alone.is_plain
        if alone.is_plain:
            having = [guest for guest in GENERATIONS if kind.name not in guest.lacks]
            assert not kind.problems(alone.cases(vars(alone)), having)
            assert not explain(str(vecnet.VecDevice(0, alone))).words
        assert [case.situation for case in alike.cases(vars(alike))] == [
            case.situation for case in judged.cases(vars(judged))
        ]

    law()
    assert bool(seen) == bool(kind.varying)


def test_what_varies_in_a_shape_is_judged_by_itself() -> None:
    tap = vecnet.Tap(ifname="tap0")
    with pytest.raises(VecStringError, match="ifname: 'a/b' is not an interface name"):
        tap.alike(None, {"ifname": "a/b"})


@laws
@given(st.text())
@example("vec0:")
@example(":")
@example('"')
@example("vec0:\ud800=\udcff,ifname=\udcff,transport=tap")
@example("vec0:transport=fd,fd=" + "9" * 5000)
@example("vec" + "7" * 5000 + ":transport=fd,fd=1")
@example("vec0:transport=gre,src=" + "1" * 5000 + ",dst=" + "." * 300)
def test_any_text_has_an_explanation(text: str) -> None:
    check_explanation(text)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A device's string after a few cuts, insertions and repetitions."""
    text = str(draw(DEVICES))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(len(text), begin + 12)))
        put = draw(
            st.sampled_from([*",=:-+\"' 0x%", "", "0x", ",,", "\t", "transport=", "vec1:", "v6=1", "udp=0x1", "é", "à"])
            | st.sampled_from(sorted({key for kind in OPTIONS for key in kind.options()}))
            | st.text(string.printable, max_size=3)
            | st.just(text[begin:end] * 2)
        )
        text = text[:begin] + put + text[end:]
    return text


@settings(laws, max_examples=examples(150))
@given(damaged())
def test_a_damaged_string_has_an_explanation(text: str) -> None:
    check_explanation(text)


def check_explanation(text: str) -> None:
    """What holds for the explanation of any text."""
    explanation = explain(text)
    assert explanation.text == text
    for token in explanation.tokens:
        assert text[token.column - 1 :].lstrip().startswith(token.text)
    for effect in (*(token.effect for token in explanation.tokens), *explanation.effects):
        assert effect.message or effect.severity is Severity.OK
    if explanation.mended is not None:
        again = explain(explanation.mended)
        assert again.severity <= Severity.NOTE
        assert again.mended == explanation.mended
        assert again.device == explanation.device
    if explanation.as_meant:
        assert parse(text) == explanation.device
    else:
        with pytest.raises(VecStringError) as caught:
            parse(text)
        assert caught.value.problems
        assert caught.value.exit_code == 2


@laws
@given(DEVICES)
def test_a_device_is_a_value(device: vecnet.VecDevice) -> None:
    again = dataclasses.replace(device)
    assert again == device
    assert hash(again) == hash(device)
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.unit = 1  # type: ignore[misc]


def test_a_fault_inside_a_transport_is_no_explanation(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in a transport's own code is not taken for a string that is fine."""
    monkeypatch.setattr("vecnet.transports.base.REGISTRY", dict(base.REGISTRY))

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Toy(Transport):
        name: ClassVar[str] = "toy"
        lane: int = option(Integer(1, 9), Reading.DECIMAL, "the lane")

        def __post_init__(self) -> None:
            raise TypeError("a fault")

    monkeypatch.setattr(TRANSPORTS, "_declared", base.REGISTRY)
    monkeypatch.setattr(TRANSPORTS, "_names", (*TRANSPORTS, Toy.name))
    assert explain("vec0:transport=toy").device is None  # it is not made without what it needs
    with pytest.raises(TypeError, match="a fault"):
        explain("vec0:transport=toy,lane=1")
