"""Guest kernels of every generation: Debian's own packages, each from the suite that has it.

    python -m tests.uml.fetch            those that are missing, into `.guests/GENERATION/linux.uml`
    python -m tests.uml.fetch PACKAGE    a file of another package, see FILES_OF

One more is no guest's: the oldest kernel that the tests run vecnet itself on, with the modules that this takes. And
programs for links' ends that the machine's suite does not have are fetched likewise, into `.guests/programs/`.

Debian's mirror has the other suites too: the machine's own one, or where this is Ubuntu, which has no such packages,
Debian's. Their lists are kept apart from the machine's, nothing is installed, and no privilege is needed. A kernel
wants a C library as new as itself: it has the one of its suite, in its folder.
Signatures are always checked, with Debian's keyring: what it has no key for is not taken.

What is there is left alone. A folder gets its name last, so that a run that is stopped leaves no half of a kernel.
Where a kernel cannot be had, the reason is said and the tests that need it skip; with CI=true that is a failure.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

GUESTS = Path(__file__).resolve().parents[2] / ".guests"
GENERATIONS = ("6.1", "6.12", "7.2")
OLDEST = "5.10"  # that vecnet is run on as a host
OWN = "linux.uml"  # the machine's own, of the installed package
PACKAGES = ("user-mode-linux", "libc6")
FILES = ("linux.uml", "libc.so.6", "ld-linux-x86-64.so.2")  # the modules, nine tenths of the package, stay behind
MODULES = ("crc-ccitt.ko", "ipv6.ko", "tun.ko", "veth.ko", "llc.ko", "stp.ko", "bridge.ko")  # but for these, of OLDEST
FILES_OF = {"gvproxy": "gvproxy", "ubuntu-keyring": "ubuntu-archive-keyring.gpg"}  # the one that is wanted of a package
PROGRAMS = ("gvproxy",)
SUITES = ("bullseye", "bookworm", "trixie", "sid")
KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")
DEBIAN = "http://deb.debian.org/debian"  # for a machine whose own mirror is another distribution's

# apt's, for one run: its own lists, no packages that are installed, no pins, and no hooks of the machine's.
_CONFIGURATION = """
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
APT::Sandbox::User "{user}";
APT::Architecture "amd64";
Acquire::http::Timeout "30";
Acquire::Retries "2";
Acquire::Languages "none";
#clear APT::Update;
#clear DPkg;
"""


class Missing(Exception):
    """A kernel cannot be had, and why."""


def version(kernel: str | Path) -> str:
    """What a guest kernel calls itself: 6.1.176. Empty where it does not run."""
    try:
        done = subprocess.run([kernel, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def generation(of: str) -> str:
    """The generation that a version belongs to: between two the older one, and the newest from that on."""
    known = [name for name in GENERATIONS if _numbers(name) <= _numbers(of)]
    return known[-1] if known else ""


def path() -> str:
    """PATH, with the programs that were fetched: the machine's own go first."""
    return f"{os.environ['PATH']}:{GUESTS / 'programs'}"


def _name(of: str) -> str:
    """What a version is fetched as."""
    return OLDEST if _numbers(of) == _numbers(OLDEST) else generation(of)


def kernel(name: str) -> str | None:
    """The command that boots a guest of this generation, or OLDEST: the machine's own, or one that was fetched."""
    fetched = str(GUESTS / name / OWN)
    return next((path for path in (OWN, fetched) if _name(version(path)) == name), None)


def main(packages: Sequence[str] = ()) -> int:
    GUESTS.mkdir(exist_ok=True)
    with (GUESTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernels = () if packages else (*GENERATIONS, OLDEST)
        missing = [name for name in kernels if kernel(name) is None]
        programs = [name for name in packages or PROGRAMS if shutil.which(FILES_OF[name], path=path()) is None]
        if not missing and not programs:
            return 0
        print(f"fetching guest kernels and programs: {', '.join([*missing, *programs])}", file=sys.stderr)
        for left in GUESTS.glob("part-*"):  # by a run that was stopped
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=GUESTS, prefix="part-") as folder:
            try:
                apt = Apt(Path(folder))
                failed = [f"kernel {name}: {error}" for name in missing if (error := _fetched(apt, name))]
                failed += [f"program {name}: {error}" for name in programs if (error := _fetched_program(apt, name))]
            except Missing as error:
                failed = [f"{', '.join([*missing, *programs])}: {error}"]
        if kernels and shutil.which(OWN, path=path()) is None:
            _call_one_the_machines_own()
    for line in failed:
        print(f"not fetched: {line}", file=sys.stderr)
    return 1 if failed and os.environ.get("CI") == "true" else 0


def _fetched(apt: Apt, name: str) -> str:
    """Fetch a generation. Why it cannot be had, or nothing."""
    try:
        unpacked = apt.unpacked(name)
        final = GUESTS / name
        if name != OLDEST:  # which any C library is new enough for
            _make_it_run(unpacked, final)
        shutil.rmtree(final, ignore_errors=True)  # one that does not run
        unpacked.rename(final)
        if kernel(name) is None:
            raise Missing(f"{final / OWN} does not run")
    except Missing as error:
        return str(error)
    return ""


def _fetched_program(apt: Apt, name: str) -> str:
    """Fetch a program. Why it cannot be had, or nothing."""
    try:
        unpacked = apt.program(name)
        final = GUESTS / "programs"
        final.mkdir(exist_ok=True)
        (unpacked / FILES_OF[name]).rename(final / FILES_OF[name])
    except Missing as error:
        return str(error)
    return ""


def _call_one_the_machines_own() -> None:
    """Where the distribution has no package of a guest's kernel, the oldest one is what `linux.uml` starts."""
    (GUESTS / "programs").mkdir(exist_ok=True)
    own = GUESTS / "programs" / OWN
    own.unlink(missing_ok=True)
    own.symlink_to(Path("..", GENERATIONS[0], OWN))


def _make_it_run(unpacked: Path, final: Path) -> None:
    """The kernel there will use the loader and the C library next to it, once it is in its place."""
    _run("patchelf", "--set-interpreter", final / FILES[2], "--set-rpath", final, unpacked / OWN)


class Apt:
    """The packages of Debian's suites."""

    def __init__(self, folder: Path, kind: str = "deb") -> None:
        """`kind` is that of sources.list(5): packages, or with "deb-src" their sources."""
        self._folder = folder
        if platform.machine() != "x86_64":
            raise Missing(f"guests are x86-64 programs, and this machine is {platform.machine()}")
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        (folder / "apt.conf").write_text(_CONFIGURATION.format(folder=folder, user=user))
        lines = [f"{kind} {_options()}{mirror} {suite} main" for mirror in _mirrors() for suite in SUITES]
        (folder / "sources.list").write_text("\n".join(lines) + "\n")
        # A suite that a mirror has not is no matter: what counts is what there is in the end.
        self._complaints = self._apt("apt-get", "-qq", "update", check=False)

    def unpacked(self, name: str) -> Path:
        """The kernel of a generation, and the C library of its suite, in a folder of their own."""
        if name not in self._suites:
            raise self._has_none()
        packages, files = (PACKAGES[:1], (OWN, *MODULES)) if name == OLDEST else (PACKAGES, FILES)
        return self._files(name, packages, self._suites[name], files)

    def program(self, name: str) -> Path:
        """A folder with the program of the package of that name, of the oldest suite that has it."""
        offered = [suite for _, suite in self._listed(name)]
        suites = [suite for suite in SUITES if suite in offered]
        if not suites:
            raise self._has_none()
        return self._files(name, (name,), suites[0], (FILES_OF[name],))

    def package(self, pattern: str, suite: str) -> Path:
        """The archive of a suite's newest package whose name the pattern matches, ordered by the numbers in it."""
        known = [name for name in self._apt("apt-cache", "pkgnames").split() if re.fullmatch(pattern, name)]
        if not known:
            raise self._has_none()
        folder = self._folder / "package"
        folder.mkdir()
        newest = max(known, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        self._apt("apt-get", "-qq", "download", f"{newest}/{suite}", cwd=folder)
        (archive,) = folder.glob("*.deb")
        return archive

    def source(self, name: str, suite: str) -> Path:
        """The source of a package as its authors published it, without Debian's patches."""
        folder = self._folder / f"{name}-source"
        folder.mkdir()
        self._apt("apt-get", "-qq", "source", "--download-only", f"{name}/{suite}", cwd=folder)
        (description,) = folder.glob("*.dsc")
        _run("dpkg-source", "--skip-patches", "--extract", description, folder / "unpacked")
        return folder / "unpacked"

    def _has_none(self) -> Missing:
        return Missing(f"the mirror has none\n{self._complaints}".strip())

    def _files(self, name: str, packages: Collection[str], suite: str, files: Collection[str]) -> Path:
        """Files of packages, in a folder of their own."""
        folder = self._folder / name
        folder.mkdir()
        self._apt("apt-get", "-qq", "download", *(f"{package}/{suite}" for package in packages), cwd=folder)
        for archive in sorted(folder.glob("*.deb")):
            _extract(archive, folder, files)
            archive.unlink()
        lacking = [file for file in files if not (folder / file).exists()]
        if lacking:
            raise Missing(f"the packages of {suite} have no {', '.join(lacking)}")
        return folder

    @cached_property
    def _suites(self) -> dict[str, str]:
        """Which suite has a generation. The newest generation is the newest kernel that there is."""
        offered: dict[str, tuple[str, str]] = {}
        for number, suite in self._listed(PACKAGES[0]):
            name = _name(number)
            newer = name == GENERATIONS[-1] and name in offered and _numbers(number) > _numbers(offered[name][0])
            if name and (newer or name not in offered):
                offered[name] = (number, suite)
        return {name: suite for name, (_, suite) in offered.items()}

    def _listed(self, package: str) -> list[tuple[str, str]]:
        """The versions that there are, each with its suite."""
        lines = [line.split("|") for line in self._apt("apt-cache", "madison", package).splitlines()]
        return [(number.strip(), source.split()[1].partition("/")[0]) for _, number, source in lines]

    def _apt(self, command: str, *words: str, check: bool = True, cwd: Path | None = None) -> str:
        """What one of apt's commands says: its output, or what it complained of where `check` is off."""
        done = _run(command, "-c", self._folder / "apt.conf", *words, check=check, cwd=cwd)
        return done.stdout if check else done.stderr


def _mirrors() -> list[str]:
    """The addresses of the machine's own repositories, on Debian; a suite with a dash is an addition to another."""
    release = platform.freedesktop_os_release()
    if "ubuntu" in (release["ID"], *release.get("ID_LIKE", "").split()):
        return [DEBIAN]
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").stdout
    mirrors = [line.split()[0] for line in targets.splitlines() if "-" not in line.split()[-1]]
    if not mirrors:
        raise Missing("apt has no sources")
    return list(dict.fromkeys(mirrors))


def _options() -> str:
    """The keyring that a suite must be signed with. Without one, apt takes those that the machine trusts in general."""
    rings = [Path("/usr/share/keyrings", name) for name in KEYRINGS]
    return next((f"[signed-by={ring}] " for ring in rings if ring.exists()), "")


def _extract(archive: Path, folder: Path, wanted: Collection[str]) -> None:
    """Those of a package's files that are wanted, straight into `folder`."""
    packed = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
    with packed, tarfile.open(fileobj=packed.stdout, mode="r|") as files:
        for member in files:
            content = files.extractfile(member) if member.isfile() else None
            name = Path(member.name).name
            if content is not None and name in wanted:
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (folder / name).chmod(0o755)
    if packed.returncode:
        raise Missing(f"dpkg-deb cannot unpack {archive.name}")


def _run(
    command: str, *words: str | Path, check: bool = True, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    if shutil.which(command) is None:
        raise Missing(f"it takes the command {command}")
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False, cwd=cwd)
    if check and done.returncode:
        raise Missing(f"{command} failed: {done.stderr.strip()}")
    return done


def _numbers(text: str) -> tuple[int, ...]:
    """6.12 of 6.12.113, and of a package's 6.12um1+b22."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
