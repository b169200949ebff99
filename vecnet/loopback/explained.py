"""Every code with its explanation: the kinds of failure that probes find, and the traps that guests fall into.

A trap is a situation of `vecnet/guests`, whose tables say what each generation does in it; its code is `trap-` and the
situation's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from vecnet.guests import GENERATIONS, Situation
from vecnet.guests.guest import ANY, Does, Steps
from vecnet.loopback.codes import CODES

TRAP = "trap-"
_MEND = "`vecnet check 'vec0:…'` says of a string what is amiss and what to write instead."


@dataclass(frozen=True)
class Explanation:
    """Sentences, "" where there is none; and what guests do, by the version of their kernel."""

    means: str
    comes: str = ""
    mend: str = ""
    guests: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        return {"means": self.means, "comes": self.comes, "mend": self.mend, "guests": dict(self.guests)}


def explanations() -> dict[str, Explanation]:
    """All of them by code, failures first."""
    failures = {str(code): Explanation(one.means, one.comes, one.mend) for code, one in CODES.items()}
    return failures | {
        trap_code(one): _trap(one) for one in Situation if any(one in guest.does for guest in GENERATIONS)
    }


def trap_code(situation: Situation) -> str:
    """The code of a situation."""
    return TRAP + situation.name.lower().replace("_", "-")


def _trap(situation: Situation) -> Explanation:
    means = situation.value.partition(": {")[0]
    told: list[tuple[str, str]] = []
    for guest in GENERATIONS:
        text = "; ".join(_said(key, row) for key, row in guest.does.get(situation, {}).items())
        if text:
            told.append((str(guest), text))
    return Explanation(f"{means[0].upper()}{means[1:]}.", "", _MEND, tuple(told))


def _said(key: str, row: Does | Steps) -> str:
    whose = "" if key == ANY else f"{key}: "
    if isinstance(row, Steps):
        return whose + ", ".join(f"from {low} on {_does(does)}" for low, does in sorted(row.items()))
    return whose + _does(row)


def _does(does: Does) -> str:
    mend = f" ({does.word} mends it)" if does.word else ""
    return f"{does.severity}, {does.message.replace('!r}', '}')}{mend}"
