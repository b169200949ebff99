"""What Ansible is configured to, as its own programs read it: the settings of all hosts, and an inventory's variables.

Both come in the names of an inventory's variables, so that a host's own ones go over them. Settings stand in
ansible.cfg, wherever that lies, and in the environment. Without Ansible there are none.

Source: ansible-config(1), ansible-inventory(1); Ansible, "Connecting to hosts: behavioral inventory parameters".
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vecnet.errors import HostError

Variables = Mapping[str, object]  # of one host, as an inventory has them

_READING = 60.0  # seconds that a program may take, for inventories may be programs
_SSH = {  # options of the connection plugin ssh
    "remote_user": "ansible_user",
    "port": "ansible_port",
    "private_key_file": "ansible_ssh_private_key_file",
    "host_key_checking": "ansible_host_key_checking",
    "ssh_args": "ansible_ssh_args",
    "ssh_common_args": "ansible_ssh_common_args",
    "ssh_extra_args": "ansible_ssh_extra_args",
}
_BECOME = {
    "DEFAULT_BECOME": "ansible_become",
    "DEFAULT_BECOME_USER": "ansible_become_user",
    "DEFAULT_BECOME_METHOD": "ansible_become_method",
}


def settings() -> dict[str, object]:
    """What is set for all hosts, but for Ansible's defaults. Raises HostError where ansible-config fails."""
    program = _program("ansible-config")
    if program is None:
        return {}
    words = [program, "dump", "--type", "all", "--only-changed", "--format", "json"]
    printed, said = _asked(words, "what is configured")
    try:
        listed = json.loads(printed)
        plugins = [plugin for entry in listed for plugin in entry.get("CONNECTION_PLUGINS", ())]
        options = [option for plugin in plugins for option in plugin.get("ssh", ())]
        return _named(listed, _BECOME) | _named(options, _SSH)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HostError(f"what ansible-config prints is no list of settings; it says: {said}") from None


def inventory(source: str) -> dict[str, Variables]:
    """All hosts of an inventory, with their variables. Raises HostError."""
    program = _program("ansible-inventory")
    if program is None:
        message = "ansible-inventory, which reads inventories, is not installed"
        raise HostError(message, "install ansible-core, or leave -i out: hosts are reached by their addresses then")
    printed, said = _asked([program, "--list", "-i", source], "the inventory")
    try:
        listed = json.loads(printed)
        return {name: listed["_meta"]["hostvars"].get(name, {}) for name in _names(listed)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HostError(f"what ansible-inventory prints is no inventory; it says: {said}") from None


def _named(entries: Iterable[Mapping[str, str]], names: Mapping[str, str]) -> dict[str, object]:
    return {names[entry["name"]]: entry["value"] for entry in entries if entry.get("name") in names}


def _names(listed: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """The hosts of all groups: those without variables are in no other place."""
    return sorted({name for group, entry in listed.items() if group != "_meta" for name in entry.get("hosts", ())})


def _program(name: str) -> str | None:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _asked(words: Sequence[str], what: str) -> tuple[str, str]:
    """What a program of Ansible's prints, and what it says of that. Raises HostError."""
    name = Path(words[0]).name
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_READING
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"{name} has not read {what} in {_READING:g} seconds") from None
    said = done.stderr.strip() or "nothing"
    if done.returncode:
        raise HostError(f"{name} failed: {said}")
    return done.stdout, said
