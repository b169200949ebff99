"""What is done on a host for the controller: `python -m vecnet.fleet.agent` reads one request and writes one answer.

Both are JSON. The module `vecnet.uml.topology` of the same version starts it; for scripts there are the commands with
--on and --json. The exit status is theirs, too: 0 done, 1 it failed, 2 the input is wrong. Then the answer is
`{"problems": […], "untouched": …}`: whether it is certain that nothing was changed.

| request | |
|---|---|
| `version` | the controller's, which must be this one's |
| `do` | plan, up, "plan down", down, restore, status, loopback |
| `text`, `path` | the topology's file, and its name: nothing of that name is opened |
| `host` | whose part it is; null where the file names no hosts |
| `guests` | those that start here; null for all |
| `undo` | of restore: what `plan` or `up` has returned under that name |
| `links`, `probes`, `jobs`, `live` | of loopback: as the command has them; all links and probes where none are named |
| `inventory` | of loopback, where `host` is null and the file names hosts: how they are reached from here |
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from vecnet import __version__, host
from vecnet.errors import EXIT_FAILED, EXIT_INPUT, BusyError, HostError, InputError, Problem, VecnetError
from vecnet.host.record import Record
from vecnet.loopback.verdict import Verdict
from vecnet.plain import Senseless, parsed
from vecnet.serving.sweep import sweep
from vecnet.topology import Topology, loads

Answer = dict[str, object]
Give = Callable[[Answer], None]


@dataclass(frozen=True)
class Request:
    """See the module. `text` is not needed by restore."""

    version: str
    do: str
    text: str | None = None
    path: str = "topology.yaml"
    host: str | None = None
    guests: tuple[str, ...] | None = None
    undo: object = None
    links: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    jobs: int | None = None
    live: bool = False
    inventory: str | None = None


def main() -> None:
    """Do what standard input asks for."""
    try:
        carried_out(parsed(Request, sys.stdin.buffer.read()), _write)
    except Senseless as error:
        _write({"problems": [asdict(Problem(f"this is no request: {error}", "ask as this file says"))]})
        sys.exit(EXIT_INPUT)
    except VecnetError as error:
        untouched = isinstance(error, BusyError)  # the lock comes before all else
        _write({"problems": [asdict(problem) for problem in error.problems], "untouched": untouched})
        sys.exit(error.exit_code)
    except OSError as error:
        from vecnet.kernel.unforeseen import in_words  # for mistakes alone

        _write({"problems": [asdict(problem) for problem in HostError([in_words(error)]).problems]})
        sys.exit(EXIT_FAILED)


def _write(answer: Answer) -> None:
    print(json.dumps({"version": __version__, **answer}), flush=True)


def carried_out(request: Request, give: Give) -> None:
    """Do what is asked and give the answer: of `up` before a signal that asks to end is heard. Raises VecnetError."""
    if request.version != __version__:
        message = f"vecnet is {__version__} here, and {request.version} on the controller"
        raise HostError(message, "install the same on both")
    if request.do not in _DOES:
        raise InputError(f"{request.do!r} is nothing that can be done here", f"ask for {', '.join(_DOES)}")
    _DOES[request.do](request, give)


def _part(request: Request) -> Topology:
    topology = loads(request.text or "", path=request.path)
    part = topology.one_machine() if request.host is None else topology.on(request.host)
    return part if request.guests is None else replace(part, started=frozenset(request.guests))


def strings(topology: Topology) -> dict[str, dict[str, list[str]]]:
    """Each guest's vec strings, and the words that they need beside them."""
    return {
        guest: {"strings": [str(device) for device in topology.devices(guest)], "words": list(topology.words(guest))}
        for guest in topology.guests
    }


def _told(plan: host.Plan, lines: str) -> Answer:
    return {
        "changed": bool(plan.changes),
        "plan": plan.as_json(),
        "lines": lines.split("\n"),
        "undo": Record.of(plan).as_json(),
    }


def _plan(request: Request, give: Give) -> None:
    part = _part(request)
    plan = host.plan(part)
    give({**_told(plan, plan.describe()), "strings": strings(part)})


def _up(request: Request, give: Give) -> None:
    part = _part(request)
    own = strings(part)
    host.up(part, answer=lambda plan: give({**_told(plan, plan.summary()), "strings": own}))


def _plan_down(request: Request, give: Give) -> None:
    plan = host.plan_down(_part(request).name)
    give({**_told(plan, plan.describe()), "strings": {}})


def _down(request: Request, give: Give) -> None:
    name = _part(request).name
    plan = host.down(name)
    give({**_told(plan, "\n".join([plan.summary(), *sweep(name)])), "strings": {}})


def _restore(request: Request, give: Give) -> None:
    plan = host.restore(Record.from_json(request.undo))
    give({**_told(plan, plan.summary()), "strings": {}})


def _status(request: Request, give: Give) -> None:
    from vecnet.observing.state import read

    part = _part(request)
    state = read(part.name, part)
    give(
        {
            "changed": False,
            "interfaces": [entry.as_json() for entry in state.reports],
            "ports": [port.as_json() for port in state.ports],
            "devices": [device.as_json() for device in state.devices],
        }
    )


def _loopback(request: Request, give: Give) -> None:
    from vecnet import loopback
    from vecnet.fleet import proof
    from vecnet.loopback.choice import require_links, require_probes
    from vecnet.loopback.subject import of_topology

    whole = loads(request.text or "", path=request.path)
    every = request.host is None and bool(whole.hosts)
    topology = whole if every else _part(request)
    require_links(topology, request.links)
    require_probes(request.probes)
    links, probes, live, jobs = request.links, request.probes, request.live, request.jobs or loopback.JOBS
    if every:
        found = proof.prove(topology, request.inventory, links=links, probes=probes, live=live, jobs=jobs)
    else:
        subjects = of_topology(topology, links)
        found = loopback.prove(topology.name, subjects, topology=topology, probes=probes, live=live, jobs=jobs)
    lines = [f"{link.label}: {link.reason}" for link in found.links if link.verdict is not Verdict.PASS]
    give({"changed": False, "lines": lines, **found.as_json()})


_DOES: dict[str, Callable[[Request, Give], None]] = {
    "plan": _plan,
    "up": _up,
    "plan down": _plan_down,
    "down": _down,
    "restore": _restore,
    "status": _status,
    "loopback": _loopback,
}

if __name__ == "__main__":
    main()
