"""What is expected of a wire: `expect: {loss: 0, latency_p99: 2ms, throughput: 500M}` at a link, or in `defaults`.

| key | expects | is told by the probe |
|---|---|---|
| loss | at most this share of the frames is lost, each way | frames |
| latency_p50, latency_p99 | half of the frames, 99 of 100, arrive in at most this time | latency |
| burst | at least so many frames may be sent at once, each way | burst |
| throughput | at least so many bits a second arrive, each way | throughput; tcp of a program outside |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from vecnet.errors import Position
from vecnet.values import Integer, Kind, Schema

OUTSIDE = "outside"  # before the name of a probe of a program there
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


class _Measured(Kind[float]):
    """A number with a unit, in canonical units: a share of 1, seconds, bits a second."""

    units: Mapping[str, float]

    def parse(self, text: str) -> float:
        match = re.fullmatch(rf"({_NUMBER})([A-Za-z%]*)", text)
        if match is None or match[2] not in self.units:
            raise self._refuse(text)
        return float(match[1]) * self.units[match[2]]

    def schema(self) -> Schema:
        units = "|".join(re.escape(unit) for unit in self.units if unit)
        return {"type": "string", "pattern": f"^{_NUMBER}({units})$"}


class Share(Kind[float]):
    """Of the frames."""

    expects = "a share such as 0, 0.5% or 2%"
    _PATTERN = r"0|(100|[0-9]{1,2}(\.[0-9]{1,9})?)%"

    def parse(self, text: str) -> float:
        if not re.fullmatch(self._PATTERN, text):
            raise self._refuse(text)
        return float(text.rstrip("%")) / 100

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string", "pattern": f"^({self._PATTERN})$"}, {"const": 0}]}


class Duration(_Measured):
    """Of time."""

    expects = "a time such as 200us, 2ms or 1s"
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Rate(_Measured):
    """Of bits."""

    expects = "a rate in bits a second such as 800k, 500M or 1.5G"
    units = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}

    def schema(self) -> Schema:
        return {
            "anyOf": [super().schema(), {"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_NUMBER}$"}]
        }


class Measure(NamedTuple):
    """What a key of `expect` is held against: figures of one of these probes, of which the worst counts."""

    kind: Kind[float] | Kind[int]
    doc: str
    figures: Mapping[str, tuple[str, ...]]  # by the probe
    unit: float  # of the figures, in the key's own
    at_most: bool


MEASURES: Mapping[str, Measure] = {
    "loss": Measure(Share(), "at most this share of the frames is lost", {"frames": ("loss_share",)}, 1.0, True),
    "latency_p50": Measure(
        Duration(), "half of the frames arrive in at most this time", {"latency": ("p50_us",)}, 1e-6, True
    ),
    "latency_p99": Measure(
        Duration(), "99 of 100 frames arrive in at most this time", {"latency": ("p99_us",)}, 1e-6, True
    ),
    "burst": Measure(
        Integer(1, 2048),
        "at least so many frames may be sent at once",
        {"burst": ("frames_out", "frames_in")},
        1.0,
        False,
    ),
    "throughput": Measure(
        Rate(),
        "at least so many bits a second arrive",
        {"throughput": ("mbit_per_s_out", "mbit_per_s_in"), f"{OUTSIDE} tcp": ("mbit_per_s",)},
        1e6,
        False,
    ),
}


class Expected(NamedTuple):
    """One thing that is expected, as it is written, and where."""

    key: str
    text: str
    where: Position

    @property
    def limit(self) -> float:
        return float(MEASURES[self.key].kind.parse(self.text))

    def missed(self, probe: str, figures: Mapping[str, float]) -> str:
        """The sentence, if these figures of a probe are not as expected; empty otherwise."""
        measure = MEASURES[self.key]
        found = [figures[name] * measure.unit for name in measure.figures.get(probe, ()) if name in figures]
        if not found:
            return ""
        worst = max(found) if measure.at_most else min(found)
        if worst <= self.limit if measure.at_most else worst >= self.limit:
            return ""
        return f"{self.key} is {self._written(worst)}, and {self.text} is expected in {self.where}"

    def _written(self, value: float) -> str:
        kind = MEASURES[self.key].kind
        if isinstance(kind, Share):
            return f"{100 * value:.2g}%"
        units = kind.units if isinstance(kind, _Measured) else {"": 1.0}
        unit = max(
            (unit for unit in units if units[unit] <= value), key=lambda unit: units[unit], default=next(iter(units))
        )
        return f"{value / units[unit]:.3g}{unit}"


class ExpectedText(Kind[str]):
    """Not one value: a mapping of MEASURES, each of which is read by itself."""

    expects = f"a mapping of {', '.join(MEASURES)}"

    def parse(self, text: str) -> str:
        raise self._refuse(text)

    def schema(self) -> Schema:
        properties = {key: {"description": one.doc, **one.kind.schema()} for key, one in MEASURES.items()}
        return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def measured(is_outside: bool) -> frozenset[str]:
    """The keys that probes of a wire, or of a program outside, can tell."""
    return frozenset(
        key for key, one in MEASURES.items() if any(probe.startswith(OUTSIDE) is is_outside for probe in one.figures)
    )
