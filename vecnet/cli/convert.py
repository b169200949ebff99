"""vecnet convert: the topology that does the same as a legacy command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import click

from vecnet import legacy
from vecnet.cli.common import json_line
from vecnet.cli.terminal import emit
from vecnet.commandline import is_string, words_of
from vecnet.errors import InputError, Problem, Refused
from vecnet.text import shown
from vecnet.topology import loads
from vecnet.values import Name

Links = Mapping[str, tuple[legacy.Same, dict[str, legacy.Given]] | None]  # by the word that each was


@click.command("convert")
@click.argument("words", nargs=-1, required=True, metavar="WORD…")
@click.option("--guest", "-g", help="The guest's name; left out, what umid= says, or guest.")
def command(words: tuple[str, ...], guest: str | None) -> None:
    """Print the topology that does the same as WORDs of a legacy driver: eth0=tuntap,tap0, or a whole command line.

    What has no link in a topology is told in a comment. Exits with 2 where no word is a legacy driver's.
    """
    line = words_of(" ".join(words))
    try:
        name = Name().parse(guest if guest is not None else _umid(line) or "guest")
    except Refused as error:
        raise InputError(f"--guest: {error.message}", error.instead) from None
    old = [word for word in line if legacy.is_legacy(word)]
    if not old:
        raise InputError("no word here is a legacy driver's", "give one such as eth0=tuntap,tap0")
    links = {word: legacy.link(word, name) for word in old}
    if not any(links.values()):
        advice = "vecnet check says which string does it"
        raise InputError([Problem(f"{word}: no link of a topology does the same", advice) for word in old])
    text = "".join(f"{line}\n" for line in _topology(name, links, [word for word in line if is_string(word)]))
    loads(text, path=name, underlay=lambda *_: None)  # devices that clash are told
    emit(text)


def _umid(words: Iterable[str]) -> str | None:
    found = (re.fullmatch(r"umid=([A-Za-z0-9_][A-Za-z0-9_.-]*)", word) for word in words)
    return next((match[1] for match in found if match), None)


def _topology(guest: str, links: Links, strings: list[str]) -> Iterator[str]:
    """The lines of the file, with what each link was before it."""
    yield from (f"name: {guest}", "links:")
    bridges: dict[str, None] = {}
    for word, found in links.items():
        yield f"  # {shown(word)}"
        if found is None:
            yield "  # no link of a topology does the same; vecnet check says which string does"
            continue
        same, ends = found
        yield from (f"  - transport: {same.transport}", "    endpoints:")
        yield from (f"      {_key(end)}: {json_line(given)}" for end, given in ends.items())
        if same.bridge:
            bridges[same.bridge] = None
    if bridges:
        yield from ("bridges:", *(f"  {bridge}: {{}}" for bridge in bridges))
    yield from (f"# {shown(word)} is a vec string already" for word in strings)


def _key(end: str) -> str:
    return end if re.fullmatch(r"[\w.:-]+", end, re.ASCII) else json_line(end)
