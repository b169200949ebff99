"""Markdown: tables, and text of others that it must not obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`[^`]*`)")


def plain(text: str) -> str:
    """Text as it stands, in one line; what is between backticks stays code."""
    pieces = re.split(_CODE, " ".join(text.split()))
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]{}])", r"\\\1", text).replace("<", "&lt;")


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def block(text: str) -> str:
    """Lines as they stand, without a language."""
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; nothing where it would have no row."""
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines]) + "\n"


def _cell(text: str) -> str:
    """A bar within backticks is no border by itself."""
    return "".join(piece if piece.startswith("`") else piece.replace("|", r"\|") for piece in re.split(_CODE, text))
