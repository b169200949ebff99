"""What is done on a host for the controller: requests and answers, without Ansible between."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.host.network import host_state, ip, private_network
from tests.need import need_command, need_root
from vecnet import __version__
from vecnet.errors import HostError, InputError
from vecnet.fleet.agent import Request, carried_out
from vecnet.plain import parsed

ROOT = Path(__file__).parents[2]
LAB = """
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
links:
  - {transport: tap, endpoints: [web:vec0, alpha:tap0]}
  - {transport: l2tpv3, endpoints: [web:vec1, db:vec0]}
"""


def asked(do: str, text: str = LAB, **more: object) -> dict[str, Any]:
    given: list[dict[str, object]] = []
    request = {"version": __version__, "do": do, "text": text, "path": "some lab.yaml", "host": "alpha", **more}
    carried_out(parsed(Request, json.dumps(request)), given.append)
    (answer,) = given
    found: dict[str, Any] = json.loads(json.dumps(answer))
    return found


def test_from_plan_to_status_to_what_was_before() -> None:
    need_root()
    need_command("ip")
    with private_network():
        ip("link", "add", "eth0", "up", "type", "bridge")
        ip("address", "add", "192.0.2.11/24", "dev", "eth0")
        before = host_state()
        lab = f"name: lab\n{LAB}"
        plan = asked("plan", lab)
        assert (plan["changed"], plan["lines"][-1]) == (True, "lab: 1 to create, 0 unchanged")
        assert host_state() == before
        up = asked("up", lab, guests=["db"])
        assert (up["changed"], up["lines"], up["undo"]) == (True, ["lab: 1 made"], plan["undo"])
        assert up["strings"] == plan["strings"]
        assert [string.partition(":")[0] for string in up["strings"]["web"]["strings"]] == ["vec0", "vec1"]
        assert asked("up", lab)["changed"] is False
        (entry,) = asked("status", lab)["interfaces"]
        assert (entry["ifname"], entry["healthy"]) == ("tap0", True)
        assert asked("plan down", lab)["lines"] == [
            "- tap tap0, web:vec0--alpha:tap0",
            "lab: 1 to delete, 0 unchanged",
        ]
        assert asked("restore", undo=up["undo"])["lines"] == ["lab: 1 removed"]
        assert host_state() == before
        asked("up", lab)
        assert asked("down", lab)["lines"] == ["lab: 1 removed"]
        assert asked("down", lab)["changed"] is False
        assert host_state() == before


OWN = """
name: lab
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
links:
  - {transport: l2tpv3, name: own, endpoints: {web:vec0: {local: 127.0.0.2}, web:vec1: {local: 127.0.0.3}}}
  - {transport: l2tpv3, name: wire, endpoints: [web:vec2, db:vec0]}
"""


def test_a_hosts_own_links_are_proved_and_the_report_is_data() -> None:
    need_root()
    with private_network():
        ip("link", "set", "lo", "up")
        told = asked("loopback", OWN, probes=["frames"])
        assert (told["changed"], told["verdict"], [one["verdict"] for one in told["links"]]) == (
            False,
            "untested",
            ["pass", "untested"],
        )
        (line,) = told["lines"]
        assert line.startswith("wire: db:vec0, at 192.0.2.12, is not this machine: the wire ends there")
        ip("link", "set", "lo", "down")
        told = asked("loopback", OWN, links=["own"], probes=["frames"], jobs=1)
        assert (told["verdict"], [one["link"] for one in told["links"]]) == ("fail", ["own"])
        assert told["lines"][0].startswith("own: ")
    with pytest.raises(InputError, match="lab has no link 'other'; its links are own, wire"):
        asked("loopback", OWN, links=["other"])
    with pytest.raises(InputError, match="there is no probe 'smell'; the probes are open, frames"):
        asked("loopback", OWN, probes=["smell"])


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(HostError, match=r"vecnet is .* here, and 9.9 on the controller; install the same on both"):
        asked("plan", version="9.9")
    with pytest.raises(InputError, match="'burn' is nothing that can be done here"):
        asked("burn")
    with pytest.raises(InputError, match=r"some lab\.yaml:1:1"):
        asked("plan", "[]")
    with pytest.raises(InputError, match="has no host 'gamma'"):
        asked("plan", "name: lab" + LAB, host="gamma")


def test_an_answer_is_json_with_the_exit_status_of_the_command() -> None:
    request = {"version": __version__, "do": "plan", "text": "[]", "path": "lab.yaml", "host": None}
    words = [sys.executable, "-I", "-m", "vecnet.fleet.agent"]
    done = subprocess.run(words, input=json.dumps(request), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["where"] == {"file": "lab.yaml", "line": 1, "column": 1}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "do": "plan"}', "[" * 100_000])
def test_what_is_no_request_is_told_in_words(text: str) -> None:
    words = [sys.executable, "-I", "-m", "vecnet.fleet.agent"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["message"].startswith("this is no request: ")


def test_the_collection_is_of_the_same_version() -> None:
    assert yaml.safe_load((ROOT / "ansible/galaxy.yml").read_text())["version"] == __version__
    assert f'VERSION = "{__version__}"' in (ROOT / "ansible/plugins/module_utils/agent.py").read_text()
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["ansible"]
    least = yaml.safe_load((ROOT / "ansible/meta/runtime.yml").read_text())["requires_ansible"]
    assert re.findall(r"[\d.]+", needs[0]) == [least.removeprefix(">=").removesuffix(".0")]
