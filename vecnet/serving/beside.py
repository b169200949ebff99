"""Serve in a process of its own, beside guests that this one starts: it ends with this one, and before `vecnet run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vecnet.errors import HostError, VecnetError
from vecnet.serving import control
from vecnet.serving.foreground import serve
from vecnet.serving.plan import planned
from vecnet.serving.served import Say
from vecnet.signals import end_with_parent, handled
from vecnet.topology.model import Topology

_FAILED = 1


def needed(topology: Topology) -> bool:
    """Whether a topology's guests need somebody who serves, and nobody does."""
    return bool(planned(topology)) and control.server(topology.name) is None


@contextmanager
def beside(topology: Topology, say: Say, show: Callable[[VecnetError], None]) -> Iterator[None]:
    """All that a topology asks for is served within the block. No thread may run.

    What fails is shown by `show` in the other process, and HostError is raised here.
    """
    ready, told = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        try:
            os.close(ready)
            os.setpgid(0, 0)  # the terminal's interrupt is the guests'; this goes on until they have ended
            end_with_parent(parent, signal.SIGTERM)
            serve(lambda: topology, say, lambda _: _tell(told))
        except VecnetError as error:
            show(error)
            os._exit(error.exit_code)
        except BaseException as error:
            say(f"a fault of its own: {type(error).__name__}: {error}")
        else:
            os._exit(0)
        finally:
            os._exit(_FAILED)
    os.close(told)
    gone: list[int] = []

    def note(_: int) -> None:
        """A child has ended: maybe that one, without which the guests' links carry nothing."""
        if not gone and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            gone.append(child)
            say(f"who served {topology.name} to its guests has ended, process {child}; they go on without")

    try:
        if not os.read(ready, 1):
            raise HostError(f"what the guests of {topology.name} need cannot be served")
        with handled([signal.SIGCHLD], note):
            yield
    finally:
        os.close(ready)
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


def _tell(told: int) -> None:
    os.write(told, b"1")
    os.close(told)
