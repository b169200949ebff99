"""Where sockets lie: known beforehand, short enough, and nobody else's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from vecnet import runtime
from vecnet.errors import HostError
from vecnet.values import UNIX_PATH_MAX, UnixPath


@pytest.mark.parametrize("base", ["/run/user/1000", "/x" * 30, "/x" * 100, "", "relative", "/with, comma", "/umlaut-ü"])
@pytest.mark.parametrize("name", ["a", "n" * 64])
def test_every_path_fits_a_socket_and_a_string(monkeypatch: pytest.MonkeyPatch, base: str, name: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    paths = {runtime.socket_path(name, f"{name}:{port}") for port in ("x" * 64, "y" * 64, "vec0")}
    assert len(paths) == 3
    for path in (*paths, f"{runtime.folder(name)}/{runtime.CONTROL}", f"{runtime.folder(name)}/pxxxxxxxx/control"):
        assert len(path.encode()) < UNIX_PATH_MAX
        assert UnixPath().parse(path) == path


def test_the_folder_is_under_what_the_session_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000/")
    assert runtime.socket_path("lab", "lan:web") == "/run/user/1000/vecnet/lab/lan:web"


def test_the_folder_is_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(runtime, "base", lambda: f"{tmp_path}/vecnet")
    path, descriptor = runtime.open_folder("lab")
    folder = Path(path)
    assert os.path.samestat(folder.stat(), os.fstat(descriptor))
    os.close(descriptor)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    path, descriptor = runtime.open_folder("lab")
    assert path == str(folder)
    os.close(descriptor)
    (folder / "left").touch()
    runtime.remove_folder(path)
    assert not folder.parent.exists()


@pytest.mark.parametrize("kind", ["open", "a link", "a file"])
def test_a_folder_that_others_may_enter_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "vecnet"
    monkeypatch.setattr(runtime, "base", lambda: str(place))
    if kind == "open":
        place.mkdir()
        place.chmod(0o755)
    elif kind == "a link":
        (tmp_path / "other").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "other")
    else:
        place.touch(0o600)
    with pytest.raises(HostError, match="is not a private folder of this user"):
        runtime.open_folder("lab")


def test_a_folder_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "base", lambda: "/proc/no/vecnet")
    with pytest.raises(HostError, match="cannot be made") as caught:
        runtime.open_folder("lab")
    assert "XDG_RUNTIME_DIR" in caught.value.problems[0].instead


def test_folders_are_made_while_others_that_end_remove_what_is_above(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "base", lambda: f"{tmp_path}/vecnet")
    failed: list[BaseException] = []

    def come_and_go(name: str) -> None:
        try:
            for _ in range(300):
                path, descriptor = runtime.open_folder(name)
                os.close(descriptor)
                runtime.remove_folder(path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(tmp_path.iterdir()) == []
