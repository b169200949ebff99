"""One thing that was looked at: whether it is there, and what to type where it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is. A note is worth reading, and keeps nothing from working by itself."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """`needed` names the links of the topology that cannot do without; `mend` is a command, or what to do."""

    what: str
    state: State
    said: str
    mend: str = ""
    needed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return asdict(self)
