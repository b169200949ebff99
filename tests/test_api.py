"""What a release has promised stays: the public interface, next to the stored list of docs/api.txt.

A line that is gone breaks somebody's script. Where that is meant, `python -m tests.api` stores the list anew, and the
CHANGELOG says so. What is new needs no entry until the release that brings it.
"""

from __future__ import annotations

from tests.api import STORED, lines


def test_nothing_that_was_promised_is_gone() -> None:
    stored = STORED.read_text().splitlines()
    assert len(stored) > 100
    assert stored == sorted(set(stored))
    gone = sorted(set(stored) - set(lines()))
    assert not gone, "gone or changed; see the top of this file: " + ", ".join(gone)
