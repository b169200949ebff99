"""vecnet check: validate a topology, or explain what a guest would do with a string, or with a whole command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vecnet import legacy
from vecnet.cli import elsewhere
from vecnet.cli.common import count, emit_json, json_line, json_option, load_topology
from vecnet.cli.terminal import answer, show, width
from vecnet.columns import Part, Styled, table
from vecnet.commandline import CommandLine, is_command_line, is_string, read
from vecnet.errors import EXIT_INPUT, InputError
from vecnet.guests import GENERATIONS
from vecnet.guests.agreed import listed
from vecnet.guests.kernel import EVERY, Kernel, asked
from vecnet.options import Effect, Severity
from vecnet.text import a, shown
from vecnet.transports.link import TapAttributes, named_on
from vecnet.vecstring import Explanation, explained

if TYPE_CHECKING:
    from vecnet.topology import Topology

_ROOM = min(guest.command_line for guest in GENERATIONS)  # bytes of a command line
_LONGEST_TOKEN = 120  # characters: the longest that is right is bess's, with a Unix socket's path

_COLOURS = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.IGNORED: "yellow", Severity.FALLBACK: "yellow"}


@click.command("check")
@click.argument("subjects", nargs=-1, required=True, metavar="FILE|STRING…")
@click.option(
    "--kernel",
    "-k",
    metavar="VERSION|BINARY",
    help="The kernel that the guest boots: 7.2, or ./linux, which is asked. Without it: what every one does.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, subjects: tuple[str, ...], kernel: str | None, as_json: bool) -> None:
    """Validate a topology FILE, or explain a STRING token by token as a guest reads it.

    STRING is one of the vector driver, vec0:…, of a legacy driver, eth0=…, or a guest's whole command line.

    Exits with 2 where the guest would not come up as meant.
    """
    known = EVERY if kernel is None else asked(kernel)
    reports = [_check(subject, known, quiet=as_json) for subject in subjects]
    if as_json:
        emit_json(reports if len(reports) > 1 else reports[0])
    ctx.exit(0 if all(report["ok"] for report in reports) else EXIT_INPUT)


def _check(subject: str, kernel: Kernel, quiet: bool) -> dict[str, object]:
    if is_command_line(subject):
        line = read(subject, kernel)
        if not quiet:
            _print_line(line)
        return {
            "command_line": subject,
            "ok": line.as_meant,
            "words": [_report(word) for word in line.words],
            "effects": [_effect(effect) for effect in line.effects],
            "others": line.others,
        }
    if not is_string(subject) and not legacy.is_legacy(subject):
        return _check_file(subject, kernel, quiet)
    explanation = legacy.explained(subject, kernel) if legacy.is_legacy(subject) else explained(subject, kernel)
    if not quiet:
        _print_explanation(explanation)
    return _report(explanation)


def _link(word: str) -> dict[str, object] | None:
    """The link of a topology that does the same as a legacy string."""
    found = legacy.link(word, "guest") if legacy.is_legacy(word) else None
    return {"transport": found[0].transport, "endpoints": found[1]} if found else None


def _check_file(file: str, kernel: Kernel, quiet: bool) -> dict[str, object]:
    try:
        topology = load_topology(file, kernel)
    except InputError as error:
        if not quiet:
            show(error)
        return {"file": file, "ok": False, "problems": [asdict(problem) for problem in error.problems]}
    notes = list(_notes(topology))
    if not quiet:
        guests = ", ".join(topology.guests) or "none"
        links = count(len(topology.links), "link")
        hosts = f", hosts: {', '.join(topology.hosts)}" if topology.hosts else ""
        answer(f"{file}: topology {topology.name} is valid: {links}, guests: {guests}{hosts}", *notes)
        answer(*elsewhere.lines(topology, width(sys.stdout)))
    return {
        "file": file,
        "ok": True,
        "name": topology.name,
        "guests": list(topology.guests),
        "hosts": list(topology.hosts),
        "kernels": {guest: [str(one) for one in topology.kernel(guest).guests] for guest in topology.guests},
        "words": {guest: topology.words(guest) for guest in topology.guests},
        "notes": notes,
        "elsewhere": elsewhere.as_json(topology),
        "problems": [],
    }


def _notes(topology: Topology) -> Iterator[str]:
    """What is valid and does not boot in one go, or not here, or not without more."""
    for link in topology.links:
        if netns := link.options[0].opened_in(link.spec):
            end, other = link.spec.ends
            there = f"vecnet run starts {end.node} there; by hand: ip netns exec {netns}"
            yield f"note: {other} is in the network namespace {netns}: {there}"
    if not topology.hosts:  # whose kernels are not this machine's
        yield from _ownerless(topology)
    for part in [topology.on(host) for host in topology.hosts] or [topology]:
        yield from _existing(part)
    for guest in topology.guests:
        kernel = topology.kernel(guest)
        if kernel.note:
            yield f"note: the kernel of {guest}: {kernel.note}"
        for name in dict.fromkeys(device.transport.name for device in topology.devices(guest)):
            lacking = [str(one) for one in kernel.guests if name in one.lacks]
            if lacking:
                yield f"note: {guest} has {a(name)} link, and the kernel {listed(lacking)} has no transport {name}"
        for word in topology.words(guest):
            why = "memory that its driver does not clear would decide whether a link works"
            yield f"note: {guest} needs {word} beside its strings, as args, up and run give it: {why}"
        size = sum(len(str(device).encode()) + 1 for device in topology.devices(guest))
        if size >= _ROOM:
            yield (
                f"note: the strings of {guest} take {size} bytes, and a guest's command line has room for "
                f"{_ROOM}: `vecnet run` plugs the rest when it runs"
            )


def _existing(topology: Topology) -> Iterator[str]:
    """What a file cannot tell of interfaces that are there already."""
    for one in topology.interfaces:
        if one.existing:
            place = f" in {one.netns}" if one.netns else ""
            name = named_on(one.host, one.ifname)
            yield f"note: {name}{place} is somebody else's: plan says whether it is there, and will do as it is"


def _ownerless(topology: Topology) -> Iterator[str]:
    """Taps that nobody but root could open here, unless `up` finds out who calls it."""
    made = [one for one in topology.interfaces if not one.existing]
    taps = [(one.ifname, one.attributes) for one in made if isinstance(one.attributes, TapAttributes)]
    ownerless = [ifname for ifname, its in taps if its.owner is None and its.group is None]
    if not ownerless:
        return
    from vecnet.kernel.probe import keeps_ownerless_taps

    release = os.uname().release
    if keeps_ownerless_taps(release):
        yield (
            f"note: {listed(ownerless)} without owner: this host's kernel {release} lets CAP_NET_ADMIN alone open such "
            "a tap; give owner:, or call up by sudo"
        )


def _report(explanation: Explanation) -> dict[str, object]:
    link, settings = _link(explanation.text), _far_settings(explanation)
    more = ({"link": link} if link else {}) | ({"other_end": elsewhere.by_key(settings)} if settings else {})
    return more | {
        "string": explanation.text,
        "ok": explanation.as_meant,
        "severity": str(explanation.severity),
        "tokens": [{"token": t.text, "column": t.column, **_effect(t.effect)} for t in explanation.tokens],
        "effects": [_effect(effect) for effect in explanation.effects],
        "mended": explanation.mended,
        "kernels": explanation.kernels,
        "words": explanation.words,
    }


def _effect(effect: Effect) -> dict[str, object]:
    """An effect as JSON; where kernels part, with what each of them does."""
    said: dict[str, object] = {"severity": str(effect.severity), "message": effect.message, "instead": effect.instead}
    if effect.parts:
        said["kernels"] = [{"kernels": kernels, **_effect(part)} for kernels, part in effect.parts]
    return said


def _print_line(line: CommandLine) -> None:
    for word in line.words:
        _print_explanation(word)
    if line.effects:
        answer(*table([_row("", effect) for effect in line.effects], width(sys.stdout), margin=2))
    if line.others:
        answer(f"{count(len(line.others), 'word')} of no device: {shown(' '.join(line.others))}")


def _print_explanation(explanation: Explanation) -> None:
    answer(shown(explanation.text, _ROOM))
    rows = [(shown(token.text, _LONGEST_TOKEN), token.effect) for token in explanation.tokens]
    rows += [("", effect) for effect in explanation.effects]
    answer(*table([_row(text, effect) for text, effect in rows], width(sys.stdout), margin=2))
    if explanation.mended and explanation.severity > Severity.OK and explanation.mended != explanation.text:
        answer(f"  {_label(explanation)}: {explanation.mended}")
    elif not explanation.as_meant:
        answer("  what was meant cannot be told, or this kernel cannot do it, so no mended string is given")
    if settings := _far_settings(explanation):
        answer(f"  its other end: {elsewhere.in_words(settings)}")
    if link := _link(explanation.text):
        answer(f"  as a link of a topology: {json_line(link)}")


def _far_settings(explanation: Explanation) -> elsewhere.Settings:
    """What a device that is no guest must be told to be the other end of a string that is right."""
    device = explanation.device if explanation.as_meant else None
    return {**device.transport.mirror().settings()} if device else {}


def _label(explanation: Explanation) -> str:
    if legacy.is_legacy(explanation.text):
        return "as a vector device"
    return "canonical" if explanation.as_meant else "mended"


def _row(text: str, effect: Effect) -> tuple[Part, ...]:
    label = Styled(f"{effect.severity!s:<8}", _COLOURS.get(effect.severity, "red"), bold=True)
    words = "; ".join(part for part in (effect.message, effect.instead) if part)
    return label, text, words
