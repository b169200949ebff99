"""What several commands share: the topology argument, the choice of a guest, and how answers are printed."""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vecnet.cli.terminal import emit, say
from vecnet.errors import HostError, InputError, Problem, Refused, VecnetError
from vecnet.values import Name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from vecnet.guests.kernel import Kernel
    from vecnet.host.plan import Step
    from vecnet.topology import ResolvedLink, Topology

    NameType = click.ParamType[str]
else:
    NameType = click.ParamType  # click takes a parameter there from 8.4 on

FORMATS = ("lines", "json", "shell")
_THRESHOLD = gc.get_threshold()[0]  # of new objects, before any file was read: `serve` reads one again and again


class GuestName(NameType):
    """A guest of the topology, which completion looks up in the file."""

    name = "guest"

    def __init__(self, argument: str = "file") -> None:
        """`argument`: the command's that names the file."""
        self._argument = argument

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        topology = topology_to_complete(ctx, self._argument)
        return _offered(topology.guests if topology else (), incomplete)


class LinkName(NameType):
    """A link of the topology, which completion looks up in the file."""

    name = "link"

    def __init__(self, argument: str = "file") -> None:
        """`argument`: the command's that names the file."""
        self._argument = argument

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        topology = topology_to_complete(ctx, self._argument)
        return _offered([link.name for link in topology.links] if topology else (), incomplete)


def once(*names: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """An option with one value: given twice it is refused, where click itself passes over the first one."""
    return click.option(*names, multiple=True, callback=_the_one, **options)


def _the_one(ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
    if len(values) > 1:
        raise click.BadParameter(f"it is given {len(values)} times; leave all but one out.", ctx, param)
    return values[0] if values else None


class ReportFile(click.Path):
    """A file that is written at the end; that this cannot be is told at the start."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pathlib import Path  # importing it takes long, and most commands write no report

        super().convert(value, param, ctx)
        file = Path(value)
        if not value:
            self.fail("it is empty; name a file.", param, ctx)
        if value != "-" and not file.exists() and not os.access(file.parent, os.W_OK | os.X_OK):
            why = "no file can be made there" if file.parent.is_dir() else "there is no such folder"
            self.fail(f"{value!r} cannot be written: {why}.", param, ctx)
        return value


class Folder(click.Path):
    """A folder that is made where it is not there."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("it is empty; name a folder.", param, ctx)
        return super().convert(value, param, ctx)


def refuse_one_place_for_two(reports: Mapping[str, str | None], source: str = "") -> None:
    """Raise InputError where two reports would go to one file, or both to standard output, or one over its `source`."""
    seen = {os.path.realpath(source): "what is read"} if source not in ("", "-") else {}
    for option, file in reports.items():
        if file in (None, os.devnull):
            continue
        other = seen.setdefault(os.path.realpath("/dev/stdout" if file == "-" else str(file)), f"--{option}")
        if other != f"--{option}":
            where = "standard output" if file == "-" else repr(file)
            raise InputError(f"{other} and --{option} cannot both be {where}", "give each a file of its own")


def write_report(file: str, text: str) -> None:
    """Write what a ReportFile names. Raises HostError."""
    try:
        with click.open_file(file, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        from vecnet.kernel.unforeseen import advice  # for mistakes alone

        raise HostError(f"the report cannot be written to {file}: {error.strerror}", advice(error)) from None


def _offered(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # for shells that complete a word alone

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def topology_to_complete(ctx: click.Context, argument: str) -> Topology | None:
    """The topology whose names a shell completes; None where there is none. Standard input is the shell's own."""
    # click stops at the option that still lacks its value, and leaves the words before it in ctx.args
    file = ctx.params.get(argument) or next(iter(ctx.args), None)
    if file is None or file == "-":
        return None
    try:
        topology = load_topology(str(file))
        on = ctx.params.get("on")
        return topology.on(str(on)) if on in topology.hosts else topology
    except VecnetError:
        return None


file_argument = click.argument("file", type=click.Path())
guest_option = click.option(
    "--guest", "-g", "chosen", type=GuestName(), multiple=True, help="Only this guest's strings; may be repeated."
)


class HostName(NameType):
    """A host of the topology, which completion looks up in the file."""

    name = "host"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        file = "file" if "file" in {one.name for one in ctx.command.params} else "subject"
        topology = topology_to_complete(ctx, file)
        return _offered(topology.hosts if topology else (), incomplete)


on_option = once("--on", "on", type=HostName(), help="What this host of FILE has to do, where FILE names hosts.")


inventory_option = once(
    "--inventory",
    "-i",
    "inventory",
    type=click.Path(exists=True),
    help="Ansible's inventory of the hosts of FILE, as a file or a folder; made from FILE if left out.",
)


JSON = "vecnet.json"  # in a context's meta: the answer is JSON, and so an error is told as JSON, too


def _remember_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON] = value
    return value


_format_option = once(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=["lines"],
    show_default=True,
    help="lines: one a line, with several guests each behind its guest's name and a tab. json: for each guest its "
    "strings, and what its command line needs beside them. shell: words to eval, with several guests assignments to "
    "$vec_GUEST, and of what is no string to $words_GUEST as well.",
)
_json_format_option = click.option("--json", "form_json", is_flag=True, help="The same as --format json.")
json_option = click.option("--json", "as_json", is_flag=True, callback=_remember_json, help="Print JSON, for scripts.")


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """--format and --json, as the one argument `form`."""

    @functools.wraps(command)
    def with_form(*words: Any, form: str, form_json: bool, **rest: Any) -> None:
        ctx = click.get_current_context()
        stated = ctx.get_parameter_source("form") is ParameterSource.COMMANDLINE
        if form_json and stated and form != "json":
            raise click.UsageError(f"--json and --format {form} are two forms of one answer; leave one out.", ctx)
        ctx.meta[JSON] = form_json or form == "json"
        command(*words, form="json" if form_json else form, **rest)

    return _format_option(_json_format_option(with_form))


def load_topology(file: str, kernel: Kernel | None = None) -> Topology:
    """The topology in a file; `kernel` is that of the guests that state none. Raises InputError."""
    from vecnet.topology import load

    gc.disable()
    try:
        return load(file, kernel=kernel)
    finally:
        # or all of it would be looked through at once, and what most commands make of it, as much again, after that
        gc.set_threshold(_THRESHOLD + 2 * gc.get_count()[0])
        gc.enable()


def load_part(file: str, on: str | None) -> Topology:
    """What one machine has to do of the topology in a file, the host `on` where that names hosts. Raises InputError."""
    return part(load_topology(file), on)


def part(topology: Topology, on: str | None) -> Topology:
    """The same of a topology. Raises InputError."""
    return topology.one_machine() if on is None else topology.on(on)


def is_file(subject: str) -> bool:
    """Whether a word of FILE|NAME is a file: whatever files there are, the same word means the same."""
    return subject == "-" or "/" in subject or subject.endswith((".yaml", ".yml", ".json"))


def named(subject: str, on: str | None = None, inventory: str | None = None) -> str:
    """The name that a word of FILE|NAME is, which is no file. Raises InputError."""
    for option, value in (("--on", on), ("--inventory", inventory)):
        if value is not None:
            message = f"{option} {value} goes with a FILE, and {subject!r} is a topology's name"
            raise InputError(message, f"leave {option} out")
    try:
        return Name().parse(subject)
    except Refused:
        instead = "a file has a / in its name, or ends in .yaml, .yml or .json"
        raise InputError(f"{subject!r} is not the name of a topology", instead) from None


def subject_topology(file: str) -> Topology:
    """The topology in the FILE of a FILE|NAME. Raises InputError, which says that a name would do."""
    try:
        return load_topology(file)
    except InputError as error:
        command = click.get_current_context().info_name
        up = ", ".join(_names_up()) or "nothing"
        without = Problem(
            f"vecnet {command} needs no file", f"the name of a topology that is up will do; up here: {up}"
        )
        raise InputError([*error.problems, without]) from None


def say_what_is_meant(subject: str) -> None:
    """Of a FILE|NAME that is taken for a name: that a file of that name was not looked at."""
    from pathlib import Path

    if not is_file(subject) and Path(subject).is_file():
        say(f"{subject} is taken for a topology's name; the file is ./{subject}")


def say_what_is_up() -> None:
    """What has made something here, beside a FILE|NAME that has made nothing."""
    if names := _names_up():
        say(f"what is up here: {', '.join(names)}")


def _names_up() -> list[str]:
    """The topologies that have something here; none where that cannot be told."""
    from vecnet import host

    try:
        return sorted({entry.topology for entry in host.status()})
    except HostError:
        return []


def require_guest(topology: Topology, guest: str) -> None:
    """Raise InputError unless the topology has this guest."""
    if guest in topology.guests:
        return
    where = "" if topology.host is None else f" on {topology.host}"
    instead = f"{_near(guest, topology.guests)}its guests are {', '.join(topology.guests) or 'none'}"
    raise InputError(f"{topology.name} has no guest {guest!r}{where}", instead)


def _near(word: str, known: Collection[str]) -> str:
    import difflib  # for mistakes alone

    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}? " if near else ""


def require_link(topology: Topology, name: str) -> ResolvedLink:
    """The link of that name, or with that end, such as web:vec0. Raises InputError where the topology has none."""
    for link in topology.links:
        if name == link.name or name in map(str, link.spec.ends):
            return link
    names = [link.name for link in topology.links]
    instead = f"{_near(name, names)}its links are {', '.join(names)}"
    raise InputError(f"{topology.name} has no link {name!r}", instead)


def require_up(topology: Topology, file: str, up: bool) -> None:
    """Raise HostError unless the host's ends are there, or make them."""
    if not topology.interfaces and not topology.outer_ends:
        return
    from vecnet import host

    if up:
        from vecnet.cli.progress import progress

        with progress("up") as report:
            say(*host.up(topology, progress=report).summary().split("\n"))
    else:
        require_made(topology, host.plan(topology).changes, f"run `vecnet up {file}` first, or give --up")


def require_made(topology: Topology, steps: Iterable[Step], instead: str) -> None:
    """Raise HostError where the host's end has still something to do."""
    missing = [str(step.node) for step in steps]
    if missing:
        few = f"{', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}"
        raise HostError(f"{topology.name} is not up: {few} differ{'s' * (len(missing) == 1)}", instead)


def strings(topology: Topology, chosen: Collection[str], form: str) -> str:
    """The vec strings, and the words that they need beside them, as lines of text: of the chosen guests, or of all.

    Raises InputError for one that the topology lacks.
    """
    for guest in chosen:
        require_guest(topology, guest)
    guests = list(dict.fromkeys(chosen) or topology.guests)
    own = {name: [str(device) for device in topology.devices(name)] for name in guests}
    return strings_of(own, {name: list(topology.words(name)) for name in guests}, form)


def strings_of(own: Mapping[str, list[str]], beside: Mapping[str, list[str]], form: str) -> str:
    """Guests' own vec strings, and the words that they need beside them, as lines of text."""
    every = {name: own[name] + beside[name] for name in own}
    if form == "json":
        lines = [json_text({name: {"strings": own[name], "words": beside[name]} for name in own})]
    elif form == "shell":
        lines = _for_a_shell(every, beside)
    elif len(every) == 1:
        (lines,) = every.values()
    else:
        lines = [f"{name}\t{word}" for name, words in every.items() for word in words]
    return "".join([f"{line}\n" for line in lines])


def _for_a_shell(every: Mapping[str, list[str]], beside: Mapping[str, list[str]]) -> list[str]:
    """One guest's words, or assignments; no word holds white space, so that the shell cuts $vec_GUEST at the right
    places."""
    import shlex  # for this form alone

    if len(every) == 1:
        return [shlex.join(words) for words in every.values()]
    variables = _variables(list(every)).items()
    lines = [f"vec_{variable}={shlex.quote(' '.join(every[name]))}" for variable, name in variables]
    beside = {name: words for name, words in beside.items() if words}
    return lines + [f"words_{v}={shlex.quote(' '.join(beside[name]))}" for v, name in variables if name in beside]


def _variables(guests: list[str]) -> dict[str, str]:
    """The guests by the ends of their shell variables, which a prefix keeps apart from PATH and the like."""
    names: dict[str, str] = {}
    for guest in guests:
        name = re.sub(r"\W", "_", guest)
        if name in names:
            both = f"the guests {names[name]} and {guest}"
            raise InputError(f"{both} would share the shell's variable vec_{name}", "use --guest")
        names[name] = guest
    return names


def json_text(value: object) -> str:
    import json

    return json.dumps(value, indent=2)


def json_line(value: object) -> str:
    """A value as JSON in one line, which is YAML as well."""
    import json

    return json.dumps(value)


def emit_json(value: object) -> None:
    """Print a value as JSON, all of it in ASCII."""
    emit(json_text(value) + "\n")


def count(number: int, noun: str) -> str:
    """`1 link`, `2 links`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
