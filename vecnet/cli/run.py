"""vecnet run: start guests with their strings, and the descriptors that their fd links inherit."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import click

from vecnet.cli.common import GuestName, file_argument, load_part, on_option, require_guest, require_up
from vecnet.cli.terminal import is_coloured, say, show

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue")


@click.command("run", context_settings={"ignore_unknown_options": True})
@file_argument
@on_option
@click.option("--guest", "-g", "chosen", type=GuestName(), multiple=True, help="Start this guest; may be repeated.")
@click.option("--up", is_flag=True, help="First make the host's end of every link, as `vecnet up` does.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD…")
@click.pass_context
def command(
    ctx: click.Context, file: str, on: str | None, chosen: tuple[str, ...], up: bool, words: tuple[str, ...]
) -> None:
    """Start guests of FILE, all of them unless --guest says which: CMD with the guest's vec strings after it.

    The switches and outside programs that FILE names run beside the guests, unless `vecnet serve` runs them already.

    Guests with an fd link between them must start together. One guest has the terminal to itself. Of several, every
    line comes with the guest's name before it, and {guest} in CMD becomes that name: umid={guest} ubd0={guest}.img

    A guest whose host's end is in a named network namespace starts there.

    Devices for which a guest's command line has no room are plugged by its console when it answers. For that a guest
    whose CMD gives no umid= gets its name as one.

    The exit status is the guest's, of several the first that is not 0.
    """
    topology = load_part(file, on)
    guests = tuple(dict.fromkeys(chosen)) or topology.guests
    for guest in guests:
        require_guest(topology, guest)
    from vecnet import launch
    from vecnet.plugging import at_start

    later = {guest: one for guest in guests if (one := at_start.later(topology, guest, words))}
    lines = launch.commands(topology, guests, words, {guest: one.units for guest, one in later.items()})
    for guest, one in later.items():
        lines[guest] += [word.encode() for word in one.words]
    launch.require_kernels(topology, lines)
    places = {guest: launch.namespace(topology, guest) for guest in guests}
    require_up(topology.starting(guests), file if on is None else f"{file} --on {on}", up)

    def starts() -> dict[str, launch.Start]:
        inherited = launch.descriptors(topology, guests)
        return {guest: launch.Start(lines[guest], inherited[guest], places[guest]) for guest in guests}

    from vecnet.serving.beside import beside, needed

    served = needed(topology)
    if len(guests) == 1 and not served and not later:
        launch.become(starts()[guests[0]])
    colours = {guest: _COLOURS[index % len(_COLOURS)] for index, guest in enumerate(guests)}
    colour = is_coloured(sys.stdout)

    def label(text: str) -> str:
        return click.style(text, fg=colours[text.rstrip("| ")]) if colour else text

    with (
        beside(topology, say, show) if served else nullcontext(),
        at_start.plugged(list(later.values()), say, show),
    ):
        if len(guests) > 1:
            ctx.exit(launch.run_together(starts(), label))
        ctx.exit(launch.run_alone(starts()[guests[0]]))
