"""What all transports have in common: the common options, and the string around the options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vecnet
from tests.transports.tables import (
    DROPS,
    FALLBACK,
    IGNORED,
    NOTE,
    PANIC,
    REFUSED,
    Misread,
    check_misread,
)
from vecnet.guests import GENERATIONS, Case, Situation
from vecnet.options import Severity
from vecnet.transports import TRANSPORTS, Transport
from vecnet.vecstring import VecDevice, explain

FD = "transport=fd,fd=100"
FULL = "transport=fd,fd=100" + "".join(f",x{number}=1" for number in range(18))  # 20 tokens

# behind vec0:
OPTIONS: Misread = [
    (f"{FD},depth=0x80", FALLBACK, "the guest falls back to its default; write 128", f"{FD},depth=128"),
    (f"{FD},depth=0x40", NOTE, "cannot read '0x40', and its default is the same; write 64", FD),
    (f"{FD},depth=0128", NOTE, "no mac", f"{FD},depth=128"),
    (
        f"{FD},depth=0",
        DROPS,
        "'0' is not a whole number from 1 to 1024; 6.1: the guest takes it: no packet moves",
        None,
    ),
    (f"{FD},depth=65537", PANIC, "so large a queue cannot be had, and the guest kernel panics", None),
    (f"{FD},depth=128", NOTE, "depth=128: the guest's kernel warns of its NAPI weight, and works", f"{FD},depth=128"),
    (f"{FD},depth=4096", DROPS, "more than 1024 packets never move at once", None),
    (f"{FD},depth=-1", FALLBACK, "'-1' is not a whole number from 1 to 1024; the guest falls back", None),
    (f"{FD},depth=many", FALLBACK, "write a whole number from 1 to 1024", None),
    (f"{FD},depth=" + "9" * 30, FALLBACK, "falls back to its default", None),
    (f"{FD},mtu=575", FALLBACK, "below 576 and from 65535 on the guest stays at 1500", None),
    (f"{FD},mtu=0x578", FALLBACK, "the guest stays at 1500; write 1400", f"{FD},mtu=1400"),
    (f"{FD},mtu=9k", FALLBACK, "'9k' is not a whole number from 576 to 65521; the guest stays at 1500", None),
    (f"{FD},headroom=5000", FALLBACK, "the guest takes it all the same", None),
    (f"{FD},headroom=65535", PANIC, "panics with the first packet, or loses every one", None),
    (f"{FD},headroom=0x20", FALLBACK, "falls back to its default; write 32", f"{FD},headroom=32"),
    (f"{FD},gro=on", FALLBACK, "falls back to its default; write 1", f"{FD},gro=1"),
    (f"{FD},gro=off", NOTE, "cannot read 'off', and its default is the same; write 0", FD),
    (f"{FD},gro=2", NOTE, "the guest reads 2 as on; write 1", f"{FD},gro=1"),
    (f"{FD},gro=-1", FALLBACK, "'-1' is not on or off; the guest falls back to its default; write 1 or 0", None),
    (f"{FD},vec=off", FALLBACK, "falls back to its default; write 0", f"{FD},vec=0"),
    (f"{FD},vec=00", NOTE, "no mac", f"{FD},vec=0"),
    (
        f"{FD},mac=2:0:0:0:0:a",
        FALLBACK,
        "02:00:00:00:00:01; 6.1 and 6.12: the guest takes it for 02:00:00:00:00:0a; 7.2: the guest uses a random",
        f"{FD},mac=02:00:00:00:00:0a",
    ),
    (
        f"{FD},mac=02:00:00:00:00:0ax",
        FALLBACK,
        "6.1 and 6.12: the guest uses a random address; 7.2: the guest takes it for 02:00:00:00:00:0a",
        f"{FD},mac=02:00:00:00:00:0a",
    ),
    (
        f"{FD},mac=02:00:00:00:00:00a",
        FALLBACK,
        "takes it for 02:00:00:00:00:0a; 7.2: the guest takes it for 02:00:00:00:00:00",
        f"{FD},mac=02:00:00:00:00:0a",
    ),
    (f"{FD},mac=02:00:00:00:00:0A:ff", FALLBACK, "takes it for 02:00:00:00:00:0a", f"{FD},mac=02:00:00:00:00:0a"),
    (f"{FD},mac=02:00:00:00:0a", FALLBACK, "such as 02:00:00:00:00:01; the guest uses a random address", None),
    (f"{FD},mac=02-00-00-00-00-0a", FALLBACK, "the guest uses a random address", None),
    (
        f"{FD},mac=01:00:5e:00:00:01",
        FALLBACK,
        "the guest uses a random address; clear the lowest",
        None,
    ),
    (f"{FD},mac=00:00:00:00:00:00", FALLBACK, "the guest uses a random address", None),
]
PIECES: Misread = [
    (f"{FD},", NOTE, "no mac", FD),
    (f"{FD},,gro=1", NOTE, "an empty token is passed over; leave the second comma out", f"{FD},gro=1"),
    (f"{FD},gro", IGNORED, "a token without a value is as good as absent; write gro=…, or leave it out", FD),
    (f"{FD},gro=", IGNORED, "a token without a value is as good as absent", FD),
    (f"{FD},depth=,depth=2", FALLBACK, "given twice, and the first one, depth=, wins; leave one out", None),
    (f"{FD},depth=2,depth=3", FALLBACK, "given twice, and the first one, depth=2, wins", f"{FD},depth=2"),
    (f"{FD},depth=2,depth=2", NOTE, "given twice, and the first one, depth=2, wins", f"{FD},depth=2"),
    (f"{FD},depth,depth=2", IGNORED, "as good as absent", f"{FD},depth=2"),
    (f"{FD},depth=2=3", REFUSED, "a second '=' in one value: the guest refuses the whole device", None),
    (f"{FD},DEPTH=2", IGNORED, "fd knows no such option: it is ignored; write depth=2", f"{FD},depth=2"),
    (f"{FD},foo=1", IGNORED, "fd knows no such option: it is ignored; leave it out", FD),
    (f"{FD},dpeth=x", IGNORED, "write depth=x", None),
    (FULL, IGNORED, "it is ignored", FD),
    (f"{FULL},", IGNORED, "it is ignored", FD),
    (f"{FULL},y=1", REFUSED, "the guest has room for 20 tokens", FD),
    (f"{FULL},y", REFUSED, "leave out what is default", FD),
    (FULL.replace(",x0", ",a,b,c,x0"), IGNORED, "as good as absent", FD),
    (f"{FD}, gro=1", IGNORED, "' ' ends the string on a kernel's command line", f"{FD},gro=1"),
    (f"{FD},gro=1\n,vec=0", IGNORED, "the guest reads 'vec0:", f"{FD},gro=1,vec=0"),
    (f"{FD},gro=1 root=/dev/ubda", REFUSED, "a second '='", None),
    (f"{FD} ", NOTE, "the guest does not see the white space and quotes around the string", FD),
    ('transport=raw,ifname="v0', REFUSED, "joins what follows up to the next one", None),
    ("transport=l2tpv3, rx_session=1", PANIC, "' ' ends the string", None),
    ("", REFUSED, "no transport is named, so opening the device fails: Invalid argument; add transport= with", None),
    ("fd=100", REFUSED, "no transport is named", None),
    ("transport", REFUSED, "no transport is named", None),
    ("transport=", REFUSED, "no transport is named", None),
    ("transport=,transport=fd,fd=1", REFUSED, "there is no transport ''", None),
    ("transport=fdx,fd=100", FALLBACK, "compared by prefix: the guest opens fd; write transport=fd", FD),
    ("transport=FD,fd=100", REFUSED, "there is no transport 'FD': opening the device fails", FD),
    ("transport=l2tp", REFUSED, "write transport=l2tpv3", None),
    ("transport=vxlan,fd=1", REFUSED, f"the transports are {', '.join(TRANSPORTS)}", None),
]
# without anything before them, and the mended string's beginning
HEADS: list[tuple[str, Severity, str, str]] = [
    ("vec00:", NOTE, "the guest reads any base, and names it vec0; write vec0:", "vec0:"),
    ("vec0x10:", NOTE, "names it vec16", "vec16:"),
    ("vec010:", FALLBACK, "names it vec8; write vec10:", "vec10:"),
    ("vec08:", REFUSED, "'vec08' names no vector device, so the guest has none; begin with vec0:", "vec0:"),
    ("vec:", REFUSED, "names no vector device", "vec0:"),
    ("vec-1:", REFUSED, "names no vector device", "vec0:"),
    ("vecX:", REFUSED, "names no vector device", "vec0:"),
    ("eth0:", REFUSED, "names no vector device", "vec0:"),
    ("VEC0:", REFUSED, "names no vector device", "vec0:"),
    (":", REFUSED, "names no vector device", "vec0:"),
    ("", REFUSED, "no device is named, so the guest has none; begin with vec0:", "vec0:"),
    ("vec3=", REFUSED, "without a ':' behind vec3 the guest has no such device; write vec3:", "vec3:"),
    ("vec3,", REFUSED, "without a ':' behind vec3", "vec3:"),
    ("vec10000:", FALLBACK, "takes vec10000, names it vec10000, and vecnet's numbers end at 9999", "vec0:"),
    ("vec4294967295:", FALLBACK, "the guest takes vec4294967295, names it vec-1", "vec0:"),
    ("vec99999999999:", REFUSED, "names no vector device", "vec0:"),
    ("\tvec7:", NOTE, "the guest does not see the white space", "vec7:"),
]


@pytest.mark.parametrize("case", OPTIONS + PIECES, ids=lambda case: case[0])
def test_what_a_guest_misreads(case: tuple[str, Severity, str, str | None]) -> None:
    check_misread("vec0:", *case)


@pytest.mark.parametrize(("head", "severity", "message", "mended"), HEADS)
def test_the_beginning(head: str, severity: Severity, message: str, mended: str) -> None:
    check_misread("", f"{head}{FD}", severity, message, f"{mended}{FD}")


def test_columns_count_from_the_texts_beginning() -> None:
    explanation = explain(" vec12:transport=tap,,ifname=tap0")
    assert [token.column for token in explanation.tokens] == [8, 22, 23]
    assert [token.column for token in explain("transport=tap,depth=1").tokens] == [1, 15]


def test_the_devices_number() -> None:
    for unit in (-1, 10000):
        with pytest.raises(vecnet.VecStringError, match=f"vec{unit}: the number of a device is from 0 to 9999"):
            VecDevice(unit, vecnet.Fd(fd=1))
    assert VecDevice(9999, vecnet.Fd(fd=1)).ifname == "vec9999"


def test_an_error_holds_every_problem_and_the_mended_string() -> None:
    with pytest.raises(vecnet.VecStringError) as caught:
        vecnet.parse("vec0:transport=tap,ifname=tap0,depth=0x80,gro=on")
    assert [str(problem) for problem in caught.value.problems] == [
        "'depth=0x80': the guest falls back to its default; write 128",
        "'gro=on': the guest falls back to its default; write 1",
        "the whole string, mended; write vec0:transport=tap,ifname=tap0,depth=128,gro=1",
    ]


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_describes_its_options(name: str) -> None:
    kind = TRANSPORTS[name]
    assert list(kind.options())[: len(Transport.options())] == list(Transport.options())
    for key, option in kind.options().items():
        assert option.doc
        assert option.kind.expects
        for guest in GENERATIONS:
            for situation in (Situation.UNREADABLE, Situation.MISSING):
                effect = guest.effect(name, Case(situation, key))
                assert effect.severity > Severity.NOTE
                assert effect.message


DUMMY = '''
"""dummy: a transport that only this test knows."""

import dataclasses
from typing import ClassVar

from vecnet.values import Integer
from vecnet.options import Reading, option
from vecnet.transports.base import Transport


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dummy(Transport):
    """A transport."""

    name: ClassVar[str] = "dummy"
    link_keys = {}

    lane: int = option(Integer(1, 9), Reading.DECIMAL, "the lane")

    @classmethod
    def options_for(cls, link, end):
        return {"lane": 1 + end}
'''
USE = """
import vecnet.cli, vecnet.topology
from vecnet import Dummy, VecDevice, parse
assert str(VecDevice(0, Dummy(lane=9))) == "vec0:transport=dummy,lane=9"
assert str(parse("vec2:transport=dummy,lane=07,gro=1")) == "vec2:transport=dummy,lane=7,gro=1"
assert parse("vec0:transport=dummy,lane=1").mirror().transport.lane == 1
topology = vecnet.topology.loads("name: t\\nlinks:\\n  - {transport: dummy, endpoints: [a:vec0, b:vec0]}\\n")
assert "transport=dummy,lane=2," in str(topology.devices("b")[0])
vecnet.cli.main(["check", "vec0:transport=dummyx,lane=77"])
"""


def run_copy(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the copy of the package that is in `folder`."""
    words = [f"{sys.prefix}/bin/python", "-c", code]
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_new_transport_is_one_file(tmp_path: Path) -> None:
    """A file dropped into a copy of the package is parsed, explained and has its place in topologies."""
    copy = tmp_path / "vecnet"
    shutil.copytree(Path(vecnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (copy / "transports" / "dummy.py").write_text(DUMMY)
    done = run_copy(tmp_path, USE)
    assert done.returncode == 2, done.stderr
    assert "fallback  transport=dummyx  compared by prefix: the guest opens dummy; write transport=dummy" in done.stdout
    assert "'77' is not a whole number from 1 to 9" in done.stdout


def test_a_broken_file_of_a_transport_or_a_program_is_named(tmp_path: Path) -> None:
    copy = tmp_path / "vecnet"
    shutil.copytree(Path(vecnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (copy / "transports" / "empty.py").write_text("")
    done = run_copy(tmp_path, "from vecnet import parse; parse('vec0:transport=empty')")
    assert "ImportError: vecnet/transports/empty.py declares no transport of that name" in done.stderr
    half = "from vecnet.programs.base import Program\nclass Half(Program):\n    name = 'half'\n"
    (copy / "programs" / "half.py").write_text(half)
    done = run_copy(tmp_path, "from vecnet.programs import PROGRAMS; PROGRAMS['half']")
    assert "ImportError: vecnet/programs/half.py lacks start" in done.stderr
