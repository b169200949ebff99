#!/usr/bin/python
# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: loopback
short_description: Proves with packets that the links of a topology carry
version_added: 0.1.0
description:
  - Opens the ends of the links of a topology of vecnet, which must be up, and sends packets through them, as
    C(vecnet loopback) does. It changes nothing, and fails where a link fails.
  - Run it once, on the controller, to prove all links on all hosts and between them. It starts an agent on each host,
    by ssh or as O(inventory) says.
  - With O(host) it proves what lies within that host, and runs there.
author:
  - vecnet developers (@uml-vecnet)
options:
  content:
    description:
      - The topology file's text. Read it with P(ansible.builtin.file#lookup).
    type: str
    required: true
  host:
    description:
      - The host of the topology whose part alone is proved, on that host. What ends on another one is untested then.
      - Leave it out to prove all hosts' links from where this runs, or where the topology names no hosts.
    type: str
  inventory:
    description:
      - The path of an Ansible inventory, on the machine where this runs, which says how the hosts are reached.
      - If left out, each by ssh, at its first outer address.
    type: path
  links:
    description: The names of the links that are proved; all of them if left out.
    type: list
    elements: str
    default: []
  probes:
    description: The probes that are tried; all of them if left out.
    type: list
    elements: str
    default: []
  jobs:
    description: So many links are proved side by side; as many as C(vecnet loopback) does if left out.
    type: int
  live:
    description: Whether a link is tested that somebody uses. Who does is sent frames of the tester's then.
    type: bool
    default: false
  untested:
    description:
      - With V(fail) a link that could not be tested is a failure, with V(pass) it is told of alone.
    type: str
    choices: [fail, pass]
    default: fail
attributes:
  check_mode:
    description: It changes nothing in any mode, and sends its packets in all of them.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
extends_documentation_fragment:
  - vecnet.uml.part
seealso:
  - module: vecnet.uml.topology
  - module: vecnet.uml.topology_info
"""

EXAMPLES = r"""
- name: Prove all links, on all hosts and between them
  vecnet.uml.loopback:
    content: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"
    inventory: "{{ inventory_file }}"
  delegate_to: localhost
  run_once: true

- name: Prove what lies within this host, and nothing that is measured
  vecnet.uml.loopback:
    content: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"
    host: "{{ inventory_hostname }}"
    probes: [frames, mtu, ping, tcp]
    untested: pass
  become: true
"""

RETURN = r"""
verdict:
  description: Of all links, V(pass), V(fail), or V(untested) where none failed and one could not be tested.
  returned: always, but where nothing could be begun
  type: str
  sample: pass
links:
  description: The report, as C(vecnet loopback --json) has it, in the order of the topology file.
  returned: always, but where nothing could be begun
  type: list
  elements: dict
  sample:
    - link: db:vec0--web:vec0
      hosts: [alpha, beta]
      transport: gre
      verdict: pass
      probes: [{"probe": "open", "verdict": "pass", "reason": "both ends open"}]
lines:
  description: What is wrong with each link that did not pass, in a sentence.
  returned: always, but where nothing could be begun
  type: list
  elements: str
  sample: []
version:
  description: The version of vecnet where this ran.
  returned: always, but where nothing could be begun
  type: str
  sample: 0.1.0
problems:
  description: All that kept it from beginning, each with what to do instead.
  returned: failure
  type: list
  elements: dict
  sample: [{"message": "lab has no link 'x'", "instead": "", "where": null}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vecnet.uml.plugins.module_utils.agent import ARGUMENTS, ask

CHOICE = {
    "inventory": {"type": "path"},
    "links": {"type": "list", "elements": "str", "default": []},
    "probes": {"type": "list", "elements": "str", "default": []},
    "jobs": {"type": "int"},
    "live": {"type": "bool", "default": False},
}


def main():
    arguments = dict(ARGUMENTS, content={"type": "str", "required": True})
    arguments.update(CHOICE, untested={"type": "str", "choices": ["fail", "pass"], "default": "fail"})
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    answer = ask(module, "loopback", **{name: module.params[name] for name in CHOICE})
    fine = ("pass", "untested") if module.params["untested"] == "pass" else ("pass",)
    if answer["verdict"] not in fine:
        module.fail_json(msg="\n".join(answer["lines"]) or "nothing was tested", **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
