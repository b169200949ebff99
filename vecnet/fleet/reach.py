"""How a command with pipes is started on another host: by ssh, in a named network namespace, or here.

The hosts' addresses are those of the topology, or an Ansible inventory says how each is reached, by the variables that
its users know. Settings of Ansible's are obeyed either way (configured.py), so that what `up` reaches is reached here.

What goes through ssh is text for a shell there, since ssh joins the words of a command: each is quoted.

Source: ssh(1), ssh_config(5), nsenter(1); Ansible, "Connecting to hosts: behavioral inventory parameters".
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecnet.errors import InputError, Problem
from vecnet.fleet import configured
from vecnet.fleet.configured import Variables

if TYPE_CHECKING:
    from vecnet.topology import Topology

# nothing is asked of a person; a host that is silent for a quarter of a minute is lost
SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
ALIVE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_KINDS = "ssh, local or vecnet.uml.netns"
# where the role vecnet.uml.lab puts vecnet, or else what the words after the script say
_ANY_VECNET = """[ ! -x /opt/vecnet/bin/python ] || exec /opt/vecnet/bin/python -m vecnet "$@"; exec """


@dataclass(frozen=True)
class Reach:
    """How a host is reached: the words before a command, and whether a shell there reads it."""

    host: str
    before: tuple[str, ...]
    quoted: bool
    vecnet: tuple[str, ...] = ("vecnet",)

    def command(self, *words: str) -> list[str]:
        """What is to be started here for `vecnet` with these words to run there."""
        there = [*self.vecnet, *words]
        return [*self.before, shlex.join(there)] if self.quoted else [*self.before, *there]


def by_address(topology: Topology) -> dict[str, Reach]:
    """By ssh to the addresses that the topology states. Raises HostError and InputError for Ansible's settings."""
    settings = configured.settings()
    return {
        name: of_variables(name, {**settings, "ansible_host": machine.addresses[0]})
        for name, machine in topology.hosts.items()
    }


def by_inventory(source: str, topology: Topology) -> dict[str, Reach]:
    """As an inventory says. Raises InputError for what it lacks, and HostError where it cannot be read."""
    settings, variables = configured.settings(), configured.inventory(source)
    problems: list[Problem] = []
    found = {}
    for host in topology.hosts:
        if host not in variables:
            problems.append(Problem(f"the inventory has no host {host}", "add it, by the name that hosts: has"))
            continue
        try:
            found[host] = of_variables(host, {**settings, **variables[host]})
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def of_variables(host: str, variables: Variables) -> Reach:
    """How an inventory's variables have a host reached. Raises InputError."""
    read = _Read(host, variables)
    kind = (read.text("ansible_connection") or "ssh").rpartition(".")[2]
    here = kind in ("local", "netns")
    where = read.text("ansible_host") or host
    vecnet = (*_become(read), *_vecnet(read, here))
    if here:
        name = read.text("ansible_netns") or where
        into = ("nsenter", f"--net=/run/netns/{_name(read, name)}", "--") if kind == "netns" else ()
        return Reach(host, into, quoted=False, vecnet=vecnet)
    if kind not in ("ssh", "smart", "paramiko", "paramiko_ssh"):
        raise read.wrong("ansible_connection", f"{kind!r} is none by which vecnet starts its agent", f"use {_KINDS}")
    words = [*SSH, *read.words("ansible_ssh_args")]
    checking = read.text("ansible_ssh_host_key_checking") or read.text("ansible_host_key_checking")
    if checking.lower() in _FALSE:
        words += ["-o", "StrictHostKeyChecking=no"]
    for option, key in (("-p", "ansible_port"), ("-l", "ansible_user"), ("-i", "ansible_ssh_private_key_file")):
        if value := read.text(key):
            words += [option, value]
    for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += read.words(key)
    return Reach(host, (*words, *ALIVE, "--", where), quoted=True, vecnet=vecnet)


def _vecnet(read: _Read, here: bool) -> tuple[str, ...]:
    """The words that start vecnet there."""
    if own := read.text("lab_python"):
        return own, "-m", "vecnet"
    python = read.text("ansible_python_interpreter")
    if python and not python.startswith("auto"):
        then = f"{shlex.quote(python)} -m vecnet"
    elif here:
        return sys.executable, "-m", "vecnet"
    else:
        then = "vecnet"
    return "sh", "-c", f'{_ANY_VECNET}{then} "$@"', "vecnet"


class _Read:
    """The variables of one host."""

    def __init__(self, host: str, variables: Variables) -> None:
        self._host, self._variables = host, variables

    def text(self, key: str) -> str:
        """A variable, "" where it is not given. Raises InputError where it is a template."""
        value = self._variables.get(key)
        if value is None:
            return ""
        if not isinstance(value, str | int | bool) or "{{" in str(value):
            raise self.wrong(key, "is no plain value", "write it out: no template is filled in here")
        return str(value)

    def true(self, key: str) -> bool:
        return self.text(key).lower() in _TRUE

    def words(self, key: str) -> list[str]:
        try:
            return shlex.split(self.text(key))
        except ValueError as error:
            raise self.wrong(key, f"is no words of a shell: {error}", "quote it as for a shell") from None

    def wrong(self, key: str, what: str, instead: str) -> InputError:
        return InputError(f"{self._host}: {key} {what}", instead)


def _become(read: _Read) -> tuple[str, ...]:
    """The words by which the agent becomes another user, root unless stated."""
    if not read.true("ansible_become"):
        return ()
    method = read.text("ansible_become_method") or "sudo"
    if method.rpartition(".")[2] != "sudo":
        raise read.wrong("ansible_become_method", f"{method!r} is none that vecnet knows", "use sudo")
    return ("sudo", "-n", "-u", read.text("ansible_become_user") or "root", "--")


def _name(read: _Read, name: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise read.wrong("ansible_host", f"{name!r} is no name of a network namespace", "give one of /run/netns")
    return name
