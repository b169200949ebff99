"""The build hook of vecnet._native: one header, every C file of this folder, one transport per file of transports/.

VECNET_SANITIZE=1 builds with the address and undefined-behaviour sanitizers; VECNET_WERROR=1 makes warnings errors.
`python _native/build.py` prints the table of transports as C, for programs that are built without Python.
"""

from __future__ import annotations

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-Wno-missing-field-initializers"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g"]


def transports() -> list[str]:
    """The names of all transports: those of the files in transports/."""
    return sorted(path.stem for path in (HERE / "transports").glob("*.c"))


def table() -> str:
    """C source that registers every transport."""
    names = transports()
    lines = ['#include "internal.h"', '#include "bench/bench.h"']
    lines += [f"extern const struct vn_transport vn_transport_{name};" for name in names]
    lines.append("extern const struct vn_transport *const vn_transports[];")
    lines.append("const struct vn_transport *const vn_transports[] = {")
    lines += [f"\t&vn_transport_{name}," for name in names]
    lines += ["\tNULL", "};", ""]
    return "\n".join(lines)


def flags() -> list[str]:
    """Compiler flags, by the environment."""
    chosen = [*CFLAGS, f"-ffile-prefix-map={ROOT}=."]  # the same bytes wherever it is built
    if os.environ.get("VECNET_SANITIZE") == "1":
        chosen += SANITIZERS
    if os.environ.get("VECNET_WERROR") == "1":
        chosen.append("-Werror")
    return chosen


def _builder() -> FFI:
    header = "".join((HERE / name).read_text(encoding="utf-8") for name in ("vecnet.h", "bench/bench.h"))
    sources = sorted([*HERE.glob("*.c"), *(HERE / "transports").glob("*.c"), *(HERE / "bench").glob("*.c")])
    ffi = FFI()
    ffi.cdef(header)
    ffi.set_source(
        "vecnet._native",
        table(),
        # relative: setuptools wants it, and so no path of the building machine enters the module
        sources=[os.path.relpath(source, ROOT) for source in sources],
        include_dirs=["_native"],
        depends=["_native/vecnet.h", "_native/internal.h", "_native/switch.h"],
        extra_compile_args=flags(),
        extra_link_args=SANITIZERS[:1] if os.environ.get("VECNET_SANITIZE") == "1" else [],
        define_macros=[("_GNU_SOURCE", "1")],
    )
    return ffi


ffibuilder = _builder()

if __name__ == "__main__":
    print(table(), end="")
