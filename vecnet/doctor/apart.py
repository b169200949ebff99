"""A question that is asked in a private network, by a process of its own: there an ordinary user is root."""

from __future__ import annotations

import os
from collections.abc import Callable

from vecnet import sandbox
from vecnet.errors import HostError
from vecnet.kernel import libc
from vecnet.kernel.namespaces import Namespace, Namespaces

_YES, _NO, _UNTOLD = 0, 1, 2


def asked_apart(question: Callable[[Namespace], bool | None]) -> bool | None:
    """The answer; None where there is none, or where this user can have no such network. No thread may run."""
    child = os.fork()
    if not child:
        status = _UNTOLD
        try:
            sandbox.become_root()
            libc.unshare(libc.CLONE_NEWNET)  # AppArmor may forbid this alone
            with Namespaces() as namespaces:
                answer = question(namespaces.home)
            status = _UNTOLD if answer is None else _YES if answer else _NO
        except (HostError, OSError):
            pass
        finally:
            os._exit(status)
    return {_YES: True, _NO: False}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
