"""The probes of `vecnet loopback`, each as a test. A link's are tried together, at the first question, in a sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# it ends with pytest, however that ends; -P: a file called vecnet.py in this folder is not vecnet
_VECNET = (
    *(sys.executable, "-P", "-c"),
    "from vecnet import sandbox; sandbox.end_with_parent(); from vecnet.__main__ import main; main()",
)


class TopologyFile(pytest.File):
    """A topology, whose links' probes are tests."""

    def collect(self) -> Iterator[pytest.Item]:
        from vecnet.errors import InputError
        from vecnet.loopback.probes import NAMES
        from vecnet.topology import load

        try:
            topology = load(self.path)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        self._results: dict[str, dict[str, dict[str, Any]]] = {}  # of each link, by probe, until they are asked for
        self._trouble: dict[str, str] = {}  # for each link that could not be tried: the test that says why
        self._links = [link.name for link in topology.links]
        for link in self._links:
            for probe in NAMES:
                yield ProbeItem.from_parent(self, name=f"{link}[{probe}]", link=link, probe=probe)

    def result(self, item: ProbeItem) -> dict[str, Any]:
        """What a probe found; who asks again wants it tried again. Raises ProbeError where it could not be tried."""
        told = self._trouble.get(item.link, item.nodeid)
        if told != item.nodeid:
            raise ProbeError(f"not tried, for the reason that {told} has")
        if item.probe not in self._results.get(item.link, {}):
            self._trouble[item.link] = item.nodeid  # for the others, if this is ended by a time-out, say
            self._results[item.link] = self._run(item)
            del self._trouble[item.link]
        return self._results[item.link].pop(item.probe)

    def _run(self, item: ProbeItem) -> dict[str, dict[str, Any]]:
        here = self.config.getoption("vecnet_here")
        command = [
            *(() if here else (*_VECNET, "sandbox", str(self.path), "--")),
            *(*_VECNET, "loopback", str(self.path), f"--link={item.link}", "--json=-"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if not done.stdout:
            self._trouble = dict.fromkeys(self._links, item.nodeid)  # no other link can be tried either
            raise ProbeError(done.stderr.strip() or f"vecnet loopback ended with status {done.returncode}")
        (link,) = json.loads(done.stdout)["links"]
        return {result["probe"]: result for result in link["probes"]}


class ProbeError(Exception):
    """A probe that did not pass; the message is the reason."""


class ProbeItem(pytest.Item):
    """One probe on one link. What could not be tested fails; what the link does not have is skipped."""

    def __init__(self, *, link: str, probe: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.link, self.probe = link, probe

    def runtest(self) -> None:
        assert isinstance(self.parent, TopologyFile)
        result = self.parent.result(self)
        if result["verdict"] == "n/a":
            pytest.skip(result["reason"])
        if result["verdict"] != "pass":
            raise ProbeError(f"{result['verdict']}: {result['reason']}")
        self.user_properties += list(result["figures"].items())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, ProbeError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.link} {self.probe}"
