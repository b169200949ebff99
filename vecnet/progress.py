"""How far a long piece of work is, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # how much is done, of how much


def quiet(done: int, total: int) -> None:
    """Progress that nobody wants to see."""
