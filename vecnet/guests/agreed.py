"""Where generations part: what each of them does, as one effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from vecnet.guests.guest import Guest
from vecnet.options import FINE, Effect


def agreed(effects: Mapping[Guest, Effect]) -> Effect:
    """What all of the guests do; where they part, the worst of it in a sentence that says who does what."""
    by_effect: dict[Effect, list[str]] = {}
    for guest, effect in effects.items():
        by_effect.setdefault(effect, []).append(str(guest))
    if len(by_effect) == 1:
        return next(iter(by_effect))
    worst = max(by_effect, key=lambda effect: effect.severity)
    shared = worst.lead if all(effect.lead in (worst.lead, "") for effect in by_effect) else ""
    each = [
        f"{listed(names)}: {effect.message.removeprefix(shared) or 'as meant'}" for effect, names in by_effect.items()
    ]
    parts = tuple((tuple(names), effect) for effect, names in by_effect.items())
    return dataclasses.replace(worst, message=shared + "; ".join(each), parts=parts)


def listed(names: Sequence[str]) -> str:
    """`6.1, 6.12 and 7.2`."""
    *all_but_last, last = names
    return f"{', '.join(all_but_last)} and {last}" if all_but_last else last


def united(of_guests: Mapping[Guest, Mapping[object, Effect]]) -> list[Effect]:
    """The effects of all guests, each case of a situation once."""
    keys = dict.fromkeys(key for effects in of_guests.values() for key in effects)
    return [agreed({guest: effects.get(key, FINE) for guest, effects in of_guests.items()}) for key in keys]
