"""The management console's client against whoever else may sit at the socket: late, silent, hostile, gone."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from vecnet.errors import GuestError, GuestMissing, GuestRefused, GuestSilent, InputError
from vecnet.kernel import brief_folder as brief_folder_module
from vecnet.kernel.brief_folder import brief_folder
from vecnet.mconsole import Guest

REQUEST = struct.Struct("=III512s")
Asked = tuple[int, int, int, bytes]


def part(text: bytes, *, error: int = 0, more: int = 0, length: int | None = None) -> bytes:
    """A datagram of an answer, with its closing NUL, as a kernel sends it; or with another length."""
    data = text + b"\0"
    return struct.pack("=III", error, more, len(data) if length is None else length) + data


@contextmanager
def console(folder: Path, *answers: bytes, between: Callable[[str], None] | None = None) -> Iterator[list[Asked]]:
    """Somebody at the socket who gives these datagrams for an answer. What was asked is in the list."""
    asked: list[Asked] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as serving:
        serving.bind(str(folder / "mconsole"))
        serving.settimeout(20)

        def serve() -> None:
            data, origin = serving.recvfrom(REQUEST.size + 1)
            asked.append(REQUEST.unpack(data))
            if between is not None:
                between(origin)
            with suppress(FileNotFoundError, ConnectionRefusedError):  # nobody listens any more
                for answer in answers:
                    serving.sendto(answer, origin)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            thread.join(20)
            assert not thread.is_alive()
    (folder / "mconsole").unlink()


def test_a_request_is_as_the_kernel_reads_it(tmp_path: Path) -> None:
    origins: list[str] = []
    with console(tmp_path, part(b"Linux web 7.2.7 #1"), between=origins.append) as asked:
        assert Guest(tmp_path.name, uml_dir=tmp_path.parent).version() == "Linux web 7.2.7 #1"
    assert asked == [(0xCAFEBABE, 2, 7, b"version".ljust(512, b"\0"))]
    assert not any(Path(origin).parent.exists() for origin in origins)


def test_an_answer_is_put_together(tmp_path: Path) -> None:
    parts = [part(b"\n", more=1), part(b"x" * 511, more=1), part(b"y", more=1), part(b"")]
    with console(tmp_path, *parts):
        assert Guest(socket=tmp_path / "mconsole").proc("cmdline") == "x" * 511 + "y"


def test_a_refusal_is_told_with_what_to_do(tmp_path: Path) -> None:
    with console(tmp_path, part(b"Device is currently open", error=0xFFFFFFF0)), pytest.raises(GuestRefused) as refused:
        Guest(socket=tmp_path / "mconsole").remove("vec1")
    assert refused.value.answer == "Device is currently open"
    (problem,) = refused.value.problems
    assert problem.instead == "type in the guest: ip link set vec1 down"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        part(b"")[:11],
        part(b"abc", length=0),
        part(b"abc", length=5),
        part(b"abc", length=0xFFFFFFFF),
        part(b"x" * 600),
        part(b"x" * 511) + b"y",
    ],
    ids=["empty", "short", "no NUL", "a byte more", "4 GiB", "too long", "more than it says"],
)
def test_an_answer_whose_lengths_lie(tmp_path: Path, answer: bytes) -> None:
    with console(tmp_path, answer), pytest.raises(GuestError, match="none of the protocol's"):
        Guest(socket=tmp_path / "mconsole").version()


def test_what_an_answer_holds_reaches_no_terminal(tmp_path: Path) -> None:
    with console(tmp_path, part(b"\x1b[2J\xff", error=1)), pytest.raises(GuestRefused) as refused:
        Guest(socket=tmp_path / "mconsole").version()
    assert str(refused.value).isprintable()


def test_an_answer_without_an_end(tmp_path: Path) -> None:
    with (
        console(tmp_path, *[part(b"x" * 511, more=1)] * 20) as asked,
        pytest.raises(GuestSilent, match=r"has not answered for 0\.5 s"),
    ):
        Guest(socket=tmp_path / "mconsole", patience=0.5).proc("cmdline")
    assert asked


def test_an_answer_that_is_larger_than_any(tmp_path: Path) -> None:
    with (
        console(tmp_path, *[part(b"x" * 511, more=1)] * 8300),
        pytest.raises(GuestError, match="answers without an end"),
    ):
        Guest(socket=tmp_path / "mconsole", patience=20).proc("cmdline")


def test_nobody_else_can_answer(tmp_path: Path) -> None:
    refused: list[str] = []

    def others(origin: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            try:
                other.sendto(part(b"forged"), origin)
            except PermissionError:
                refused.append(origin)

    with console(tmp_path, part(b"true"), between=others):
        assert Guest(socket=tmp_path / "mconsole").version() == "true"
    assert refused


def test_a_silent_guest(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("4711\n")
    begin = time.monotonic()
    with console(tmp_path), pytest.raises(GuestSilent, match="kill -CONT 4711"):
        Guest(socket=tmp_path / "mconsole", patience=0.3).version()
    assert time.monotonic() - begin < 5


def test_a_guest_that_takes_nothing_more(tmp_path: Path) -> None:
    """Its queue is full: to send would wait for ever."""
    path = str(tmp_path / "mconsole")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as serving:
        serving.bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling:
            filling.setblocking(False)
            with suppress(BlockingIOError):
                while filling.sendto(b"x", path):
                    pass
            with pytest.raises(GuestSilent):
                Guest(socket=path, patience=0.3).version()


def test_a_guest_that_ends_while_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "mconsole"
    serving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    serving.bind(str(path))
    timer = threading.Timer(0.3, serving.close)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(GuestMissing, match="panicked or was killed"):
        Guest(socket=path, patience=20).version()
    timer.join()
    assert time.monotonic() - begin < 10


def test_no_guest_there(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with console(tmp_path / "db", part(b"")):
        with pytest.raises(GuestMissing) as missing:
            Guest("web", uml_dir=tmp_path).version()
        (problem,) = missing.value.problems
        assert problem.message == f"no guest has its console at {tmp_path}/web/mconsole"
        assert problem.instead == "guests there: db; start it with umid=web"
        Guest("db", uml_dir=tmp_path).version()


def test_a_place_that_is_no_console(tmp_path: Path) -> None:
    (tmp_path / "mconsole").touch()
    with pytest.raises(GuestMissing, match=r"is no socket, so no guest's console"):
        Guest(socket=tmp_path / "mconsole").version()
    with pytest.raises(GuestError, match="too long"):
        Guest(socket=tmp_path / ("x" * 120) / "mconsole").version()
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with stream:
        stream.bind(str(tmp_path / "stream"))
        with pytest.raises(GuestError, match="wrong type"):
            Guest(socket=tmp_path / "stream").version()


@pytest.mark.parametrize("umid", ["../etc", ".", "..", "a/b", "x" * 64, "a\0b"])
def test_what_is_no_umid(umid: str) -> None:
    with pytest.raises(InputError, match="not a guest's umid"):
        Guest(umid)


def test_requests_that_a_guest_would_cut() -> None:
    guest = Guest("nobody")
    with pytest.raises(InputError, match="takes 511 bytes, and this request has 512"):
        guest.request("x" * 512)
    with pytest.raises(InputError, match="NUL"):
        guest.request("config vec1:transport=tap\0")
    with pytest.raises(InputError, match="no end"):
        guest.proc("/kmsg")


def test_who_is_killed_while_asking_leaves_nothing_for_long(tmp_path: Path) -> None:
    """The next process removes its folder, and none that is held, or has something else in it."""
    before = set(Path("/tmp").glob("vecnet-asks-*"))
    ask = [sys.executable, "-c", f"from vecnet.mconsole import Guest; Guest(socket='{tmp_path}/mconsole').version()"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as serving:
        serving.bind(str(tmp_path / "mconsole"))
        serving.settimeout(20)
        for _ in range(2):  # the second one finds what the first has left
            with subprocess.Popen(ask) as process:
                origin = Path(serving.recvfrom(REQUEST.size + 1)[1])
                assert set(Path("/tmp").glob("vecnet-asks-*")) - before == {origin.parent}
                process.kill()
        assert origin.is_socket()
        with brief_folder() as held:
            kept = Path(held)
            brief_folder_module._swept.cache_clear()
            with brief_folder():
                assert not origin.parent.exists()
                assert kept.exists()
    assert set(Path("/tmp").glob("vecnet-asks-*")) == before
