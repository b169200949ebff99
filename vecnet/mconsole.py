"""The management console of a running guest: a client for User Mode Linux's own protocol.

    web = Guest("web")                     # the guest with umid=web, or Guest(socket="/run/web/mconsole")
    web.config("vec1:transport=tap,ifname=tap1")
    web.remove("vec1")
    web.proc("cmdline")

A request is one datagram, an answer one or more (numbers are in the machine's byte order):

    request  magic 0xcafebabe | version 2 | length  | text, 511 bytes at most
    answer   error            | more      | length  | text with a NUL, 512 bytes at most; `more` says that others follow

1. Each request has a socket of its own, so that a late answer is never taken for the next one's. It is connected to the
   guest's, so that nobody else's datagrams reach it.
2. The socket has a path, since an abstract name would not be found from another network namespace. Its folder can be
   entered by anybody: the guest may belong to another user. What a killed process leaves, the next one removes.
3. A guest that ends while it is asked sends nothing. So whoever waits looks, now and then, whether it is still there.

What guests do was measured on 6.1, 6.12 and 7.2. No file of `proc` that is under net/ can be read, nor can a directory.

Source: HOWTO, "The UML Management Console"; arch/um/drivers/mconsole.h, mconsole_kern.c, mconsole_user.c; unix(7).
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecnet import runtime
from vecnet.errors import GuestError, GuestMissing, GuestRefused, GuestSilent, InputError
from vecnet.kernel.brief_folder import brief_folder
from vecnet.kernel.unforeseen import advice

PATIENCE = 5.0  # seconds for a whole answer; a guest takes a hundredth of one
LONGEST_REQUEST = 511  # bytes: MCONSOLE_MAX_DATA less a NUL
_MAGIC, _VERSION, _MAX_DATA = 0xCAFEBABE, 2, 512
_REQUEST = struct.Struct(f"=III{_MAX_DATA}s")
_ANSWER = struct.Struct("=III")
_LONGEST_ANSWER = 1 << 22  # bytes of all its datagrams
_LOOKS = 0.1  # seconds between looks whether the guest is still there
_STANDS = 1.0  # seconds in which the clock of a guest that runs goes on for sure
_UMID = re.compile(r"[^/\0]{1,63}")  # arch/um/os-Linux/umid.c: a name of a folder, cut at 63 bytes
_PROBE = "vecnet-asks=whether=it-is-there"  # the second = refuses it, after the guest has looked for the device
_CONFIGURED = "Device already configured"
_NOT_PARSED = "vector_config failed to parse parameters"
OPEN = "Device is currently open"


class Guest:
    """A guest that runs, by its umid or its console's socket. Nothing is asked before the first request.

    `uml_dir` is the folder of guests' folders, ~/.uml where it is left out. `patience` is in seconds, for one answer.
    Every request raises GuestMissing where no guest runs, GuestSilent where it gives no answer in time, GuestRefused
    where it answers with an error, and GuestError where its answer is not of the protocol.
    """

    def __init__(
        self,
        umid: str = "",
        *,
        uml_dir: str | os.PathLike[str] | None = None,
        socket: str | os.PathLike[str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        if bool(umid) == bool(socket):
            raise InputError("a guest is found by its umid or by its console's socket", "give one of them")
        if umid and (not _UMID.fullmatch(umid) or umid in (".", "..")):
            raise InputError(f"{umid!r} is not a guest's umid", "write the name that umid= gave it")
        folder = Path(uml_dir) if uml_dir else Path(runtime.guests())
        self.socket = Path(socket) if socket else folder / umid / "mconsole"
        self._umid, self._patience = umid, patience

    def __str__(self) -> str:
        return self._umid or str(self.socket)

    @property
    def folder(self) -> Path:
        """The guest's own folder. Its kernel empties it when the guest ends in order, or when it starts anew."""
        return self.socket.parent

    def version(self) -> str:
        """What the guest's kernel says of itself, as `uname` does."""
        return self.request("version").strip()

    def config(self, device: str) -> None:
        """Add a device, by the string that a command line would have.

        The guest answers before the device is brought up, so a string that is wrong is found out later.
        """
        self.request(f"config {device}")

    def remove(self, device: str) -> None:
        """Remove a device, such as vec1, which the guest refuses while it is up there."""
        self.request(f"remove {device}")

    def proc(self, file: str) -> str:
        """A file of the guest's /proc. One that has no end, such as kmsg, would leave the console without a voice."""
        if file.lstrip("/").split("/")[0] == "kmsg":
            raise InputError("kmsg has no end, and the guest would answer nothing more", "read its console")
        return self.request(f"proc {file.lstrip('/')}").removeprefix("\n")

    def stop(self) -> None:
        """Let the guest stand still. Its console still answers."""
        self.request("stop")

    def go(self) -> None:
        """Let the guest go on."""
        self.request("go")

    def halt(self) -> None:
        """End the guest at once, as a power cut does: no file is written back."""
        self.request("halt")

    def sysrq(self, letter: str) -> str:
        """What the guest's kernel prints, of its own SysRq commands: kernel documentation, admin-guide/sysrq."""
        return self.request(f"sysrq {letter}")

    def stands(self) -> bool:
        """Whether the guest was told to stop, which it does not tell. It looks at its clock for as long as it stands.

        A guest that runs takes a hundredth of a second to show that.
        """
        begin, limit = self._clock(), time.monotonic() + _STANDS
        while time.monotonic() < limit:
            time.sleep(0.01)
            if self._clock() != begin:
                return False
        return True

    def _clock(self) -> str:
        """The time that the processor was busy or idle, which does not go on in a guest that stands still."""
        return self.proc("stat").partition("\n")[0]

    def has(self, unit: int) -> bool:
        """Whether the guest has vec`unit`, under whatever name, in whichever namespace of its own.

        The guest looks for the device before it reads a string, so one that it will not take tells. Where there is none
        it writes a line into its log.
        """
        try:
            self.config(f"vec{unit}:{_PROBE}")
        except GuestRefused as error:
            if error.answer not in (_CONFIGURED, _NOT_PARSED):  # it boots, and has no driver yet
                raise
            return error.answer == _CONFIGURED
        raise GuestError(f"{self} has taken a string that no guest takes", f"remove vec{unit} there")

    def interrupts(self) -> dict[str, int]:
        """The devices that are up in the guest, by their names there, with how often each has woken its kernel."""
        found: dict[str, int] = {}
        for line in self.proc("interrupts").splitlines():
            words = line.split()  # number, count for each processor, kind, name
            if len(words) >= 4 and words[0][:-1].isdecimal() and words[1].isdecimal() and words[-2] == "SIGIO":
                found[words[-1]] = found.get(words[-1], 0) + int(words[1])
        return found

    def request(self, text: str) -> str:
        """What the guest answers to a request of its protocol; `help` lists them."""
        data = text.encode()
        if len(data) > LONGEST_REQUEST:
            message = f"the console takes {LONGEST_REQUEST} bytes, and this request has {len(data)}"
            raise InputError(f"{message}: {text}", "give the device on the guest's command line")
        if b"\0" in data:
            raise InputError(f"a request ends at a NUL: {text!r}", "leave it out")
        limit = time.monotonic() + self._patience
        with self._connected() as asking:
            try:
                asking.send(_REQUEST.pack(_MAGIC, _VERSION, len(data), data))
            except TimeoutError:
                raise self._silent() from None
            except OSError as error:
                raise self._absent(error) from None
            failed, answer = self._answer(asking, limit)
        said = answer.decode(errors="backslashreplace")
        if failed:
            why = said.strip()
            raise GuestRefused(f"{self} answers {why!r} to {text.strip()!r}", _advice(text, why), why)
        return said

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with (
            brief_folder() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking,
        ):
            own = f"{folder}/answers"
            asking.bind(own)
            Path(own).chmod(0o666)  # the guest's user must be able to send to it
            asking.settimeout(self._patience)
            try:
                asking.connect(os.fspath(self.socket))
            except OSError as error:
                raise self._absent(error) from None
            yield asking

    def _answer(self, asking: socket.socket, limit: float) -> tuple[int, bytes]:
        """The error of an answer, 0 for none, and its text: all datagrams of it."""
        text = bytearray()
        failed = 0
        more = 1
        while more:
            error, more, part = self._parsed(self._datagram(asking, limit))
            failed = failed or error
            text += part
            if len(text) > _LONGEST_ANSWER:
                raise GuestError(f"{self} answers without an end", "is that a guest's console?")
        return failed, bytes(text)

    def _datagram(self, asking: socket.socket, limit: float) -> bytes:
        while (left := limit - time.monotonic()) > 0:
            asking.settimeout(min(_LOOKS, left))
            try:
                return asking.recv(_ANSWER.size + _MAX_DATA + 1)
            except TimeoutError:
                self._require_alive()
        raise self._silent()

    def _parsed(self, datagram: bytes) -> tuple[int, int, bytes]:
        """Error, whether more follows, and the text before its NUL."""
        if len(datagram) >= _ANSWER.size:
            error, more, length = _ANSWER.unpack_from(datagram)
            if 1 <= length <= len(datagram) - _ANSWER.size <= _MAX_DATA:
                return error, more, datagram[_ANSWER.size : _ANSWER.size + length].removesuffix(b"\0")
        raise GuestError(f"{self} gives an answer that is none of the protocol's", "is that a guest's console?")

    def _require_alive(self) -> None:
        try:
            _look(self.socket)
        except OSError as error:
            raise self._absent(error) from None

    def _absent(self, error: OSError) -> GuestError:
        if isinstance(error, ConnectionRefusedError) and not self.socket.is_socket():
            return GuestMissing(f"{self.socket} is no socket, so no guest's console", "name the socket, or the umid")
        if isinstance(error, ConnectionRefusedError):
            said = f"{self} has ended without putting its folder in order, as one that panicked or was killed does"
            return GuestMissing(said, "start it again")
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            beside = sorted(path.parent.name for path in self.folder.parent.glob("*/mconsole") if _answers(path))
            there = f"guests there: {', '.join(beside)}; " if beside else ""
            start = f"start it with umid={self._umid}" if self._umid else "start it first"
            return GuestMissing(f"no guest has its console at {self.socket}", f"{there}{start}")
        return GuestError(f"{self.socket} cannot be asked: {error.strerror or error}", advice(error))

    def _silent(self) -> GuestSilent:
        try:
            process = (self.folder / "pid").read_text()[:20].strip()
        except (OSError, ValueError):
            process = ""
        mend = f"kill -CONT {process}, if its process is stopped" if process.isdecimal() else "look at its console"
        return GuestSilent(
            f"{self} has not answered for {self._patience:g} s: it hangs, or its process is stopped", mend
        )


def _advice(request: str, said: str) -> str:
    """What to do about a refusal of a guest's."""
    if said == OPEN:
        return f"type in the guest: ip link set {request.split()[-1]} down"
    return ""


def _look(path: Path) -> None:
    """Raises OSError where no guest has this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as looking:
        looking.connect(os.fspath(path))


def _answers(path: Path) -> bool:
    with suppress(OSError):
        _look(path)
        return True
    return False
