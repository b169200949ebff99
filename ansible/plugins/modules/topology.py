#!/usr/bin/python
# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: topology
short_description: A host's part of a topology for User Mode Linux guests
version_added: 0.1.0
description:
  - Makes or removes what one host has of a topology of vecnet, and returns the vec strings of the guests there.
  - What is there already stays as it is. What fails half-way is undone.
  - In check mode nothing is changed, and the difference is vecnet's own plan.
author:
  - vecnet developers (@uml-vecnet)
options:
  content:
    description:
      - The topology file's text.
      - Read it with P(ansible.builtin.file#lookup). It is no structure of Ansible's, since C(on) is a word of it that
        YAML 1.1 takes for true.
      - Required unless O(state=restored).
    type: str
  guests:
    description:
      - The guests that start on this host; all of them if left out. The others may be elsewhere.
    type: list
    elements: str
  state:
    description:
      - With V(present) the interfaces are made, with V(absent) all is removed that the topology has made here.
      - With V(restored) the host is as it was before another run, of which O(undo) has been returned.
    type: str
    choices: [present, absent, restored]
    default: present
  undo:
    description:
      - What a run has returned as RV(undo), as it is.
    type: dict
attributes:
  check_mode:
    description: Nothing is changed, and the plan is returned.
    support: full
  diff_mode:
    description: The difference is the plan, in the words of C(vecnet plan).
    support: full
extends_documentation_fragment:
  - vecnet.uml.part
seealso:
  - module: vecnet.uml.topology_info
"""

EXAMPLES = r"""
- name: Make this host's part
  vecnet.uml.topology:
    content: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"
    file: lab.yaml
    host: "{{ inventory_hostname }}"
  become: true
  register: lab

- name: Show the command line of a guest
  ansible.builtin.debug:
    msg: "linux mem=256M ubd0=root.img {{ lab.strings.web.strings | join(' ') }}"

- name: Remove it
  vecnet.uml.topology:
    content: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"
    file: lab.yaml
    host: "{{ inventory_hostname }}"
    state: absent
  become: true

- name: Bring the host back to what it was before
  vecnet.uml.topology:
    state: restored
    undo: "{{ lab.undo }}"
  become: true
"""

RETURN = r"""
strings:
  description: Each guest's vec strings, and the words that its command line needs beside them.
  returned: when O(state=present)
  type: dict
  sample:
    web:
      strings: ["vec0:transport=tap,ifname=tap-web,mac=02:00:00:00:00:01"]
      words: []
plan:
  description: What was done, or would be done, as C(vecnet plan --json) has it.
  returned: success
  type: dict
  sample: {"topology": "lab", "unchanged": 2, "steps": [], "notes": []}
lines:
  description: The same in sentences.
  returned: success
  type: list
  elements: str
  sample: ["lab: 2 made"]
undo:
  description: What brings the host back, for O(undo).
  returned: success
  type: dict
  sample: {"topology": "lab", "before": [], "touched": [["", "tap-web"]], "stated": []}
version:
  description: The version of vecnet on the host.
  returned: success
  type: str
  sample: 0.1.0
problems:
  description: All that is wrong, each with what to do instead.
  returned: failure
  type: list
  elements: dict
  sample: [{"message": "eth9 is not there", "instead": "make it", "where": null}]
untouched:
  description: Whether it is certain that nothing was changed, since another vecnet had the host's lock.
  returned: failure
  type: bool
  sample: false
exit_code:
  description: The exit status of the command that does the same, 1 where it failed and 2 where the input is wrong.
  returned: failure
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vecnet.uml.plugins.module_utils.agent import ARGUMENTS, ask


def main():
    module = AnsibleModule(
        argument_spec=dict(
            ARGUMENTS,
            guests={"type": "list", "elements": "str"},
            state={"type": "str", "choices": ["present", "absent", "restored"], "default": "present"},
            undo={"type": "dict"},
        ),
        required_if=[
            ("state", "present", ["content"]),
            ("state", "absent", ["content"]),
            ("state", "restored", ["undo"]),
        ],
        supports_check_mode=True,
    )
    state, check = module.params["state"], module.check_mode
    if state == "restored":
        if check:
            module.exit_json(changed=False, plan={}, lines=["what is to be undone is found when it is done"], undo={})
        answer = ask(module, "restore", undo=module.params["undo"])
    elif state == "absent":
        answer = ask(module, "plan down" if check else "down")
    else:
        answer = ask(module, "plan" if check else "up", guests=module.params["guests"])
    if module._diff:
        answer["diff"] = {"prepared": "".join(f"{line}\n" for line in answer["lines"])}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
