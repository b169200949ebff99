"""Which generations are in question: by a kernel's version, or by what its binary says of itself."""

from __future__ import annotations

import os
import re

from vecnet.errors import InputError, Refused
from vecnet.guests import GENERATIONS, Guest
from vecnet.records import record
from vecnet.values import KERNEL_VERSION

_BANNER = re.compile(rb"Linux version ([0-9]{1,4}\.[0-9]{1,4}[\w.+~-]{0,60}) ")  # init/version.c
_SECONDS = 10  # that a binary has to say its version


@record(frozen=True, slots=True)
class Kernel:
    """The generations that a guest may belong to. `stated` is the version that was given; "" for any kernel.

    `note` is a word about a version that no table is of.
    """

    guests: tuple[Guest, ...]
    stated: str = ""
    note: str = ""

    def which_has(self, transport: str) -> Kernel:
        """Where no kernel is stated, those that have the transport: whoever uses it boots one of them."""
        having = tuple(guest for guest in self.guests if transport not in guest.lacks)
        return Kernel(having) if having and not self.stated else self


EVERY = Kernel(GENERATIONS)


def is_version(text: str) -> bool:
    """Whether a text is a version, such as 7.2 or 6.1.176; otherwise it is a binary's path."""
    return KERNEL_VERSION.fullmatch(text) is not None


def of_version(text: str) -> Kernel:
    """The generation of a version: the last one up to it. Raises Refused for what is no version."""
    found = KERNEL_VERSION.fullmatch(text)
    if found is None:
        raise Refused(f"{text!r} is not a kernel's version", f"write one such as {GENERATIONS[-1]}")
    version = (int(found[1]), int(found[2]))
    older = [guest for guest in GENERATIONS if guest.version <= version]
    guest = older[-1] if older else GENERATIONS[0]
    note = ""
    if not older:
        note = f"{text} is older than all that was measured, and taken for {guest}"
    elif guest is GENERATIONS[-1] and version > guest.version:
        note = f"{text} is newer than all that was measured, and taken for {guest}"
    return Kernel((guest,), text, note)


def asked(text: str) -> Kernel:
    """What --kernel means: a version, or a binary, whose --version is asked. Raises InputError."""
    if is_version(text):
        return of_version(text)
    import shutil  # for binaries alone: most commands name none
    import subprocess

    found = shutil.which(text) if text else None
    if found is None:
        raise InputError(f"{text!r} is neither a kernel's version nor a program", "write --kernel 7.2, or the path")
    try:
        done = subprocess.run(
            [found, "--version"], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
        answer = done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        answer = ""
    if not is_version(answer):
        raise InputError(f"{text} does not say its version when it is asked with --version", "write the version")
    return of_version(answer)


def read_version(path: str) -> str | None:
    """The version that the binary of a kernel has in it; None where it has none. Nothing is run."""
    import mmap

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not be waited for
    except (OSError, ValueError):
        return None
    try:
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as content:
            found = _BANNER.search(content)
            return found[1].decode() if found else None
    except (OSError, ValueError):  # a folder, a device, an empty file
        return None
    finally:
        os.close(fd)
