# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
name: topology
short_description: The hosts of a topology of vecnet
version_added: 0.1.0
description:
  - Reads C(hosts) of a topology file. Each becomes a host of the group C(vecnet), reached at its first outer address.
  - Variables of the user's own, in C(host_vars) and C(group_vars) beside the file, count before these.
author:
  - vecnet developers (@uml-vecnet)
requirements:
  - vecnet, for the interpreter that runs Ansible
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [vecnet.uml.topology]
  topology:
    description: The topology file's path, from the folder of the inventory file on.
    type: path
    required: true
"""

EXAMPLES = r"""
# lab.vecnet.yml, beside lab.yaml
plugin: vecnet.uml.topology
topology: lab.yaml
"""

from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin


class InventoryModule(BaseInventoryPlugin):
    """One host for each that the topology names."""

    NAME = "vecnet.uml.topology"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith((".vecnet.yml", ".vecnet.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            from vecnet.errors import VecnetError
            from vecnet.fleet.inventory import GROUP, variables
            from vecnet.topology import load
        except ImportError as error:
            raise AnsibleParserError("vecnet is not installed where Ansible is: pip install uml-vecnet") from error
        file = Path(path).absolute().parent / self.get_option("topology")
        try:
            found = variables(load(file))
        except VecnetError as error:
            raise AnsibleParserError(str(error)) from error
        inventory.add_group(GROUP)
        for host, values in found.items():
            inventory.add_host(host, group=GROUP)
            for name, value in values.items():
                inventory.set_variable(host, name, value)
