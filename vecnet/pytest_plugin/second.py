"""The second pytest: it collects what the first has collected, and runs of it the tests that the first asks for.

It is in a user namespace from its start, while it has no threads. It keeps the first's network until it has collected,
so that it finds what the first has found; then it moves into a network of its own, from where it goes into labs.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import warnings
from collections.abc import Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

import vecnet
from vecnet import sandbox
from vecnet.errors import HostError
from vecnet.signals import end_with_parent


def main(channel: int, parent: int) -> None:
    """Serve the first pytest, process `parent`, on the socket `channel`."""
    os.set_inheritable(channel, False)
    with Connection(channel) as first:
        start = first.recv()
        try:
            if not sandbox.privileged():
                sandbox.become_root()
        except HostError as error:
            first.send(("begun", str(error)))
            return
        end_with_parent(parent)
        sys.argv = start["argv"]
        os.environ["PYTEST_XDIST_WORKER"] = start["workerinput"]["workerid"]
        # pytest would warn that it comes too late to rewrite it: an error where a project's configuration says so
        vecnet.__doc__ = f"{vecnet.__doc__}\nPYTEST_DONT_REWRITE"
        pytest.main(start["args"], plugins=[Worker(first, start["workerinput"], start["basetemp"])])


# the terminal is the first pytest's; this one is for who asks for it, as --pdb does
Silent = type(
    "Silent", (TerminalReporter,), {name: None for name in dir(TerminalReporter) if name.startswith("pytest_")}
)


class Worker:
    """A plugin of the second pytest."""

    def __init__(self, first: Connection, workerinput: dict[str, Any], basetemp: str | None) -> None:
        self._first, self._workerinput, self._basetemp = first, workerinput, basetemp
        self._not_collected: list[str] = []
        self._config: pytest.Config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Make it a worker to other plugins, and no controller of workers of xdist."""
        config.workerinput = {  # type: ignore[attr-defined]
            **self._workerinput,
            "cov_master_host": socket.gethostname(),
            "cov_master_topdir": str(Path.cwd()),
        }
        config.workeroutput = {}  # type: ignore[attr-defined]
        config.option.basetemp = self._basetemp
        self._config = config
        for name, value in (("numprocesses", None), ("tx", []), ("dist", "no"), ("distload", False)):
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        if config.pluginmanager.hasplugin("terminalreporter"):
            config.pluginmanager.unregister(name="terminalreporter")
            config.pluginmanager.register(Silent(config, sys.stdout), "terminalreporter")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from vecnet import host
        from vecnet.topology import Topology

        try:
            sandbox.Place.made().close()
            host.prepare_sandbox(Topology("", "", (), ()))  # its loopback
        except HostError as error:
            self._tell("begun", str(error))
            return True
        self._tell("begun", "")
        items = {item.nodeid: item for item in session.items}
        while (asked := self._asked()) is not None:
            nodeid, after, session.testsfailed = asked
            item = items.get(nodeid)
            if item is None:
                self._tell_missing(nodeid)
            else:
                self._run(item, items.get(after or ""))
                self._tell("stop", (session.shouldfail, session.shouldstop))
            self._tell("done", None)
        return True

    def _asked(self) -> tuple[str, str | None, int] | None:
        """The next test, the one after it, and how many have failed; None at the end. An interrupt is the first's."""
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            asked: tuple[str, str | None, int] | None = self._first.recv()
        except EOFError:
            return None
        finally:
            signal.signal(signal.SIGINT, handler)
        return asked

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        except KeyboardInterrupt:
            self._tell("interrupt", None)
            raise
        except pytest.exit.Exception as exit:
            self._tell("exit", (exit.msg, exit.returncode))
            raise

    def _tell_missing(self, nodeid: str) -> None:
        reason = "\n".join(["it was not collected where tests with a lab run", *self._not_collected])
        report = pytest.TestReport(nodeid, (nodeid, None, nodeid), {}, "failed", reason, "setup")
        self.pytest_runtest_logstart()
        self.pytest_runtest_logreport(report)
        self.pytest_runtest_logfinish()

    def _tell(self, what: str, value: object) -> None:
        self._first.send((what, value))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._not_collected.append(report.longreprtext)

    def pytest_runtest_logstart(self) -> None:
        self._tell("start", None)

    def pytest_runtest_logfinish(self) -> None:
        self._tell("finish", None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self._config.hook
        hook.pytest_report_teststatus(report=report, config=self._config)  # it fails a test whose subtests fail
        self._tell("report", hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        if when == "runtest":  # the first has had the others itself
            category = warning_message.category
            text = str(warning_message.message)
            warning = (text, category.__module__, category.__name__, warning_message.filename, warning_message.lineno)
            self._tell("warning", {"warning": warning, "when": when, "nodeid": nodeid, "location": location})

    def pytest_internalerror(self, excrepr: object) -> bool:
        self._tell("internal error", f"in the process of tests with a lab:\n{excrepr}")
        return True  # the first prints it
