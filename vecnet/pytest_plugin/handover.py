"""The first pytest's part where it may not enter labs itself: it hands each test with a lab over to a second pytest.

What the second does for a test comes back as it happens, and is told to the first's hooks in the same order: that the
test starts, its reports, its warnings, that it ends. The second starts with the first such test, and ends after the
last test of all. Should it die, the test that it ran fails, and the next one has a new one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.util import _args_from_interpreter_flags  # type: ignore[attr-defined]
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vecnet.pytest_plugin.lab import TOPOLOGY, Labs

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from vecnet.pytest_plugin.second import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_LOOK = 0.1  # seconds between looks at a silent second pytest: does it still live?
_PATIENCE = 0.5  # seconds in which the second pytest may tell of an interrupt by itself


class Ended(Exception):
    """The second pytest is no more; the message says how it ended."""


class Handover:
    """A plugin of the first pytest."""

    def __init__(self, config: pytest.Config, labs: Labs) -> None:
        self._config, self._labs = config, labs
        self._second: Second | None = None
        self._started = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Hand a test with a lab over, unless this process may enter labs itself, or none can be had."""
        if not _wants_lab(item) or self._labs.can_return or self._labs.trouble:
            return None
        if self._config.pluginmanager.hasplugin("timeout"):
            item.ihook.pytest_timeout_cancel_timer(item=item)  # the second pytest has its own, for the test alone
        try:
            self._second = self._second or self._start()
            if self._second is None:
                return None  # the test's fixture tells why
            self._second.run(item, self._next(item, nextitem))
        except Ended as ended:
            self._second = None
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", str(ended), "call")
            item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self._tear_down(item, nextitem)
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """The second pytest ends before others sum up what it measured."""
        try:
            return (yield)
        finally:
            if self._second is not None:
                self._second.end()

    def _start(self) -> Second | None:
        self._started += 1
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)  # the second has the terminal itself, for --pdb and -s
        second = Second(self._config, f"labs{self._started}")
        try:
            self._labs.trouble = second.begun()
        except Ended as ended:
            self._labs.trouble = f"no test with a lab can run: {ended}"
        return None if self._labs.trouble else second

    def _next(self, item: pytest.Item, nextitem: pytest.Item | None) -> pytest.Item | None:
        """The next test with a lab: up to it fixtures of the second pytest that both tests share are kept."""
        if nextitem is None or _wants_lab(nextitem):
            return nextitem
        items = item.session.items
        number = items.index(nextitem)
        if hasattr(self._config, "workerinput") or items[number - 1] is not item:
            return None  # xdist has not decided yet
        return next(filter(_wants_lab, items[number:]), None)

    def _tear_down(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """What tests without a lab share here, and the next test does not, ends as it does after any other test."""
        session = item.session
        upto = None if session.shouldfail or session.shouldstop else nextitem
        call = pytest.CallInfo.from_call(
            lambda: session._setupstate.teardown_exact(upto),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None:
            item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))


def _wants_lab(item: pytest.Item) -> bool:
    return TOPOLOGY in getattr(item, "fixturenames", ())


class Second:
    """The second pytest, as a process to talk to. Every method may raise Ended."""

    def __init__(self, config: pytest.Config, name: str) -> None:
        """Start it; `name` is that of its folder for temporary files."""
        self._config = config
        self._interrupted = 0.0  # when this process was, and the second has not been told
        ours, theirs = socket.socketpair()
        self._channel = Connection(ours.detach())
        path = json.dumps([str(folder) for folder in sys.path])
        flags = _args_from_interpreter_flags()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-P", "-c", _BOOT, path, str(theirs.fileno()), str(os.getpid())],
                cwd=config.invocation_params.dir,
                pass_fds=[theirs.fileno()],
            )
        self._tell(
            {
                "argv": sys.argv,
                "args": [str(word) for word in config.invocation_params.args],
                "workerinput": _workerinput(config),
                "basetemp": str(config._tmp_path_factory.getbasetemp() / name),  # type: ignore[attr-defined]
            }
        )

    def begun(self) -> str:
        """Wait until it can run tests; or the reason why it cannot."""
        _, trouble = self._hear()
        return str(trouble)

    def run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Have it run a test, and tell this pytest's hooks of all that happens. Raises what it raises, too."""
        self._tell((item.nodeid, nextitem.nodeid if nextitem else None, item.session.testsfailed))
        with self._interrupts_noted():
            for what, value in iter(self._hear, ("done", None)):
                self._replay(item, what, value)

    def end(self) -> None:
        """Let it tear down what its tests shared, and wait for its end."""
        try:
            with suppress(Ended):
                self._tell(None)
                while True:
                    what, value = self._hear()
                    if what == "internal error":
                        raise RuntimeError(value)
        finally:
            self._process.kill()
            self._process.wait()
            self._channel.close()

    def _replay(self, item: pytest.Item, what: str, value: Any) -> None:
        session, hook = item.session, item.ihook
        match what:
            case "start":
                hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            case "finish":
                hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            case "report":
                report = hook.pytest_report_from_serializable(config=self._config, data=value)
                report.nodeid = item.nodeid  # to which xdist may have added the test's group
                hook.pytest_runtest_logreport(report=report)
            case "warning":
                self._config.hook.pytest_warning_recorded.call_historic(kwargs=_with_warning(value))
            case "stop":
                session.shouldfail, session.shouldstop = (
                    session.shouldfail or value[0],
                    session.shouldstop or value[1],
                )
            case "exit":
                pytest.exit(*value)
            case "interrupt":
                raise KeyboardInterrupt
            case "internal error":
                raise RuntimeError(value)

    def _tell(self, what: object) -> None:
        try:
            self._channel.send(what)
        except OSError:
            raise self._ended() from None

    def _hear(self) -> tuple[str, Any]:
        while not self._channel.poll(_LOOK):
            if self._process.poll() is not None and not self._channel.poll():  # its children may keep the channel open
                raise self._ended()
            if self._interrupted and time.monotonic() > self._interrupted + _PATIENCE:
                self._interrupted = 0.0
                if not _at_terminal():  # which interrupts both
                    self._process.send_signal(signal.SIGINT)
        try:
            told: tuple[str, Any] = self._channel.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        return told

    def _ended(self) -> Ended:
        status = self._process.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return Ended(f"the process of tests with a lab {how}")

    @contextmanager
    def _interrupts_noted(self) -> Iterator[None]:
        """An interrupt is the second pytest's within the block: it has the test, or a debugger, to end."""

        def note(_number: int, _frame: object) -> None:
            self._interrupted = time.monotonic()

        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        ):
            yield
            return
        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _at_terminal() -> bool:
    """Whether this process is in the foreground of a terminal."""
    with suppress(OSError), Path("/dev/tty").open() as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def _workerinput(config: pytest.Config) -> dict[str, Any]:
    """What tells other plugins in the second pytest that it is a worker, and is to write no report of its own."""
    found: dict[str, Any] = {"workercount": 1, "testrunuid": uuid.uuid4().hex, "mainargv": sys.argv}
    found |= getattr(config, "workerinput", {})
    found["workerid"] = f"{found['workerid']}-labs" if "workerid" in found else "labs"
    if hasattr(config.hook, "pytest_configure_node") and not hasattr(config, "workerinput"):
        # a hook of xdist, by which a plugin tells its other half in a worker what that must know
        node = SimpleNamespace(config=config, workerinput=found, gateway=SimpleNamespace(id=found["workerid"]))
        plugins = config.pluginmanager
        without_coverage = [plugins.getplugin("_cov")]  # which knows other workers than xdist's; see second.py
        plugins.subset_hook_caller("pytest_configure_node", without_coverage)(node=node)
    return found


def _with_warning(told: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the hook; the class of the warning may be one that only the second pytest has imported."""
    text, module, name, filename, line = told.pop("warning")
    category = type(name, (Warning,), {"__module__": module})
    return {**told, "warning_message": warnings.WarningMessage(text, category, filename, line)}
