"""Names that go into commands: a shell and an editor's schema are of one mind with the loader."""

from __future__ import annotations

import re
import shlex
import string

import pytest

from vecnet.errors import InputError
from vecnet.topology import loads
from vecnet.values import IfName, NewIfName

ASCII = [chr(number) for number in range(33, 127)]
RAW = "name: lab\nlinks: [{transport: raw, endpoints: {web:vec0: {ifname: %s}, host:veth0: {}}}]"
TAP = "name: lab\nlinks: [{transport: tap, endpoints: [web:vec0, %s]}]"
BRIDGE = "name: lab\nlinks: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\nbridges: {%s: {}}"


@pytest.mark.parametrize("char", ASCII)
def test_a_new_interface_has_a_name_that_a_shell_takes_as_it_stands(char: str) -> None:
    kind = NewIfName()
    for name in (f"a{char}b", f"{char}ab", f"ab{char}"):
        if kind.accepts(name):
            assert shlex.split(f"ip link del {name} # it") == ["ip", "link", "del", name, "#", "it"]
            assert char in string.ascii_letters + string.digits + "_-.@+"
        else:
            assert char in "-/:%,=" or shlex.quote(char) != char, "nothing else is refused"
        assert kind.accepts(name) == (re.fullmatch(kind.PATTERN, name) is not None), name


@pytest.mark.parametrize("char", "$;|*\\&'\"()<>?[]{}!#~`^")
def test_a_topology_refuses_the_shells_own_signs_wherever_it_names_what_is_made(char: str) -> None:
    assert IfName().accepts(f"a{char}b") == (char != '"'), "of an interface that somebody else made"
    for text, name in ((RAW, f"a{char}b"), (TAP, f"host:a{char}b"), (BRIDGE, f"a{char}b")):
        quoted = "'" + name.replace("'", "''") + "'"
        with pytest.raises(InputError) as caught:
            loads(text % quoted)
        (problem,) = caught.value.problems
        assert "choose a name without it" in problem.instead
        assert problem.where is not None


def test_names_beyond_ascii_stay() -> None:
    assert loads(TAP % "host:größe").interfaces[0].ifname == "größe"
