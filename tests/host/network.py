"""A network namespace for a test, and what its interfaces look like.

The test's own process moves into a fresh network namespace, with a /run/netns of its own, and back afterwards::

    root namespace │ the test: lo (down), what the test makes │ named namespaces below the test's own /run/netns
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vecnet import host
from vecnet.errors import HostError, Problem
from vecnet.topology import Topology, loads

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC_PRIVATE = 0x4000 | 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def private_network() -> Iterator[None]:
    """The calling process is in a network and mount namespace of its own within the block."""
    before = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    here = Path.cwd()
    try:
        call(_libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS))
        call(_libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None))
        call(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None))
        Path("/run/netns").mkdir()
        yield
    finally:
        for fd, kind in zip(before, (_CLONE_NEWNET, _CLONE_NEWNS), strict=True):
            _go_back(fd, kind)
            os.close(fd)
        os.chdir(here)


@contextmanager
def within(name: str | None) -> Iterator[None]:
    """The calling thread is in the named network namespace within the block; None is where it is."""
    if name is None:
        yield
        return
    with Path("/proc/thread-self/ns/net").open("rb") as before, Path("/run/netns", name).open("rb") as there:
        call(_libc.setns(there.fileno(), _CLONE_NEWNET))
        try:
            yield
        finally:
            call(_libc.setns(before.fileno(), _CLONE_NEWNET))


def _go_back(namespace: int, kind: int) -> None:
    """Enter a namespace again; a thread that was joined may be ending still, and with two mounts cannot be changed."""
    deadline = time.monotonic() + 5
    while _libc.setns(namespace, kind):
        number = ctypes.get_errno()
        if number != errno.EINVAL or time.monotonic() > deadline:
            raise OSError(number, os.strerror(number))
        time.sleep(0.001)


def ip(*words: str) -> str:
    """`ip` in this namespace; what it prints."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _named() -> list[str]:
    return sorted(path.name for path in Path("/run/netns").iterdir())


def host_state(*, numbers: bool = True) -> list[Any]:
    """All interfaces with all that `ip -d` knows of them, and their addresses; `numbers` False leaves out what a new
    interface of the same kind has different: its index."""
    state: list[Any] = []
    for namespace in [(), *(("-n", name) for name in _named())]:
        for what in ("link", "addr"):
            state += [_steady(entry, numbers) for entry in json.loads(ip(*namespace, "-j", "-d", what))]
    return state if numbers else sorted(state, key=lambda entry: (entry["ifname"], len(entry)))


_VOLATILE = (
    "timer",
    "root_port",
    "_cost",
    "port_no",
    "port_id",
    "_port",
    "bridge_id",
    "designated",
    "operstate",
    "flags",
)


def _steady(value: Any, numbers: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: _steady(one, numbers)
            for key, one in value.items()
            if not key.endswith("timer")
            and key not in ("tentative", "operstate", "flags", "topology_change", "state")
            and (numbers or key not in ("ifindex", "link_index", "link_netnsid", "no", "id", "root_id", "bridge_id"))
            and (numbers or not any(word in key for word in _VOLATILE))
        }
    if isinstance(value, list):
        return [_steady(one, numbers) for one in value if not (isinstance(one, dict) and one.get("scope") == "link")]
    return value


def names() -> set[str]:
    return {entry["ifname"] for entry in json.loads(ip("-j", "link"))} - {"lo"}


def topology(text: str, name: str = "lab") -> Topology:
    return loads(f"name: {name}\n{text}")


LAB = """
links:
  - transport: tap
    endpoints:
      web:vec0: {ip: 10.0.0.2/24}
      host:tap-web: {bridge: lan}
  - transport: tap
    gro: false
    endpoints:
      db:vec0: {ip: 10.0.0.3/24}
      host:tap-db: {owner: "0", ip: ["10.9.0.1/24", "fd09::1/64"]}
  - transport: raw
    endpoints:
      db:vec1: {}
      host:veth-db: {bridge: lan}
  - transport: raw
    gro: off
    endpoints:
      web:vec1: {}
      host:veth-web: {ip: 10.8.0.1/24}
  - transport: raw
    endpoints: [web:vec2, db:vec2]
  - transport: hybrid
    endpoints: [web:vec3, host:hyb]
bridges:
  lan: {ip: ["10.0.0.1/24", "fd00::1/64"]}
"""

# the same, but: tap-web has another address and left the bridge, veth-db has another MTU, web:vec1 is gone, db:vec3 new
LAB_CHANGED = """
links:
  - transport: tap
    endpoints:
      web:vec0: {ip: 10.0.0.2/24}
      host:tap-web: {ip: 10.7.0.1/24}
  - transport: tap
    gro: false
    endpoints:
      db:vec0: {ip: 10.0.0.3/24}
      host:tap-db: {owner: "1", ip: ["10.9.0.1/24", "fd09::1/64"]}
  - transport: raw
    mtu: 1400
    endpoints:
      db:vec1: {}
      host:veth-db: {bridge: lan}
  - transport: raw
    endpoints: [web:vec2, db:vec2]
  - transport: raw
    endpoints: [db:vec3, host:veth-new]
  - transport: hybrid
    endpoints: [web:vec3, host:hyb]
bridges:
  lan: {ip: ["10.0.0.1/24", "fd00::1/64"]}
"""


def refused_untouched(wanted: Topology) -> Problem:
    """Why `plan` and `up` refuse a topology; neither touches anything."""
    before = host_state()
    for attempt in (host.plan, host.up):
        with pytest.raises(HostError) as caught:
            attempt(wanted)
    assert host_state() == before
    (problem,) = caught.value.problems
    return problem


@contextmanager
def two_hosts() -> Iterator[None]:
    """Network namespaces alpha and beta, 192.0.2.11 and .12, with a way between them, in a network of their own."""
    with private_network():
        for name in ("alpha", "beta"):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", "alpha", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "beta")
        for number, name in enumerate(("alpha", "beta"), 11):
            ip("-n", name, "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield
