"""The probes of `vecnet loopback`, each as a test. A link's are tried together, at the first question, in a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr, TracebackStyle

_PYTHON = (sys.executable, "-P")  # a file called vecnet.py in this folder is not vecnet
_BOOT = (  # a command that ends with pytest, however that ends
    "import sys; from vecnet.signals import end_with_parent; end_with_parent(int(sys.argv.pop(1))); "
    "from vecnet.__main__ import main; main()"
)


@dataclass(frozen=True)
class Result:
    """What a probe found, as the report in JSON has it."""

    verdict: str
    reason: str
    figures: Mapping[str, float]


class TopologyFile(pytest.File):
    """A topology, whose links' and bridges' probes are tests."""

    def collect(self) -> Iterator[pytest.Item]:
        from vecnet.errors import InputError
        from vecnet.loopback import bridge, probes_of
        from vecnet.loopback.subject import of_topology
        from vecnet.topology import load

        try:
            topology = load(self.path).one_machine()
        except InputError as error:
            raise self.CollectError(str(error)) from None
        self._results: dict[str, dict[str, Result]] = {}  # of each subject, by probe, until they are asked for
        self._trouble: dict[str, str] = {}  # for each subject that could not be tried: the test that says why
        self._words: dict[str, list[str]] = {}  # of the command that tries a subject
        subjects = of_topology(topology)
        for subject in subjects:
            self._words[subject.name] = [f"--link={subject.name}"]
            yield from (self._item(subject.name, probe) for probe in probes_of(subject))
        for one in bridge.of_subjects(subjects):
            self._words[one.name] = [*(f"--link={member.name}" for member in one.members), f"--probe={bridge.PROBE}"]
            yield self._item(one.name, bridge.PROBE)

    def _item(self, subject: str, probe: str) -> pytest.Item:
        return ProbeItem.from_parent(self, name=f"{subject}[{probe}]", subject=subject, probe=probe)

    def result(self, item: ProbeItem) -> Result:
        """What a probe found; who asks again wants it tried again. Raises ProbeError where it could not be tried."""
        told = self._trouble.get(item.subject, item.nodeid)
        if told != item.nodeid:
            raise ProbeError(f"not tried, for the reason that {told} has")
        if item.probe not in self._results.get(item.subject, {}):
            self._trouble[item.subject] = item.nodeid  # for the others, if this is ended by a time-out, say
            self._results[item.subject] = self._run(item)
            del self._trouble[item.subject]
        return self._results[item.subject].pop(item.probe)

    def _run(self, item: ProbeItem) -> dict[str, Result]:
        here = self.config.getoption("vecnet_here")
        command = [
            *(*_PYTHON, "-c", _BOOT, str(os.getpid())),
            *(() if here else ("sandbox", str(self.path), "--", *_PYTHON, "-m", "vecnet")),
            *("loopback", str(self.path), *self._words[item.subject], "--json=-"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if not done.stdout:
            self._trouble = dict.fromkeys(self._words, item.nodeid)  # nothing else can be tried either
            raise ProbeError(done.stderr.strip() or f"vecnet loopback ended with status {done.returncode}")
        report = json.loads(done.stdout)["links"][-1]  # a bridge comes after its members
        return {
            found["probe"]: Result(found["verdict"], found["reason"], found["figures"]) for found in report["probes"]
        }


class ProbeError(Exception):
    """A probe that did not pass; the message is the reason."""


class ProbeItem(pytest.Item):
    """One probe on one link or bridge. What could not be tested fails; what the link does not have is skipped."""

    def __init__(self, name: str, parent: TopologyFile, *, subject: str, probe: str) -> None:
        super().__init__(name, parent)
        self.subject, self.probe = subject, probe

    def runtest(self) -> None:
        assert isinstance(self.parent, TopologyFile)
        result = self.parent.result(self)
        if result.verdict == "n/a":
            pytest.skip(result.reason)
        if result.verdict != "pass":
            raise ProbeError(f"{result.verdict}: {result.reason}")
        self.user_properties += list(result.figures.items())

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: TracebackStyle | None = None
    ) -> str | TerminalRepr:
        if isinstance(excinfo.value, ProbeError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.subject} {self.probe}"
