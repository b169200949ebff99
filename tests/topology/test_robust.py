"""Whatever the file holds, the answer is a topology or an InputError; and loading brings in no more than it needs."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.broken import CASES, MARK
from tests.topology.test_load import DESIGN
from vecnet.errors import InputError
from vecnet.topology import load, loads

TEXTS = [case[0].replace(MARK, "") for case in CASES.values()] + [DESIGN]
WORDS = [
    *("links", "name", "defaults", "bridges", "transport", "endpoints", "tap", "gre", "l2tpv3", "raw", "fd", "bess"),
    *(
        "web:vec0",
        "db:vec1",
        "host:tap0",
        "local",
        "ip",
        "mac",
        "bridge",
        "key",
        "port",
        "cookie",
        "192.0.2.1",
        "fd00::1",
    ),
    *(
        "10.0.0.1/24",
        "on",
        "0x10",
        "-1",
        "1e3",
        "~",
        "",
        "vec0",
        "host:",
        ":vec0",
        "lan",
        "1500",
        "netns",
        "ifname",
        "<<",
    ),
]
SCALARS = st.sampled_from(WORDS) | st.text(max_size=4) | st.integers() | st.booleans() | st.none()
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=30,
)


def answered(text: str) -> None:
    try:
        topology = loads(text, underlay=lambda *_: 1500)
    except InputError as error:
        problems = error.problems
    else:
        problems = ()
        assert [str(device) for guest in topology.guests for device in topology.devices(guest)]
    for problem in problems:
        assert problem.where is not None
        assert problem.message


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_text(text: str) -> None:
    answered(text)


@settings(deadline=None, max_examples=400)
@given(TREES)
def test_any_tree(tree: Any) -> None:
    answered(yaml.safe_dump(tree))
    answered(yaml.safe_dump({"links": [tree, {"transport": "gre", "endpoints": tree}]}))


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(TEXTS),
    st.integers(0, 2000),
    st.integers(0, 12),
    st.sampled_from([*WORDS, "\n", "  ", "- ", "{", "*"]),
)
def test_any_text_with_a_piece_replaced(text: str, start: int, length: int, piece: str) -> None:
    start = min(start, len(text))
    answered(text[:start] + piece + text[start + length :])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real stream's bytes are read, since it is they that have an encoding."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + DESIGN.encode())))
    assert load("-").name == "lab"


def test_other_encodings_of_yaml(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "lab.yaml").write_text(DESIGN, encoding=encoding)
        assert load(tmp_path / "lab.yaml", underlay=lambda *_: 1500) == load(
            str(tmp_path / "lab.yaml"), underlay=lambda *_: 1500
        )


def test_the_collector_is_left_as_it_was() -> None:
    answered(DESIGN)
    assert gc.isenabled()
    with pytest.raises(InputError):
        loads("")
    assert gc.isenabled()


def test_args_loads_only_what_it_needs(tmp_path: Path) -> None:
    """What `vecnet args` imports is most of its time."""
    file = tmp_path / "lab.yaml"
    file.write_text("links:\n  - transport: tap\n    endpoints: [web:vec0, host:tap0]\n")
    code = (
        "import sys\nfrom vecnet.cli import main\n"
        "try: main(['args', sys.argv[1]])\nexcept SystemExit as end: assert not end.code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True, timeout=60
    )
    string, modules = done.stdout.splitlines()
    assert string.startswith("vec0:transport=tap,ifname=tap0,")
    unwanted = {"pyroute2", "rich", "socket", "asyncio", "cffi", "difflib", "subprocess", "vecnet.host"}
    unwanted |= {"vecnet.transports.gre", "vecnet.transports.l2tpv3", "vecnet.datapath", "vecnet.topology.schema"}
    assert not unwanted & set(modules.split())
