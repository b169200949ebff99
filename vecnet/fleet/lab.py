"""plan, up, status and down of all hosts of a topology: what each has answered, or all that has failed.

1. `plan` and `up` look at every host first. One that cannot be reached, or that refuses, stops all before anything
   changes.
2. Where one fails in its `up`, all that changed are brought back. What could not be is told by name.
3. `status` and `down` go on without a host that fails, and tell of it at the end.
4. What asks this process to end while hosts change waits until all are done, or as before.

Rules 1 to 3 are kept by the collection's role `lab` (ansible/roles/lab/tasks).
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vecnet.errors import EXIT_FAILED, EXIT_INPUT, HostError, InputError, Problem, VecnetError
from vecnet.fleet.inventory import inventory as made_inventory
from vecnet.fleet.playbook import Event, events, require_ansible
from vecnet.host.health import Report
from vecnet.plain import Senseless, made
from vecnet.plugging.report import DeviceState
from vecnet.serving.control import PortState
from vecnet.signals import handled
from vecnet.topology import Topology
from vecnet.vecstring import parse

Say = Callable[[str], None]
PLAN, UP, UNDO, DOWN, STATUS = "Plan", "Up", "Undo", "Down", "Status"  # the tasks of ansible/roles/lab/tasks

_TASKS = (PLAN, UP, UNDO, DOWN, STATUS)
_ERROR = re.compile(r"[\w.]+(Error|Exception)\b", re.ASCII)  # the last line of a traceback
_FULL = ("No space left on device", "No usable temporary directory", "Disk quota exceeded")  # Python's words for it
_WORD = re.compile(r"\w+=[\w.,-]+", re.ASCII)  # such as init_on_alloc=1


@dataclass(frozen=True, slots=True)
class Own:
    """A guest's strings, and the words beside them. They come to a shell: what no guest takes is none."""

    strings: tuple[str, ...]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            taken = all(str(parse(text)) == text for text in self.strings)
        except VecnetError:
            taken = False
        if not taken or not all(map(_WORD.fullmatch, self.words)):
            raise Senseless("a guest's strings are none")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host has answered, as the module's RETURN has it: in sentences, and as data."""

    lines: tuple[str, ...] = ()
    strings: Mapping[str, Own] = field(default_factory=dict)  # by guest
    plan: Mapping[str, object] = field(default_factory=dict)
    interfaces: tuple[Report, ...] = ()
    ports: tuple[PortState, ...] = ()
    devices: tuple[DeviceState, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A host, and what it has answered."""

    host: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Refused:
    """In the place of an answer: what is wrong there, and what a command would exit with."""

    problems: tuple[Problem, ...]
    exit_code: int = EXIT_FAILED
    untouched: bool = False  # it is certain that nothing was changed there


@dataclass(frozen=True, slots=True)
class Outcome:
    """The parts of the hosts that answered, in the order of the file, and what is wrong with the others."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...] = ()
    exit_codes: frozenset[int] = frozenset()

    def complete(self) -> tuple[Part, ...]:
        """The parts of all hosts. Raises HostError where one has none, InputError where what was written is wrong."""
        if not self.problems:
            return self.parts
        raise (InputError if self.exit_codes == {EXIT_INPUT} else HostError)(self.problems)

    @property
    def strings(self) -> dict[str, Own]:
        """Of all guests, by their names."""
        found = {guest: own for part in self.parts for guest, own in part.answer.strings.items()}
        return dict(sorted(found.items()))


@dataclass
class _Run:
    """What one playbook has told."""

    topology: Topology
    done: dict[str, dict[str, Answer | _Refused]] = field(default_factory=dict)  # by task, by host

    def take(self, event: Event) -> None:
        """Note it. Raises HostError where the inventory lacks a host."""
        if event.event in ("hosts", "nobody"):
            missing = [host for host in self.topology.hosts if host not in event.result.get("hosts", ())]
            if missing:
                message = f"{self.topology.name}: the inventory has no host {', '.join(missing)}"
                raise HostError(message, f"let it have the hosts {', '.join(self.topology.hosts)}")
        if event.event in ("ok", "failed", "unreachable") and event.task in _TASKS:
            self.done.setdefault(event.task, {})[event.host] = _told(event, self.topology)

    def well(self, task: str) -> tuple[Part, ...]:
        """The parts of the hosts that have done it."""
        found = self.done.get(task, {})
        every = ((host, found.get(host)) for host in self.topology.hosts)
        return tuple(Part(host, told) for host, told in every if isinstance(told, Answer))

    def problems(self, task: str) -> Iterator[tuple[Problem, int]]:
        """What is wrong with each of the others, and what a command would exit with."""
        found = self.done.get(task, {})
        for host in self.topology.hosts:
            told = found.get(host)
            if told is None:
                yield Problem(f"{host}: Ansible has told nothing of it"), EXIT_FAILED
            elif isinstance(told, _Refused):
                for problem in told.problems:
                    yield Problem(f"{host}: {problem.message}", problem.instead), told.exit_code


def plan(topology: Topology, inventory: str | None = None, say: Say = lambda _: None) -> Outcome:
    """What `up` would change on each host. Raises HostError."""
    return _outcome(_run("plan", topology, inventory, say, {}), PLAN)


def down(topology: Topology, inventory: str | None = None, say: Say = lambda _: None) -> Outcome:
    """Remove what the topology has made, on each host that can be reached. Raises HostError."""
    with _finishing(say):
        return _outcome(_run("down", topology, inventory, say, {}), DOWN)


def status(topology: Topology, inventory: str | None = None, say: Say = lambda _: None) -> Outcome:
    """What is there, on each host that can be reached. Raises HostError."""
    return _outcome(_run("status", topology, inventory, say, {}), STATUS)


def up(
    topology: Topology,
    guests: Sequence[str] = (),
    inventory: str | None = None,
    say: Say = lambda _: None,
    answer: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Make every host's end of every link, or change nothing; `guests` are those that start, all where none is named.

    `answer` is given what was done before a signal that asks to end is heard. Raises HostError with the host that
    failed, why, and what could not be undone.
    """
    with _finishing(say):
        run = _run("up", topology, inventory, say, {"lab_guests": list(guests)})
        if PLAN not in run.done or len(run.well(PLAN)) < len(topology.hosts):
            _outcome(run, PLAN).complete()
        outcome = _outcome(run, UP)
        if outcome.problems:
            raise HostError([*outcome.problems, *_left_over(run)])
        answer(outcome)
        return outcome


def _left_over(run: _Run) -> Iterator[Problem]:
    """What became of all hosts after one has failed."""
    undone, ups = {part.host for part in run.well(UNDO)}, run.done.get(UP, {})
    untouched = {host for host, told in ups.items() if isinstance(told, _Refused) and told.untouched}
    back = [host for host in run.topology.hosts if host in undone | untouched]
    for host in run.topology.hosts:
        told = run.done.get(UNDO, {}).get(host)
        if host not in back:
            wrong = told.problems if isinstance(told, _Refused) else ()
            why = f": {'; '.join(problem.message for problem in wrong)}" if wrong else ""
            heal = f"its next `vecnet up` or `vecnet down {run.topology.name}` heals it"
            yield Problem(f"{host}: what was made there may still be there{why}", heal)
    if back:
        yield Problem(f"{', '.join(back)}: as before, nothing is left of this run")


def _outcome(run: _Run, task: str) -> Outcome:
    wrong = list(run.problems(task))
    return Outcome(run.well(task), tuple(problem for problem, _ in wrong), frozenset(code for _, code in wrong))


def _run(name: str, topology: Topology, inventory: str | None, say: Say, more: Mapping[str, object]) -> _Run:
    require_ansible(topology.name)
    run = _Run(topology)
    with contextlib.closing(
        events(name, {**variables(topology), **more}, inventory or made_inventory(topology))
    ) as happened:
        for event in happened:
            run.take(event)
            told = run.done.get(event.task, {}).get(event.host)
            if isinstance(told, Answer) and event.event == "ok" and event.task in (UP, DOWN, UNDO):
                note = "brought back, " if event.task == UNDO else ""
                for line in told.lines:
                    say(f"{event.host}: {note}{line}")
    return run


def variables(topology: Topology) -> dict[str, object]:
    """What the playbooks are told of a topology."""
    return {
        "vecnet_hosts": list(topology.hosts),
        "lab_content": topology.text,
        "lab_file": topology.path,
        "lab_install": False,
    }


def _told(event: Event, topology: Topology) -> Answer | _Refused:
    """What a host has answered, or what the module has found wrong, or Ansible."""
    if event.event == "unreachable":
        said = str(event.result.get("msg", "")).strip().splitlines() or ["no answer"]
        why = said[-1].removeprefix("Task failed: ").removeprefix("Failed to connect to the host via ")
        return _wrong(f"cannot be reached: {why}", "let Ansible reach it: by its ssh, or as --inventory says")
    try:
        if event.event == "ok":
            answer = made(Answer, event.result, more=True)
            guests = set(topology.on(event.host).guests)
            if answer.strings.keys() == guests or (event.task != UP and not answer.strings):
                return answer
        elif event.result.get("problems"):
            return made(_Refused, event.result, more=True)
    except Senseless:
        pass
    if event.event == "ok":
        return _wrong("what it answers makes no sense", "see that the vecnet there is the one that it should be")
    if last := _last_words(str(event.result.get("module_stderr") or "")):
        full = any(words in last for words in _FULL)
        return _wrong(f"what Ansible starts there has failed: {last}", "make room on its disk" if full else "")
    return _wrong(str(event.result.get("msg") or event.result.get("exception") or "it failed"))


def _last_words(said: str) -> str:
    """Of what a module's program has said on its standard error, the sentence that says why it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if _ERROR.match(line)), lines[-1] if lines else "")


def _wrong(message: str, instead: str = "") -> _Refused:
    return _Refused((Problem(message, instead),))


@contextlib.contextmanager
def _finishing(say: Say) -> Iterator[None]:
    """Within the block signals that ask to end wait for its end; then they do as ever."""
    got: list[int] = []

    def note(number: int) -> None:
        if not got:
            say("stopping, once every host is done or as before")
        got.append(number)

    with handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), note):
        yield
    if got:
        signal.raise_signal(got[0])
