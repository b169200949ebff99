"""The module vecnet.uml.loopback: all links from the controller, those of one host there; what breaks fails the task.

alpha: web ══ wire ══ db, beta ══ own, from db to itself          each host a network namespace, as in test_netns.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.test_netns import folder, hosts
from tests.fleet.test_reach import LAB
from vecnet.fleet.playbook import COLLECTIONS

__all__ = ["folder", "hosts"]  # fixtures

pytestmark = pytest.mark.long
PLAY = """
- hosts: beta
  gather_facts: false
  vars: {lab: "{{ lookup('ansible.builtin.file', 'lab.yaml') }}"}
  tasks:
    - {name: one, vecnet.uml.loopback: {content: "{{ lab }}", host: beta, probes: [frames], untested: pass}}
    - name: all
      vecnet.uml.loopback: {content: "{{ lab }}", inventory: "{{ inventory_file }}", probes: [frames]}
      delegate_to: localhost
    - {name: unplug, ansible.builtin.command: ip link set lo down}
    - name: broken
      vecnet.uml.loopback: {content: "{{ lab }}", host: beta, links: [own], probes: [frames]}
      ignore_errors: true
    - name: wrong
      vecnet.uml.loopback: {content: "{{ lab }}", links: [other]}
      delegate_to: localhost
      ignore_errors: true
"""


@pytest.mark.usefixtures("hosts")
def test_the_report_is_data_and_a_broken_wire_fails_the_task(folder: Path) -> None:
    (folder / "lab.yaml").write_text(LAB)
    (folder / "site.yml").write_text(PLAY)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ansible", "playbook", "-i", "hosts.yml", "site.yml"],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_STDOUT_CALLBACK": "vecnet.uml.events",
        },
        timeout=120,
    )
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["event"] in ("ok", "failed"):
            found[event["task"]] = event["event"], event["result"]

    def came_to(task: str) -> tuple[str, str, bool, dict[str, str]]:
        event, result = found[task]
        links = {link["link"]: link["verdict"] for link in result["links"]}
        return event, result["verdict"], result.get("changed", False), links

    assert came_to("one") == ("ok", "untested", False, {"wire": "untested", "own": "pass"}), found
    assert came_to("all") == ("ok", "pass", False, {"wire": "pass", "own": "pass"}), found
    assert [link["hosts"] for link in found["all"][1]["links"]] == [["beta", "alpha"], ["beta"]]
    assert came_to("broken") == ("failed", "fail", False, {"own": "fail"})
    assert found["broken"][1]["msg"].startswith("own: "), found["broken"]
    event, result = found["wrong"]
    assert (event, result["msg"], result["exit_code"]) == (
        "failed",
        "lab has no link 'other'; its links are wire, own",
        2,
    )
