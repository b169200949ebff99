"""iproute2: a script that makes all, or nothing; and removes what it made, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from vecnet.export import commands
from vecnet.export.base import Made, Target

_HEAD = """\
#!/bin/sh
# {what}, as `vecnet export` wrote it: {name}.sh up, {name}.sh down
set -e
"""

# an interface is removed only where its group is the one that it was given; so are tunnels, by their peers' number
_REMOVE = """\
remove() {{
    case "$(ip -o link show dev "$1" 2>/dev/null)" in {marked}) ip link delete dev "$1" ;; esac
}}
remove_tunnel() {{
    case "$(ip l2tp show tunnel tunnel_id "$1" 2>/dev/null)" in *"Peer tunnel $2"*)
        ip l2tp del tunnel tunnel_id "$1" ;;
    esac
}}
"""

# none of the names is there before: so what is there after a failure was made, be it marked already or not
_UP = """\
undo() {
    down
    for name in $names; do ip link delete dev "$name" 2>/dev/null || true; done
}

up() {
    for name in $names; do
        if ip link show dev "$name" >/dev/null 2>&1; then
            echo "$name is there already: nothing was made" >&2
            exit 1
        fi
    done
    trap 'status=$?; [ $status = 0 ] || undo; exit $status' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
"""

_FOOT = """\
case "${1:-}" in
up | down) "$1" ;;
*)
    echo "usage: $0 up|down" >&2
    exit 2
    ;;
esac
"""


class Iproute2(Target):
    name = "iproute2"

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        return {f"{topology}.sh": script(topology, f"The host's end of {topology}", made)}


def script(name: str, what: str, made: Sequence[Made]) -> str:
    """A script for these, which are of one machine."""
    names = " ".join(name for one in made for name in one.ends)
    group = made[0].group
    down = (_down(one) for one in reversed(made))
    return "\n".join(
        [
            _HEAD.format(what=what, name=name),
            f"names={shlex.quote(names)}\n",
            _REMOVE.format(marked=f'*" group {group} "*' if group else "?*"),
            f"down() {{\n{_indented(down)}}}\n",
            f"{_UP}{_indented(_up(made))}}}\n",
            _FOOT,
        ]
    )


def _up(made: Sequence[Made]) -> Iterator[str]:
    """As `up` does it: tunnels of L2TP last, whose local address must be there before."""
    late = [one for one in made if one.l2tp]
    for group in [one for one in made if not one.l2tp], late:
        for step in commands.make, commands.settle, commands.addresses:
            yield from chain.from_iterable(map(step, group))


def _down(made: Made) -> str:
    if made.l2tp:
        return f"remove_tunnel {made.l2tp.tunnel_id} {commands.peer_tunnel(made)}"
    return f"remove {shlex.quote(made.interface.ifname)}"


def _indented(lines: Iterator[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)
