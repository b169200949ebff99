"""A guest's whole command line, `mem=256M eth0=tuntap,tap0 vec0:transport=…`, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vecnet import legacy
from vecnet.guests.agreed import agreed
from vecnet.guests.kernel import Kernel
from vecnet.options import FINE, Effect, Severity
from vecnet.vecstring import Explanation, explained

_WORD = re.compile(r'(?:"[^"]*"?|[^\s"])+')  # lib/cmdline.c, next_arg: quotes hold white space together


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The words of a command line that give a guest the devices, and what concerns the whole. The rest is `others`."""

    text: str
    words: tuple[Explanation, ...]
    effects: tuple[Effect, ...]
    others: tuple[str, ...]

    @property
    def as_meant(self) -> bool:
        """Whether all devices come up as meant."""
        return all(word.as_meant for word in self.words) and all(e.severity < Severity.IGNORED for e in self.effects)


def words_of(text: str) -> list[str]:
    """The words of a command line, as the kernel cuts it."""
    return _WORD.findall(text)


def is_string(word: str) -> bool:
    """Whether a word is one for the vector driver, or was meant to be."""
    return re.match(r"vec\w*:", word) is not None or "transport=" in word


def is_command_line(text: str) -> bool:
    """Whether a text is several words, and not one string with white space in it by mistake."""
    words = words_of(text)
    whole = not any(word.startswith(",") or word.endswith(",") for word in words)
    return len(words) > 1 and whole and any(is_string(word) or legacy.is_legacy(word) for word in words)


def read(text: str, kernel: Kernel) -> CommandLine:
    """Explain each word that concerns the network."""
    words = words_of(text)
    found, others = [], []
    for word in words:
        if legacy.is_legacy(word):
            found.append(legacy.explained(word, kernel))
        elif is_string(word):
            found.append(_given(explained(word, kernel), words))
        else:
            others.append(word)
    return CommandLine(text, tuple(found), tuple(_whole(words, kernel)), tuple(others))


def _given(explanation: Explanation, words: list[str]) -> Explanation:
    """Without the notes on words that the command line has."""
    effects = tuple(effect for effect in explanation.effects if not effect.word or effect.word not in words)
    return replace(explanation, effects=effects)


def _whole(words: list[str], kernel: Kernel) -> Iterator[Effect]:
    """The length, of which a kernel has a limit."""
    effects = {}
    for guest in kernel.guests:
        counted = [word for word in words if guest.counts_all or not re.match(r"(mem|hostfs|umid|uml_dir)=", word)]
        size = len(" ".join(counted).encode())
        if size < guest.command_line:
            effects[guest] = FINE
        else:
            message = (
                f"the line has {size} bytes, and a kernel that is given {guest.command_line} or more does not start"
            )
            instead = "start it by `vecnet run`, which plugs what has no room"
            effects[guest] = Effect(Severity.REFUSED, message, instead)
    effect = agreed(effects)
    if effect.severity > Severity.OK:
        yield effect
