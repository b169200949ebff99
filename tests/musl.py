"""CPython for musl, which no package of Debian's or PyPI's has: built from Debian's sources, to try a wheel on.

    CC=… python -m tests.musl FOLDER        FOLDER/bin/python3, in some minutes

It has zlib and libffi, so that pip and ctypes work, and no OpenSSL: it fetches nothing by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.uml.fetch import Apt, Missing

SOURCES = {"zlib": "bookworm", "libffi": "bookworm", "python3.13": "trixie"}
TRIPLET = "x86_64-linux-musl"


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vecnet-musl-") as temporary:
        try:
            apt = Apt(Path(temporary), "deb-src")
            zlib, libffi, python = (apt.source(name, suite) for name, suite in SOURCES.items())
        except Missing as error:
            raise SystemExit(f"musl: the sources cannot be had: {error}") from None
        prefix = f"--prefix={folder}"
        # what lies in this machine's own folders is of another C library
        environment = os.environ | {"PKG_CONFIG_LIBDIR": str(folder / "lib/pkgconfig"), "CFLAGS": "-O1 -fPIC"}
        _built(zlib, environment, "--static", prefix)
        _built(libffi, environment, f"--host={TRIPLET}", "--disable-shared", "--disable-docs", prefix)
        _built(python, environment, "--disable-test-modules", "--with-ensurepip=no", prefix)


def _built(source: Path, environment: dict[str, str], *options: str) -> None:
    for words in (["./configure", *options], ["make", f"--jobs={os.cpu_count()}"], ["make", "install"]):
        done = subprocess.run(
            words, cwd=source, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            raise SystemExit(f"musl: {' '.join(words)} failed in {source.name}:\n{done.stdout[-5000:]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
