"""Carrying a plan out: steps become operations, and what fails half-way is undone.

Undoing needs no journal: the host is looked at again, and the difference from what is there now to what was there
before is carried out. So it holds wherever the failure struck, in the middle of a batch too.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from vecnet.errors import HostError, Problem, VecnetError
from vecnet.host.difference import difference
from vecnet.host.kinds import KINDS, End
from vecnet.host.plan import Node, Plan, Step
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Check, Progress, Stage, Work
from vecnet.kernel import ethtool

Look = Callable[[], Snapshot]

_KEYS = ("mtu", "mac", "gso_max_segs")  # of the kernel's interface, settable while it is up


def carry_out(plan: Plan, world: Snapshot, look: Look, check: Check, progress: Progress) -> None:
    """Do what the plan says, or nothing: raises HostError, or whatever `check` does, with the host as it was before.

    `look` reads the host anew.
    """
    before = [step.before for step in plan.changes if step.before and step.before.whole]
    try:
        operations(plan.topology, plan.steps, world).run(check, progress)
    except BaseException as error:
        touched = {step.node.key for step in plan.changes}
        try:
            undo(plan.topology, before, touched, look)
        except HostError as second:
            first = error.problems if isinstance(error, VecnetError) else [Problem(str(error) or type(error).__name__)]
            rest = f"remove the rest with: vecnet down {plan.topology}"
            raise HostError([*first, Problem(f"undoing what was done failed too: {second}", rest)]) from error
        raise


def undo(topology: str, before: Sequence[Node], touched: set[tuple[str, str]], look: Look) -> None:
    """Bring the interfaces that a plan touched back to what they were."""
    world = look()
    found = {key: node for key, node in world.nodes(topology).items() if key in touched or not node.whole}
    steps = difference(topology, before, {key: _free(node) for key, node in found.items()}, world).steps
    operations(topology, steps, world).run(_nothing, _nothing)


def _nothing(*_: int) -> None:
    """An undo is neither stopped nor shown."""


def _free(node: Node) -> Node:
    """What this run has made or changed itself may be taken back, whoever has opened it meanwhile."""
    return Node(node.netns, node.ifname, node.kind, node.link, node.values, node.whole)


def operations(topology: str, steps: Sequence[Step], world: Snapshot) -> Work:
    """The operations that carry steps out."""
    work = Work(topology, world)
    for step in steps:
        if step.action in ("delete", "replace") and step.before:
            if step.before.kind in KINDS:
                KINDS[step.before.kind].remove(work, step.before)
            else:
                work.delete(step.before.netns, step.before)
    for step in steps:
        if step.action in ("create", "replace") and step.after:
            KINDS[step.after.kind].make(work, step.after)
    for step in steps:
        if step.action in ("create", "replace") and step.after:
            _settle_new(work, step.after)
        elif step.action == "change" and step.after and step.before:
            _settle_changed(work, step.before, step.after, step.changed)
    return work


def _settle_new(work: Work, node: Node) -> None:
    """What a new interface lacks: alias, offloads, up, bridge, addresses."""
    kind = KINDS[node.kind]
    for end in kind.ends(node):
        values = _values(node, end)
        alias = str(work.mark(node, peer=bool(end.prefix)))
        autoconf = not end.prefix and node.values.get("autoconf", True)
        late = {key: values[key] for key in kind.late if values.get(key) is not None}
        work.route(Stage.SETTLE, node, end.netns, "mark it", _setter(end, alias=alias, autoconf=autoconf, **late))
        if not autoconf:
            _keep_ipv6_off(work, node, end)
        if values.get("offload") is False:
            _offload(work, node, end, False)
        bridge = values.get("bridge")
        if values.get("up", True) or bridge:
            _raise(work, node, end, up=values.get("up", True), bridge=bridge or ...)
    _addresses(work, node, (), node.values["addresses"])


def _settle_changed(work: Work, before: Node, after: Node, changed: tuple[str, ...]) -> None:
    for end in KINDS[after.kind].ends(after):
        values = _values(after, end)
        mine = {key.removeprefix(end.prefix) for key in changed if key.startswith(end.prefix)}
        if not end.prefix:
            mine -= {key for key in changed if key.startswith("peer_")}
        settings: dict[str, Any] = {key: values[key] for key in _KEYS if key in mine}
        if "mark" in changed:
            settings["group"] = work.group(end.netns)
        if "link" in changed:
            settings["alias"] = str(work.mark(after, peer=bool(end.prefix)))
        if settings:
            stage = Stage.FINISH if after.kind == "bridge" else Stage.SETTLE
            work.route(stage, after, end.netns, f"set its {', '.join(settings)}", _setter(end, **settings))
        if "offload" in mine:
            _offload(work, after, end, values["offload"])
        if "up" in mine or "bridge" in mine:
            _raise(work, after, end, up=values["up"], bridge=values.get("bridge") if "bridge" in mine else ...)
    if "addresses" in changed:
        _addresses(work, after, before.values["addresses"], after.values["addresses"])


def _values(node: Node, end: End) -> dict[str, Any]:
    """The values of one end, without its prefix."""
    if end.prefix:
        return {key.removeprefix(end.prefix): value for key, value in node.values.items() if key.startswith(end.prefix)}
    return dict(node.values)


def _setter(end: End, **settings: Any) -> Callable[[Any], bytes]:
    return lambda n: n.set_link(end.ifname, **settings)


def _offload(work: Work, node: Node, end: End, on: bool) -> None:
    family = work.family("ethtool", end.netns)
    work.generic(
        Stage.SETTLE,
        node,
        "switch its checksum offload",
        lambda n: n.set_features(family, end.ifname, ethtool.CHECKSUMS, on),
        netns=end.netns,
    )


def _keep_ipv6_off(work: Work, node: Node, end: End) -> None:
    """Nothing of IPv6 at an end that is a guest's: no report to multicast routers, which would reach the other end,
    and no routes, which the kernel walks for each interface that comes up. Where it may not be set, the guest's end
    still gets no address."""
    place = work.world.place(end.netns)

    def disable(_: Any) -> None:
        with place.entered(), contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{end.ifname}/disable_ipv6").write_text("1")

    work.call(Stage.SETTLE, node, end.netns, "keep IPv6 off it", disable)


def _raise(work: Work, node: Node, end: End, *, up: bool, bridge: Any) -> None:
    """Up or down; `bridge` is a bridge's name, None for out of any, and ... for no change."""

    def build(n: Any) -> bytes:
        master = None if bridge is ... else 0 if bridge is None else work.index(end.netns, bridge)
        return n.set_link(end.ifname, up=up, master=master)  # type: ignore[no-any-return]

    what = f"put it into bridge {bridge}" if isinstance(bridge, str) else f"set it {'up' if up else 'down'}"
    work.route(Stage.PEER if end.prefix else Stage.RAISE, node, end.netns, what, build)


def _addresses(work: Work, node: Node, before: Sequence[str], after: Sequence[str]) -> None:
    for add, texts in ((False, set(before) - set(after)), (True, set(after) - set(before))):
        for text in sorted(texts, key=(list(before) + list(after)).index):

            def build(n: Any, text: str = text, add: bool = add) -> bytes:
                return n.address(work.index(node.netns, node.ifname), text, add=add)  # type: ignore[no-any-return]

            what = f"give it the address {text}" if add else f"take the address {text} from it"
            work.route(Stage.ADDRESS, node, node.netns, what, build)


class Stopped(HostError):
    """A signal asked this run to end."""


@contextlib.contextmanager
def stoppable() -> Iterator[Check]:
    """Within the block SIGINT, SIGTERM and SIGHUP wait for the next call of the function that it gives: raises Stopped.

    Afterwards the signal does what it did before, so that its default ends the process; Stopped goes on only where
    the program's own handler returns. A signal that is ignored stays so. In a thread nothing is changed.
    """
    got: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        got.append(number)

    def check() -> None:
        if got:
            raise Stopped(f"stopped by {signal.Signals(got[0]).name}")

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    old = {number: handler for number, handler in old.items() if handler not in (signal.SIG_IGN, None)}
    for number in old:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        if got:
            signal.raise_signal(got[0])
