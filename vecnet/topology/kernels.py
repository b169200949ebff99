"""The kernels that guests boot, and whether they take their strings as meant.

A path names a kernel's binary, from the file's own folder on. It is read, and never run: a file must not run code.
"""

from __future__ import annotations

import os.path

from vecnet.guests.kernel import EVERY, Kernel, is_version, of_version, read_version
from vecnet.topology.document import Document
from vecnet.topology.read import Draft
from vecnet.topology.resolve import Wire


def of_guests(doc: Document, draft: Draft, other: Kernel | None) -> dict[str, Kernel]:
    """The guests' kernels, `other` being that of those that state none; one that may boot any is left out.

    Says which guests no link names, and which binaries are no kernels.
    """
    if not draft.guests and (other is None or not other.stated):
        return {}
    named = sorted({end.node for link in draft.links for end in link.spec.ends if end.node is not None})
    kernels = dict.fromkeys(named, other) if other and other.stated else {}
    for guest, declared in draft.guests.items():
        if guest not in named and draft.is_whole:
            import difflib  # for mistakes alone

            near = difflib.get_close_matches(guest, named, 1)
            instead = f"did you mean {near[0]}?" if near else "leave it out"
            doc.wrong(declared.node, f"no link has an end at the guest {guest}", instead)
        text = declared.given.get("kernel")
        if text is None:
            continue
        version = text if is_version(text) else read_version(os.path.join(os.path.dirname(doc.file), text))  # noqa: PTH118, PTH120
        if version is None:
            message = f"kernel: {text} is not the binary of a kernel"
            doc.wrong(declared.at("kernel"), message, "write its version, such as 7.2")
        else:
            kernels[guest] = of_version(version)
    return kernels


def check(doc: Document, wires: list[Wire], kernels: dict[str, Kernel]) -> None:
    """Report what a guest's kernel does not take as meant."""
    for wire in wires:
        for end, options, stated_end in zip(wire.spec.ends, wire.options, wire.draft.ends, strict=True):
            if end.node is None or (options.is_plain and end.node not in kernels):
                continue
            guests = kernels.get(end.node, EVERY).which_has(options.name).guests
            for problem in options.problems(options.cases(vars(options)), guests):
                doc.wrong(stated_end.node, f"{end}: {problem.message}", problem.instead)
