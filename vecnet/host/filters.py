"""The filters of guests at raw links: files of classic BPF, in a folder of this user's, which `down` removes.

A guest with no filter of its own has one by which it does not hear what it sends (uml_vector_default_bpf of
arch/um/drivers/vector_user.c), and bpffile= takes its place. So a file says that, too.

Source: HOWTO, "raw socket transport".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from vecnet import runtime
from vecnet.errors import HostError, Problem, Refused
from vecnet.kernel.unforeseen import advice
from vecnet.transports.link import GuestFilter, HostInterface

_OWN = "(%s) and not ether src %s"


def compiled(interfaces: Sequence[HostInterface]) -> dict[str, bytes]:
    """Each file's path, and what shall be in it. Raises HostError, with all that are no filters, and ProgramMissing."""
    found, problems = {}, []
    for interface in interfaces:
        for one in interface.filters:
            if one.expression:
                try:
                    found[one.path] = program(one)
                except Refused as error:
                    problems.append(Problem(f"{interface.link}: {error.message}", error.instead))
    if problems:
        raise HostError(problems)
    return found


def program(of: GuestFilter) -> bytes:
    """What a guest's socket is given. Raises Refused and ProgramMissing."""
    if re.search(r"\bvlan\b", of.expression):
        message = f"{of.expression!r}: the kernel takes a VLAN tag from a frame before a filter sees it"
        raise Refused(message, "leave vlan out: tagged frames are judged as if they had no tag")
    from vecnet.kernel import bpf  # for those few who have a filter

    alone = bpf.compiled(of.expression)
    return bpf.compiled(_OWN % (of.expression, of.mac)) if of.mac else alone


def write(topology: str, files: Mapping[str, bytes]) -> None:
    """Have these files, and no other, for a topology. Raises HostError."""
    folder = runtime.filters_folder(topology)
    if not files:
        if os.path.isdir(folder):  # noqa: PTH112 - most have none, and pathlib takes longer to load
            runtime.remove_folder(folder)
        return
    wanted = {path.rpartition("/")[2]: content for path, content in files.items()}
    _, descriptor = runtime.open_filters_folder(topology)
    try:
        for name in set(os.listdir(descriptor)) - wanted.keys():  # noqa: PTH208 - of a descriptor
            os.unlink(name, dir_fd=descriptor)
        for name, content in wanted.items():
            _write(descriptor, name, content)
    except OSError as error:
        raise HostError(f"{folder} cannot be written: {error.strerror}", advice(error)) from None
    finally:
        os.close(descriptor)


def _write(folder: int, name: str, content: bytes) -> None:
    """A guest that opens it meanwhile finds one of them whole."""
    opened = os.open(f"{name}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        os.write(opened, content)
    finally:
        os.close(opened)
    os.rename(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)


def notes(interfaces: Sequence[HostInterface]) -> Iterator[str]:
    """What is to be known of guests that may load filters by themselves."""
    for interface in interfaces:
        for one in interface.filters:
            if one.flash:
                yield (
                    f"{one.endpoint}: with bpfflash the guest loads BPF into this host's kernel, which is a security "
                    "risk unless the guest is trusted"
                )
