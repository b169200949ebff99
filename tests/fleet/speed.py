"""How long `vecnet up` takes for many hosts, each a network namespace, and how much of it is Ansible's own part.

    python -m tests.fleet.speed --hosts 2,8,16 --forks 5 --runs 3        as root

Three things take turns: `up` of what is not there, `up` of what is, and the same play with a program in vecnet's place
that answers at once. The last is what Ansible takes itself: reading, forking, bringing the module there and running it.
What is left of the other two is vecnet's. Medians are told, of seconds and of processor seconds, of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from tests.fleet.test_many import HOSTS, many_hosts
from tests.fleet.test_many import lab as text_of
from tests.fleet.test_netns import inventory
from vecnet import __version__
from vecnet.fleet import lab, playbook
from vecnet.topology import Topology, load

_NOTHING = {"version": __version__, "changed": False, "lines": [], "plan": {}, "strings": {}, "undo": {}}
FIRST, SECOND, ANSIBLE = "up", "second up", "Ansible alone"


def settings(folder: Path, forks: int) -> dict[str, str]:
    """Ansible's: nobody's own, and nothing left elsewhere."""
    (folder / "ansible.cfg").touch()
    return {
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "TMPDIR": str(folder),
    }


def answering_at_once(folder: Path, names: list[str]) -> Path:
    """An inventory of the same hosts, where a program that does nothing is in the place of vecnet."""
    program = folder / "nothing"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(_NOTHING)}'\n")
    program.chmod(0o755)
    file = folder / "nothing.yml"
    file.write_text(inventory(names, lab_python=str(program)))
    return file


Spent = tuple[float, float]  # seconds, and processor seconds


def spent(action: Callable[[], object]) -> Spent:
    began, used = time.monotonic(), processor()
    action()
    return time.monotonic() - began, processor() - used


def processor() -> float:
    """Of this process and all that have ended below it."""
    return sum(os.times()[:4])


def play_alone(topology: Topology, hosts: Path) -> None:
    *_, last = playbook.events("up", lab.variables(topology), str(hosts))
    assert all(one["failures"] == one["unreachable"] == 0 for one in last.result.values()), last


def turn(topology: Topology, real: Path, nothing: Path) -> dict[str, Spent]:
    """Each of them once; nothing is left."""
    found = {ANSIBLE: spent(lambda: play_alone(topology, nothing))}
    for what in (FIRST, SECOND):
        found[what] = spent(lambda: lab.up(topology, inventory=str(real)))
    lab.down(topology, str(real)).complete()
    return found


def measured(count: int, runs: int, folder: Path) -> dict[str, Spent]:
    """The medians for so many hosts."""
    file = folder / f"lab{count}.yaml"
    file.write_text(text_of(count))
    real = folder / f"hosts{count}.yml"
    real.write_text(inventory(HOSTS[:count]))
    nothing = answering_at_once(folder, HOSTS[:count])
    turns = [turn(load(file), real, nothing) for _ in range(runs)]
    return {
        what: (
            statistics.median(one[what][0] for one in turns),
            statistics.median(one[what][1] for one in turns),
        )
        for what in turns[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", default="2,8,16", help="how many, separated by commas")
    parser.add_argument("--forks", type=int, default=5, help="hosts that Ansible is at, at a time")
    parser.add_argument("--runs", type=int, default=3, help="turns, of which the median counts")
    words = parser.parse_args()
    counts = [int(one) for one in words.hosts.split(",")]
    if not set(counts) <= set(range(2, len(HOSTS) + 1)):
        parser.error(f"--hosts: from 2 to {len(HOSTS)}")
    with many_hosts(), tempfile.TemporaryDirectory(prefix="vecnet-speed-") as place:
        folder = Path(place)
        with mock.patch.dict(os.environ, settings(folder, words.forks)):
            columns = ("of", ANSIBLE, f"`{FIRST}`", "vecnet's part", f"`{SECOND}`", "its part")
            print(f"| hosts, {words.forks} at a time | {' | '.join(columns)} |")
            print("|---|---|---|---|---|---|---|")
            measured(2, 1, folder)  # byte code is written, caches warm up
            for count in counts:
                found = measured(count, words.runs, folder)
                for which, kind in enumerate(("time", "processors")):
                    own, first, second = (found[what][which] for what in (ANSIBLE, FIRST, SECOND))
                    figures = " | ".join(f"{one:.1f} s" for one in (own, first, first - own, second, second - own))
                    print(f"| {count} | {kind} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
