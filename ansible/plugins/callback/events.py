# Copyright: vecnet developers
# Apache-2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
name: events
type: stdout
short_description: What happens on each host, a line of JSON an event
version_added: 0.1.0
description:
  - For programs that run a playbook, such as C(vecnet up). Nothing else is written to standard output.
  - Each line has C(event), which is C(hosts), C(begun), C(ok), C(failed), C(unreachable), C(skipped), C(nobody) or
    C(stats), the name of the C(host) and of the C(task), and the C(result).
author:
  - vecnet developers (@uml-vecnet)
"""

import json
import os
import sys

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes events, and nothing for people."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "vecnet.uml.events"

    def _tell(self, event, host="", task="", result=None):
        line = json.dumps(
            {"event": event, "host": host, "task": task, "result": result or {}}, default=str, skipkeys=True
        )
        os.write(sys.stdout.fileno(), line.encode("ascii") + b"\n")

    def _tell_result(self, event, result):
        self._tell(event, result._host.get_name(), result._task.name, dict(result._result))

    def v2_playbook_on_play_start(self, play):
        manager = play.get_variable_manager()
        hosts = manager._inventory.get_hosts(play.hosts) if manager and manager._inventory else []
        self._tell("hosts", result={"hosts": [host.get_name() for host in hosts]})

    def v2_playbook_on_no_hosts_matched(self):
        self._tell("nobody")

    def v2_playbook_on_stats(self, stats):
        self._tell("stats", result={host: stats.summarize(host) for host in sorted(stats.processed)})

    def v2_runner_on_start(self, host, task):
        self._tell("begun", host.get_name(), task.name)

    def v2_runner_on_ok(self, result):
        self._tell_result("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._tell_result("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._tell_result("unreachable", result)

    def v2_runner_on_skipped(self, result):
        self._tell_result("skipped", result)
