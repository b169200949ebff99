"""impair: what the wire does to frames, measured at the end where they come out.

The kernel's netem impairs what the host's interface sends, where `up` or `vecnet impair` has it so: that is measured as
it is, and that nothing happens to what goes the other way. Else the link's declared impairment is applied to what the
simulated guest sends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack

from vecnet.datapath.impaired import Impaired
from vecnet.host import as_netem
from vecnet.impairment import Impairment
from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import drain, send_and_judge
from vecnet.loopback.numbered import Run
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Absent, Failed
from vecnet.loopback.wire import Wire

_COUNT, _FEWEST = 2000, 5  # frames: enough to tell 1 % from 2 %; of a slow rate, what passes in the time there is
_SECONDS = 8.0  # of frames at a slow rate
_WAITING = 800  # frames that are delayed at once: netem holds 1000, and loses more
_UNHURT = 200  # frames the other way
_LENGTH = 200  # bytes
_BATCH = 20
_PACE = 0.002  # seconds between batches
_SIGMAS = 5  # of what chance alone may make of a share: 1 run in 1.7 million is taken for a fault
_LONGEST = 0.5  # seconds for a batch to come
_LATE = 0.02  # seconds that a busy machine may add


def impair(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Shares of lost, doubled, corrupted and overtaking frames, delays and the rate, next to what was asked for."""
    plan = wire.impaired or wire.subject.impairment
    if plan is None:
        raise Absent("no impairment is declared")
    if wire.impaired:
        _refuse_other(wire, wire.impaired)
    _, sender, receiver, to, source = wire.directions[1 if wire.impaired else 0]
    run = Run(to, source)
    delays: list[float] = []
    sent_at: dict[int, float] = {}
    arrived: list[int] = []
    changed = 0
    drain(receiver)
    each = _LENGTH * 8 / plan.rate if plan.rate else 0.0  # seconds that the rate gives a frame
    count = max(_FEWEST, min(_COUNT, int(_SECONDS / each))) if each else _COUNT
    batch = min(_BATCH, count)
    pace = max(_PACE, (plan.delay + plan.jitter) * batch / _WAITING)
    started = last = time.monotonic()
    with ExitStack() as stack:
        impaired = sender if wire.impaired else stack.enter_context(Impaired(sender, plan))

        def collect(timeout: float) -> bool:
            """Whether anything came."""
            nonlocal changed, last
            frames = receiver.recv(timeout=timeout)
            for frame in frames:
                number = run.number_of(frame)
                if number is None and not (len(frame) == _LENGTH and run.resembles(frame)):
                    continue
                last = time.monotonic()
                if number is None:
                    changed += 1
                else:
                    arrived.append(number)
                    delays.append(last - sent_at[number])
            return bool(frames)

        while len(run.sent) < count:
            frames = [run.build(_LENGTH) for _ in range(min(batch, count - len(run.sent)))]
            now = time.monotonic()
            sent_at.update(dict.fromkeys(range(len(run.sent) - len(frames), len(run.sent)), now))
            while frames := frames[impaired.send(frames, timeout=_PACE) :]:
                collect(0)
            # a slow machine has its time: a queue of its own making would be taken for the wire's delay
            while (came := collect(pace / 4)) or time.monotonic() < now + pace:
                if came and time.monotonic() > now + _LONGEST:
                    break
            # netem's limit is on what waits: stay below it
            while each and (len(run.sent) - len(arrived)) * each > 0.1 and time.monotonic() < max(last, now) + 1 + each:
                collect(_PACE)
        end = time.monotonic() + plan.delay + plan.jitter + 0.3 + (len(run.sent) - len(arrived)) * each
        while time.monotonic() < end:
            collect(0.05)
    faults, figures = [], {}
    doubled = len(arrived) - len(set(arrived))
    shares = {
        "loss": (count - len(set(arrived)) - changed, plan.loss, count),
        "duplicate": (doubled, plan.duplicate, count),
        "corrupt": (changed, plan.corrupt, count),
    }
    for word, (those, asked, of) in shares.items():
        share = those / of
        figures[f"{word}_share"] = share
        if abs(share - asked) > _SIGMAS * math.sqrt(asked * (1 - asked) / of) + 2 / of:
            faults.append(f"{word} is {100 * share:.2f} % where {100 * asked:g} % was asked for")
    delays.sort()
    if delays and not plan.rate:
        middle = delays[len(delays) // 2]
        figures["delay_ms"] = middle * 1e3
        if not plan.delay - plan.jitter - 0.001 <= middle <= plan.delay + plan.jitter + _LATE:
            faults.append(f"delay is {middle * 1e3:.1f} ms where {plan.delay * 1e3:g} ms was asked for")
    if plan.rate and arrived:
        rate = len(arrived) * _LENGTH * 8 / (last - started)
        figures["mbit_per_s"] = rate / 1e6
        if rate > plan.rate * 1.05:
            faults.append(f"{rate / 1e6:.2f} Mbit/s pass where {plan.rate / 1e6:g} was asked for")
    if faults:
        raise Failed(Code.NOT_IMPAIRED, "; ".join(faults))
    return f"as asked for: {plan.words if wire.impaired else plan}", figures


def _refuse_other(wire: Wire, impaired: Impairment) -> None:
    """Raise Failed where the kernel does something else than is asked for, or something to what comes in, too."""
    asked, name = wire.subject.impairment, wire.subject.interfaces[0].ifname
    if asked is not None and as_netem.rounded(asked).words != impaired.words:
        raise Failed(Code.NOT_IMPAIRED, f"{name} impairs: {impaired.words}; asked for is: {asked.words}")
    words, sender, receiver, to, source = wire.directions[0]
    faults = send_and_judge(sender, receiver, to, source, [_LENGTH] * _UNHURT, _BATCH).faults()
    if faults:
        sentences = "; ".join(map(str, faults))
        raise Failed(Code.NOT_IMPAIRED, f"{words}, where nothing is impaired: {sentences}")
