# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Asking vecnet on the host: one request, one answer, both JSON (vecnet/fleet/agent.py)."""

from __future__ import annotations

import json
import os
import sys

VERSION = "0.1.0"  # of vecnet, with which this collection goes
INSTALLED = "/opt/vecnet/bin/python"  # where the role lab puts it

ARGUMENTS = {
    "content": {"type": "str"},
    "file": {"type": "str", "default": "topology.yaml"},
    "host": {"type": "str"},
    "python": {"type": "path"},
}


def ask(module, do, **more):
    """What vecnet answers; where it refuses or is not there, the module fails with its sentences."""
    python = module.params["python"] or (INSTALLED if os.access(INSTALLED, os.X_OK) else sys.executable)
    request = {
        "version": VERSION,
        "do": do,
        "text": module.params["content"],
        "path": module.params["file"],
        "host": module.params["host"],
    }
    request.update(more)
    command = [python, "-I", "-m", "vecnet.fleet.agent"]
    if not os.access(python, os.X_OK):
        module.fail_json(msg=f"{python} is no program that can be run; the role vecnet.uml.lab installs vecnet")
    status, out, err = module.run_command(command, data=json.dumps(request), expand_user_and_vars=False)
    try:
        answer = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        why = _why(python, status, err)
        module.fail_json(msg=why, exit_code=1, problems=[{"message": why, "instead": ""}])
    for line in err.splitlines():
        module.warn(line)
    if "problems" in answer:
        sentences = [
            "; ".join(part for part in (problem["message"], problem["instead"]) if part)
            for problem in answer["problems"]
        ]
        untouched = bool(answer.get("untouched"))
        module.fail_json(msg="\n".join(sentences), problems=answer["problems"], exit_code=status, untouched=untouched)
    return answer


def _why(python, status, err):
    if status < 0:
        return f"vecnet on this host was ended by signal {-status}"
    if "No module named" in err and "vecnet" in err:
        return f"vecnet is not installed for {python}; the role vecnet.uml.lab installs it"
    said = err.strip().splitlines() or ["it said nothing"]
    return f"vecnet on this host gave no answer: {said[-1]}"
