"""Running a playbook of the collection `vecnet.uml`, and what it tells: an event a line, from the plugin `events`.

What the file, its path and its hosts hold is given as `!unsafe` in a file of variables, so that Ansible takes none of
it for a template; no word of it comes to a shell. The user's configuration of Ansible counts, but for how it prints.

Source: Ansible documentation, "Advanced playbook syntax", `!unsafe`; ansible.cfg(5).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vecnet.errors import HostError, Problem, ProgramMissing
from vecnet.kernel.brief_folder import brief_tree
from vecnet.plain import Senseless, parsed

COLLECTIONS = Path(__file__).parent  # ansible_collections/vecnet/uml is below it
_USUAL = "~/.ansible/collections:/usr/share/ansible/collections"  # where Ansible looks where nobody says otherwise
_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"  # ssh_config(5): a host that is gone is waited for 15 s
_LAST = 20  # lines of what Ansible itself has said that are told where it stops


@dataclass(frozen=True, slots=True)
class Event:
    """What has happened on a host: begun, ok, failed, unreachable or skipped.

    `hosts` comes first, with all of them, or `nobody`; `stats` at the end, as Ansible's recap has them.
    """

    event: str
    host: str
    task: str
    result: Mapping[str, Any]


class _Unsafe(str):
    """Text that Ansible is not to take for a template."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def require_ansible(what: str) -> None:
    """Raise ProgramMissing unless ansible-core is installed for this interpreter."""
    try:
        found = importlib.util.find_spec("ansible.cli")  # a folder of the name ansible is none
    except ModuleNotFoundError:
        found = None
    if found is None:
        message = f"{what} is for several hosts, which Ansible reaches, and ansible-core is not installed"
        instead = "pip install 'uml-vecnet[ansible]', or do each host's part there, with --on HOST"
        raise ProgramMissing(message, instead)


def events(
    name: str, values: Mapping[str, object], inventory: str | Mapping[str, object]
) -> Generator[Event, None, None]:
    """Run the playbook vecnet.uml.`name` with these variables, and tell what happens while it does.

    `inventory` is the path of the user's own, or what to write into one. Raises HostError where Ansible itself stops.
    """
    with brief_tree() as (folder, held):
        variables = Path(folder, "variables.yml")
        variables.write_text(yaml.dump(_unsafe(dict(values)), Dumper=_Dumper, allow_unicode=False), "utf-8")
        if not isinstance(inventory, str):
            own = Path(folder, "inventory.yml")
            own.write_text(yaml.dump(_unsafe(dict(inventory)), Dumper=_Dumper, allow_unicode=False), "utf-8")
            inventory = str(own)
        words = ["playbook", "--inventory", inventory, "--extra-vars", f"@{variables}", f"vecnet.uml.{name}"]
        yield from _run(words, folder, held)


def _unsafe(value: object) -> object:
    """The same, with every text marked, but for the keys of mappings."""
    if isinstance(value, str):
        return _Unsafe(value)
    if isinstance(value, Mapping):
        return {str(key): _unsafe(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_unsafe(one) for one in value]
    return value


def _run(words: Sequence[str], folder: str, held: int) -> Generator[Event, None, None]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ansible", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=_environment() | {"ANSIBLE_LOCAL_TEMP": folder},  # which it may leave behind at an interrupt
            pass_fds=(held,),  # it reads there even if this process is killed
            start_new_session=True,  # a terminal's interrupt is for this process, which lets all hosts end
        )
        told = False
        with process, contextlib.ExitStack() as early:
            early.callback(process.send_signal, signal.SIGINT)
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):  # a warning may stand between
                    with contextlib.suppress(Senseless):
                        event = parsed(Event, line)
                        told = True
                        yield event
            early.pop_all()
        if process.returncode and not told:
            said.seek(0)
            raise HostError([Problem(f"Ansible: {line}") for line in _sentences(said.read())])


def _sentences(said: str) -> list[str]:
    """What Ansible has said of its own failure, without the traceback that it shows as well."""
    lines = [line.strip() for line in said.partition("Traceback (most recent")[0].splitlines()]
    errors = [line.removeprefix("[ERROR]: ").removeprefix("ERROR: ").rstrip(":") for line in lines if "ERROR" in line]
    return (errors or lines[-_LAST:]) or ["it has ended without a word"]


def _environment() -> dict[str, str]:
    others = os.environ.get("ANSIBLE_COLLECTIONS_PATH", _USUAL)
    extra = os.environ.get("ANSIBLE_SSH_EXTRA_ARGS", "")
    own = {
        "ANSIBLE_COLLECTIONS_PATH": f"{COLLECTIONS}:{others}",
        "ANSIBLE_SSH_EXTRA_ARGS": f"{extra} {_ALIVE}",  # of all such settings the one that people use least
        "ANSIBLE_STDOUT_CALLBACK": "vecnet.uml.events",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    }
    return {**os.environ, **own}
