"""What is done on a host for the controller: `python -m vecnet.fleet.agent` reads one request and writes one answer.

Both are JSON. The module `vecnet.uml.topology` of the same version starts it; for scripts there are the commands with
--on and --json. The exit status is theirs, too: 0 done, 1 it failed, 2 the input is wrong. Then the answer is
`{"problems": […]}`.

| request | |
|---|---|
| `version` | the controller's, which must be this one's |
| `do` | plan, up, "plan down", down, restore, status |
| `text`, `path` | the topology's file, and its name: nothing of that name is opened |
| `host` | whose part it is; null where the file names no hosts |
| `guests` | those that start here; null for all |
| `undo` | of restore: what `plan` or `up` has returned under that name |
"""

from __future__ import annotations

import json
import os.path
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from vecnet import __version__, host, runtime
from vecnet.errors import EXIT_FAILED, HostError, InputError, VecnetError
from vecnet.host.record import Record
from vecnet.topology import Topology, loads

Answer = dict[str, object]
Give = Callable[[Answer], None]


def main() -> None:
    """Do what standard input asks for."""
    try:
        carried_out(json.load(sys.stdin), _write)
    except VecnetError as error:
        _write({"problems": [asdict(problem) for problem in error.problems]})
        sys.exit(error.exit_code)
    except OSError as error:
        from vecnet.kernel.unforeseen import in_words  # for mistakes alone

        _write({"problems": [asdict(problem) for problem in HostError([in_words(error)]).problems]})
        sys.exit(EXIT_FAILED)


def _write(answer: Answer) -> None:
    print(json.dumps({"version": __version__, **answer}), flush=True)


def carried_out(request: dict[str, Any], give: Give) -> None:
    """Do what is asked and give the answer: of `up` before a signal that asks to end is heard. Raises VecnetError."""
    if request["version"] != __version__:
        message = f"vecnet is {__version__} here, and {request['version']} on the controller"
        raise HostError(message, "install the same on both")
    do = request["do"]
    if do not in _DOES:
        raise InputError(f"{do!r} is nothing that can be done here", f"ask for {', '.join(_DOES)}")
    _DOES[do](request, give)


def _part(request: dict[str, Any]) -> Topology:
    topology = loads(request["text"], path=request["path"])
    part = topology.one_machine() if request.get("host") is None else topology.on(request["host"])
    guests = request.get("guests")
    return part if guests is None else replace(part, started=frozenset(guests))


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


def _plan(request: dict[str, Any], give: Give) -> None:
    part = _part(request)
    plan = host.plan(part)
    give({**_told(plan, plan.describe()), "strings": strings(part)})


def _up(request: dict[str, Any], give: Give) -> None:
    part = _part(request)
    own = strings(part)
    host.up(part, answer=lambda plan: give({**_told(plan, plan.summary()), "strings": own}))


def _plan_down(request: dict[str, Any], give: Give) -> None:
    plan = host.plan_down(_part(request).name)
    give({**_told(plan, plan.describe()), "strings": {}})


def _down(request: dict[str, Any], give: Give) -> None:
    name = _part(request).name
    plan = host.down(name)
    swept = [f"{name}: sockets of a server that was killed are removed"] if _swept(name) else []
    give({**_told(plan, "\n".join([plan.summary(), *swept])), "strings": {}})


def _swept(name: str) -> bool:
    if not os.path.isdir(runtime.folder(name)):  # noqa: PTH112 - most have none
        return False
    from vecnet.serving.folder import cleared

    return cleared(name)


def _restore(request: dict[str, Any], give: Give) -> None:
    plan = host.restore(Record.from_json(request.get("undo")))
    give({**_told(plan, plan.summary()), "strings": {}})


def _status(request: dict[str, Any], give: Give) -> None:
    from vecnet.plugging.report import states
    from vecnet.serving import control

    part = _part(request)
    found = host.status(part.name, part)
    give(
        {
            "changed": False,
            "interfaces": [entry.as_json() for entry in found],
            "ports": [port.as_json() for port in control.states(part.name)],
            "devices": [device.as_json() for device in states(part)],
        }
    )


_DOES: dict[str, Callable[[dict[str, Any], Give], None]] = {
    "plan": _plan,
    "up": _up,
    "plan down": _plan_down,
    "down": _down,
    "restore": _restore,
    "status": _status,
}

if __name__ == "__main__":
    main()
