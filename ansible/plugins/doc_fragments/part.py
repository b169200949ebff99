# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""What all modules say of a host's part of a topology: their options are ARGUMENTS of module_utils/agent.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - vecnet on the host, for the interpreter O(python). The role P(vecnet.uml.lab#role) installs it.
options:
  file:
    description:
      - The topology file's name, for errors. It names the topology where that has no name of its own.
      - Nothing of that name is opened.
    type: str
    default: topology.yaml
  host:
    description:
      - The host of the topology whose part is meant. Leave it out where the topology names no hosts.
    type: str
  python:
    description:
      - The interpreter that has vecnet.
      - If left out, C(/opt/vecnet/bin/python) where it is there, and else the interpreter that runs this module.
    type: path
"""
