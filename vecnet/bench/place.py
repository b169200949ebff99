"""Where things run: network namespaces, interfaces in them that a port drives, addresses, and which processor.

The near end, a guest or a namespace in its place, has one processor; the far end, with all that is between, another.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from vecnet.datapath.port import Port, open_port
from vecnet.errors import HostError
from vecnet.kernel import namespaces as kernel_namespaces
from vecnet.transports import TRANSPORTS
from vecnet.transports.answers import FarEnd

NEAR, FAR = "10.11.0.1", "10.11.0.2"  # inner addresses, of a /24
_EVERY = os.sched_getaffinity(0)
NEAR_PROCESSOR, FAR_PROCESSOR = {max(_EVERY)}, {min(_EVERY)}


def machine() -> str:
    """What figures were measured on."""
    return f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors"


@contextmanager
def on(processors: set[int]) -> Iterator[None]:
    """What starts within the block, threads and processes, runs on these."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


EVERY_PROCESSOR = set(_EVERY)


@contextmanager
def namespace() -> Iterator[int]:
    """A process with a network namespace of its own."""
    with subprocess.Popen(
        ["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield holder.pid
        finally:
            holder.kill()


@contextmanager
def two_namespaces() -> Iterator[tuple[int, int]]:
    with namespace() as one, namespace() as other:
        yield one, other


def port_on_interface(transport: str, pid: int, mtu: int = 1500) -> Port:
    """A port on `eth0`, a tap or a veth, of the namespace of a process. `eth0` is up and has no address."""
    kind = TRANSPORTS[transport]
    ifname = "eth0" if kind.far_end is FarEnd.HOST_INTERFACE else "guest"
    if ifname == "eth0":
        ip("tuntap add eth0 mode tap vnet_hdr", pid)
    else:
        ip("link add eth0 type veth peer name guest", pid)
        ip("link set guest up", pid)
    ip(f"link set eth0 up mtu {mtu}", pid)
    with entered(pid):
        return open_port(f"vec0:transport={transport},ifname={ifname},gro=1,depth=128")


@contextmanager
def entered(pid: int) -> Iterator[None]:
    """This thread is in the network namespace of a process within the block."""
    with ExitStack() as stack:
        try:
            stack.enter_context(kernel_namespaces.entered(f"/proc/{pid}/ns/net"))
        except OSError as error:
            raise HostError(f"the network namespace of a process cannot be entered: {error.strerror}") from None
        yield


ENDING = ("setpriv", "--pdeathsig", "KILL")  # the words before a command that is to end when this process does
ENDING_ALL = (*ENDING, "unshare", "--pid", "--fork", "--kill-child")  # … with all that it has started


def inside(pid: int) -> list[str]:
    """The words before a command that is to run in the network namespace of a process, and to end with this one."""
    return [*ENDING, "nsenter", f"--net=/proc/{pid}/ns/net"]


def ip(words: str, pid: int | None = None) -> None:
    """Raises HostError."""
    command = [*(inside(pid) if pid else []), "ip", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: {done.stderr.strip()}")
