"""How Ansible reaches the hosts of a topology: each at its first outer address, by the user's own ways of doing so.

A name or an address is no text that could be taken for a template: `Name` and `IpAddress` (values.py) are narrower.
"""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.errors import InputError
from vecnet.topology import Topology

GROUP = "vecnet"

Variables = Mapping[str, str | bool | list[str]]


def variables(topology: Topology) -> dict[str, Variables]:
    """What Ansible is told of each host. Raises InputError for a topology that names none."""
    if not topology.hosts:
        raise InputError(f"{topology.name} names no hosts, and is for one machine", "add hosts:")
    return {
        name: {
            "ansible_host": machine.addresses[0],
            "ansible_pipelining": True,  # a task is one command, and not five
            "vecnet_addresses": list(machine.addresses),
            "vecnet_guests": list(topology.on(name).guests),
        }
        for name, machine in topology.hosts.items()
    }


def inventory(topology: Topology) -> dict[str, object]:
    """An inventory in the words of Ansible's plugin yaml."""
    return {"all": {"children": {GROUP: {"hosts": {name: dict(one) for name, one in variables(topology).items()}}}}}
