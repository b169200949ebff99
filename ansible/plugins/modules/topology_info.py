#!/usr/bin/python
# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_info
short_description: What is there of a host's part of a topology, and whether it is healthy
version_added: 0.1.0
description:
  - Tells the state of what one host has of a topology of vecnet, as C(vecnet status) does. It changes nothing.
author:
  - vecnet developers (@uml-vecnet)
options:
  content:
    description:
      - The topology file's text. Read it with P(ansible.builtin.file#lookup).
    type: str
    required: true
attributes:
  check_mode:
    description: It changes nothing in any mode.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
extends_documentation_fragment:
  - vecnet.uml.part
seealso:
  - module: vecnet.uml.topology
  - module: vecnet.uml.loopback
"""

EXAMPLES = r"""
- name: Look at this host's part
  vecnet.uml.topology_info:
    content: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"
    file: lab.yaml
    host: "{{ inventory_hostname }}"
  register: lab

- name: Stop where something is not healthy
  ansible.builtin.assert:
    that: lab.interfaces | rejectattr('healthy') | length == 0
"""

RETURN = r"""
interfaces:
  description: The host's interfaces, each with its health and counters, as C(vecnet status --json) has them.
  returned: success
  type: list
  elements: dict
  sample: [{"ifname": "tap-web", "kind": "tap", "healthy": true, "why": "", "mtu": 1500}]
ports:
  description: The ports of switches that are served by this user.
  returned: success
  type: list
  elements: dict
  sample: []
devices:
  description: The devices of guests of this user that run.
  returned: success
  type: list
  elements: dict
  sample: []
version:
  description: The version of vecnet on the host.
  returned: success
  type: str
  sample: 0.1.0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vecnet.uml.plugins.module_utils.agent import ARGUMENTS, ask


def main():
    arguments = dict(ARGUMENTS, content={"type": "str", "required": True})
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    module.exit_json(**ask(module, "status"))


if __name__ == "__main__":
    main()
