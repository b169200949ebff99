"""What several commands share: the topology argument, the choice of a guest, and how strings are printed."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from vecnet.errors import InputError, VecnetError

if TYPE_CHECKING:
    from vecnet.topology import Topology

FORMATS = ("lines", "json", "shell")


class GuestName(click.ParamType[str]):
    """A guest of the topology, which completion looks up in the file."""

    name = "guest"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from vecnet.topology import load

        try:
            guests = load(str(ctx.params.get("file"))).guests
        except VecnetError:
            return []
        return [CompletionItem(guest) for guest in guests if guest.startswith(incomplete)]


file_argument = click.argument("file", type=click.Path())
guest_option = click.option("--guest", "-g", type=GuestName(), help="Only this guest's strings, one a line.")
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="lines",
    show_default=True,
    help="How the strings are printed.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def load_topology(file: str) -> Topology:
    from vecnet.topology import load

    return load(file)


def require_guest(topology: Topology, guest: str) -> None:
    """Raise InputError unless the topology has this guest."""
    if guest in topology.guests:
        return
    import difflib  # for mistakes alone

    near = difflib.get_close_matches(guest, topology.guests, 1)
    instead = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"{topology.name} has no guest {guest!r}; {instead}its guests are {', '.join(topology.guests)}")


def strings(topology: Topology, guest: str | None, form: str) -> str:
    """The vec strings as text: of one guest, or of all with the guest's name before each."""
    if guest is not None:
        require_guest(topology, guest)
    guests = [guest] if guest is not None else list(topology.guests)
    by_guest = {name: [str(device) for device in topology.devices(name)] for name in guests}
    if form == "json":
        import json

        return json.dumps(by_guest, indent=2)
    if form == "shell":
        if guest is not None:
            return shlex.join(by_guest[guest])
        return "\n".join(f"{_variable(name)}={shlex.quote(shlex.join(words))}" for name, words in by_guest.items())
    single = len(topology.guests) == 1 or guest is not None
    return "\n".join(word if single else f"{name}\t{word}" for name, words in by_guest.items() for word in words)


def _variable(guest: str) -> str:
    name = re.sub(r"\W", "_", guest)
    return f"_{name}" if name[0].isdigit() else name


def echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2))
