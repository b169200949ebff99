"""Signals that come at any moment of what waits for them."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: what waits for its own lock cannot be ended from within.
AT_ANY_MOMENT = """
import itertools, queue, signal
from vecnet.signals import queued
for number in range(2000):
    with queued([signal.SIGALRM]) as signals:
        signal.setitimer(signal.ITIMER_REAL, 2e-6 + number % 100 * 5e-7)
        for _ in itertools.count():
            try:
                assert signals.get(timeout=0.01) == signal.SIGALRM
                break
            except queue.Empty:
                pass
"""


def test_a_signal_comes_while_its_queue_is_asked() -> None:
    subprocess.run([sys.executable, "-c", AT_ANY_MOMENT], check=True, timeout=60)
