"""What a wire does to its frames, in the words of tc-netem(8): `loss 1% delay 10ms 2ms rate 10mbit seed 7`.

| word | meaning |
|---|---|
| loss P% | a frame is lost |
| duplicate P% | a frame comes twice |
| corrupt P% | one bit of a frame is changed |
| delay TIME [JITTER] | every frame is late by TIME, give or take JITTER, which does not change their order |
| reorder P% | a frame is not delayed at all, and so overtakes others |
| rate RATE | at most so many bits a second pass, such as 10mbit |
| seed N | where the choices start from: the same seed, the same choices; the kernel's netem makes its own |
"""

from __future__ import annotations

import re

from vecnet.errors import Refused
from vecnet.records import record
from vecnet.values import Kind, Schema

_TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_RATE = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


@record(frozen=True, kw_only=True)
class Impairment:
    """Probabilities from 0 to 1, times in seconds, the rate in bits a second (0: no limit)."""

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0
    seed: int = 1

    @property
    def words(self) -> str:
        """What it does, without the seed; empty where it does nothing."""
        words = [
            f"{key} {_plain(100 * getattr(self, key))}%"
            for key in ("loss", "duplicate", "corrupt")
            if getattr(self, key)
        ]
        if self.delay:
            jitter = f" {_plain(1e3 * self.jitter)}ms" if self.jitter else ""
            words.append(f"delay {_plain(1e3 * self.delay)}ms{jitter}")
        if self.reorder:
            words.append(f"reorder {_plain(100 * self.reorder)}%")
        if self.rate:
            words.append(f"rate {_plain(self.rate / 1e6)}mbit")
        return " ".join(words)

    def __str__(self) -> str:
        return f"{self.words} seed {self.seed}".strip()


def _plain(number: float) -> str:
    """Six digits that count, without an exponent, which is no number to a reader of these words."""
    from decimal import Decimal  # for those who impair

    return f"{Decimal(f'{number:.6g}'):f}"


class ImpairmentText(Kind[Impairment]):
    """An Impairment, written as for `tc qdisc … netem`."""

    expects = "an impairment such as 'loss 1% delay 10ms 2ms reorder 5% duplicate 1% corrupt 0.1% rate 10mbit seed 7'"

    def parse(self, text: str) -> Impairment:
        words = text.split()
        given: dict[str, float] = {}
        while words:
            key = words.pop(0)
            if key in given or key not in ("loss", "duplicate", "corrupt", "reorder", "delay", "rate", "seed"):
                raise self._refuse(text)
            value = words.pop(0) if words else ""
            if key == "delay":
                given["delay"] = self._number(text, value, _TIME)
                if words and words[0][0].isdigit():
                    given["jitter"] = self._number(text, words.pop(0), _TIME)
            elif key == "rate":
                given["rate"] = self._number(text, value, _RATE)
            elif key == "seed":
                given["seed"] = self._number(text, value, {"": 1.0})
            else:
                given[key] = self._number(text, value, {"%": 0.01})
        return self._sensible(text, given)

    def _number(self, text: str, value: str, units: dict[str, float]) -> float:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,15})?)([a-z%]*)", value)
        if match is None or match[2] not in units:
            raise self._refuse(text)
        return float(match[1]) * units[match[2]]

    def _sensible(self, text: str, given: dict[str, float]) -> Impairment:
        seed = int(given.pop("seed", 1))
        if not given:
            raise self._refuse(text)
        if any(given.get(key, 0) > 1 for key in ("loss", "duplicate", "corrupt", "reorder")):
            raise Refused(f"{text!r} has more than 100%", "write at most 100%")
        if given.get("reorder") and not given.get("delay"):
            raise Refused(f"{text!r}: reordering needs a delay that some frames escape", "add delay 10ms")
        if given.get("jitter", 0) > given.get("delay", 0):
            raise Refused(f"{text!r} has a jitter larger than its delay", "write at most the delay")
        return Impairment(**given, seed=seed)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^(loss|duplicate|corrupt|reorder|delay|rate|seed) "}
