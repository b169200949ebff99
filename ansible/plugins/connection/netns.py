# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: Run tasks in a network namespace of this machine
version_added: 0.1.0
description:
  - Each host is a network namespace with a name, as C(ip netns add) makes it. Files are those of this machine.
  - It is for labs and tests whose machines are namespaces. The user needs the right to enter them, as root has it.
author:
  - vecnet developers (@uml-vecnet)
options:
  netns:
    description: The name of the network namespace.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_netns
  become_success_timeout:
    description: Seconds to wait for become to succeed.
    type: int
    default: 10
    vars:
      - name: ansible_netns_become_success_timeout
  become_strip_preamble:
    description: Whether what become prints before the task is left out.
    type: bool
    default: true
    vars:
      - name: ansible_netns_become_strip_preamble
extends_documentation_fragment:
  - connection_pipelining
"""

import shlex

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local


class Connection(Local):
    """As the local connection, with another network around each command."""

    transport = "vecnet.uml.netns"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        name = self.get_option("netns")
        if not name or "/" in name or name.startswith("-") or name in (".", ".."):
            raise AnsibleConnectionFailure(f"{name!r} is not the name of a network namespace")
        inside = shlex.join(["ip", "netns", "exec", name, "/bin/sh", "-c", cmd])
        status, out, err = super().exec_command(inside, in_data=in_data, sudoable=sudoable)
        if status in (1, 255) and b"Cannot open network namespace" in err:  # ip(8) could not go there
            raise AnsibleConnectionFailure(f"there is no network namespace {name} that can be entered")
        return status, out, err
