"""Any locale shows what it can, and what others wrote is shown escaped: by every command, wherever it comes from."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecnet.cli
from tests.cli.command import EXECUTABLE, TAP, TOPOLOGIES, answer, environment
from tests.cli.command import vecnet as command
from tests.host.network import ip, private_network
from tests.need import need, need_command, need_root
from vecnet.cli import COMMANDS
from vecnet.text import shown

GROESSE = "name: lab\nlinks: [{transport: tap, endpoints: {web:vec0: {ip: 10.0.0.2/24}, host:größe: {}}}]\n"
WRONG = "name: lab\nlinks: [{transport: Größe→, endpoints: [web:vec0, 'host:größer✓']}]\n"
EVIL = "\x1b[31m\x07\x9b2J\u202eevil\u2066\r\nFORGED\u2028FORGED"


@pytest.fixture
def network() -> Iterator[None]:
    need_root()
    need_command("ip")
    with private_network():
        yield


# ---- locales ----


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A real locale whose characters are those of ISO 8859-1."""
    need_command("localedef")
    folder = tmp_path_factory.mktemp("locales")
    line: list[str | Path] = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "en_US"]
    made = subprocess.run(line, capture_output=True, check=False)
    need((folder / "en_US").is_dir(), f"needs the sources of locales: {made.stderr!r}")
    return {"LOCPATH": str(folder), "LC_ALL": "en_US"}


ENCODINGS = {  # of Python's streams, and the environment that makes them so
    "C": ("utf-8", {"LC_ALL": "C"}),  # PEP 540
    "ASCII": ("utf-8", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),  # which click mends
    "Latin-1 streams": ("latin-1", {"PYTHONIOENCODING": "latin-1"}),
    "Latin-1": ("latin-1", {}),
    "ASCII streams": ("utf-8", {"PYTHONIOENCODING": "ascii"}),
    "UTF-8": ("utf-8", {"LC_ALL": "C.UTF-8"}),
}


@pytest.mark.usefixtures("network")
@pytest.mark.long
@pytest.mark.parametrize("name", ENCODINGS)
def test_every_command_in_every_locale(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    encoding, env = ENCODINGS[name]
    if name == "Latin-1":
        env = request.getfixturevalue("latin")
    file, wrong, report = tmp_path / "lab.yaml", tmp_path / "wrong.yaml", tmp_path / "report.md"
    file.write_text(GROESSE, encoding="utf-8")
    wrong.write_text(WRONG, encoding="utf-8")
    ends = "vec0:transport=fd,fd=3,mac=02:00:00:00:00:01"
    # in this order: each with its exit status, and what it says in any encoding
    ready: dict[tuple[str | Path, ...], tuple[int, str]] = {
        ("--help",): (0, "Usage: vecnet"),
        **{(one, "--help"): (0, f"Usage: vecnet {one}") for one in COMMANDS},
        ("check", file): (0, "is valid"),
        ("check", wrong): (2, "there is no transport"),
        ("check", "vec0:transport=tap,ifname=t"): (0, "add mac=02:"),
        ("check", "--json", wrong): (2, '"ok": false'),
        ("args", file): (0, "vec0:transport=tap,ifname="),
        ("args", "--json", file): (0, '"web"'),
        ("plan", file): (0, "+ tap "),
        ("up", file): (0, "vec0:transport=tap"),
        ("status", file): (0, "healthy"),
        ("loopback", file, "-p", "open", "-v"): (0, "open: both ends open"),
        ("loopback", file, "-p", "open", "--json", "-"): (0, '"pass"'),
        ("loopback", file, "-p", "open", "--markdown", report): (0, "1 of 1 links pass"),
        ("loopback", ends): (2, "give --peer or --mirror"),
        ("run", file, "--", "no-such-größe"): (127, "No such file"),
        ("down", "lab"): (0, "1 removed"),
        ("plan", file, "--json"): (0, '"create"'),
        ("loopback", file, "-p", "open"): (1, "FAIL"),
        ("sandbox", file, "--", EXECUTABLE, "status"): (0, "healthy"),
        ("completion", "bash"): (0, "vecnet"),
        ("chekc✓",): (2, "No such command"),
    }
    for words, (status, said) in ready.items():
        done = subprocess.run(
            [EXECUTABLE, *words], capture_output=True, check=False, env=environment(**env), stdin=subprocess.DEVNULL
        )
        out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
        assert done.returncode == status, (words, out, err)
        assert said in out + err, (words, out, err)
        assert "Unicode" not in err
        assert "Traceback" not in err
        if "--json" in words:
            json.loads(done.stdout.decode("ascii"))
        if words[0] in ("args", "up") and "--json" not in words and "--help" not in words:
            assert "ifname=größe," in done.stdout.decode("utf-8"), "a kernel's names are bytes"
    assert report.read_text(encoding="utf-8").startswith("## lab: 1 of 1 links pass")


def test_what_an_encoding_lacks_has_a_like(latin: dict[str, str]) -> None:
    done = subprocess.run(
        [EXECUTABLE, "loopback", TOPOLOGIES / "fd.yaml", "-p", "frames"],
        capture_output=True,
        check=True,
        env=environment(**latin),
    )
    assert done.stdout.decode("latin-1").splitlines()[0] == "PASS     a:vec0--b:vec0  fd      + open + frames"
    assert answer("loopback", TOPOLOGIES / "fd.yaml", "-p", "frames").splitlines()[0].endswith("✓ open ✓ frames")
    help_text = subprocess.run([EXECUTABLE, "run", "--help"], capture_output=True, check=True, env=environment(**latin))
    assert b"-- CMD...\n" in help_text.stdout


def test_nothing_else_of_the_commands_prints() -> None:
    """One door to the terminal, which escapes; a test of it is a test of all."""
    for file in Path(vecnet.cli.__file__).parent.glob("*.py"):
        if file.name != "terminal.py":
            assert not re.search(r"\b(click\.s?echo|print)\(|sys\.std(out|err)\.write", file.read_text()), file


# ---- hostile names ----


def harmless(*texts: str, headings: Sequence[str] = ()) -> None:
    """No text holds what a terminal obeys, nor a line that somebody else began, but for the words of a command line."""
    for text in texts:
        for line in text.split("\n"):
            assert line.isprintable(), line
            assert not line.startswith("FORGED") or line in headings, text


def said(words: Sequence[str | Path]) -> tuple[int, str, str]:
    """What a command of this process answers and says."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), pytest.raises(SystemExit) as ended:
        vecnet.cli.main([str(word) for word in words])
    texts = []
    for stream in streams:
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        texts.append(stream.buffer.getvalue().decode())
    assert "fault of its own" not in texts[1], texts[1]
    assert "Traceback" not in texts[1]
    assert isinstance(ended.value.code, int)
    return ended.value.code, texts[0], texts[1]


TEXTS = st.text(
    st.sampled_from("ab,:=/\"'\\ \x00\x07\x08\t\n\r\x1b[31m\x7f\x85\x9b\u202e\u2066\u2028\ufeff\ud800\udcff")
    | st.characters(),
    max_size=30,
).map(lambda text: text.replace("\n", "\nFORGED"))
FUZZ = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(TEXTS)
def test_fuzz_strings_that_are_checked(text: str) -> None:
    for words in (("check", f"vec0:transport={text}"), ("check", f"vec0:{text}transport=tap,ifname={text}")):
        _, out, err = said(words)
        harmless(out, err, headings=[shown(word) for word in words[1].split()])
    json.loads(said(("check", "--json", f"vec{text}:transport=tap"))[1])


@FUZZ
@given(TEXTS)
def test_fuzz_words_that_are_names_and_files(text: str) -> None:
    text = text.replace("\0", "")  # ends a word of a command line
    for words in (
        ("check", "--", text),
        ("args", "--", f"./{text}.yaml"),
        ("args", str(TAP), f"--guest={text}."),
        ("args", str(TAP), f"--format={text}"),
        ("args", str(TAP), f"--{text}."),
        ("status", "--", f"{text} "),
        ("down", "--", f"{text} "),
        ("loopback", str(TAP), f"--link={text}"),
        ("loopback", str(TAP), f"--probe={text}."),
        ("loopback", str(TAP), f"--impair={text}"),
        ("loopback", str(TAP), f"--json=/none/{text}"),
        ("loopback", "vec0:transport=fd,fd=3", f"--peer={text}"),
        ("bench", f"--transport={text}."),
        ("completion", "--", f"{text}."),
        (f"{text}.",),
        ("sandbox", "--", f"./{text}.yaml", "true"),
        ("run", str(TAP), f"--guest={text}.", "--", "true"),
        ("plan", "--", f"./{text}.yaml"),
        ("up", "--", f"./{text}.yaml"),
    ):
        _, out, err = said(words)
        harmless(out, err)


def shapes(text: str) -> Iterator[object]:
    """Topologies with a text in each place that a file may name something in."""
    yield {"name": text, "links": [{"transport": "tap", "endpoints": ["web:vec0", "host:tap0"]}]}
    yield {text: 1}
    yield {"links": [{"transport": text, "endpoints": [text, f"host:{text}"]}], "bridges": {text: {"mtu": text}}}
    yield {"links": [{"transport": "tap", "name": text, "endpoints": [f"{text}:vec0", f"host:{text}"]}]}
    ends = {"web:vec0": {"mac": text, "ip": text}, "host:tap0": {"netns": text, "bridge": text, "owner": text}}
    yield {"links": [{"transport": "tap", "endpoints": ends, "impair": text, "depth": text, text: text}]}
    yield {"links": [{"transport": "bess", "endpoints": {"web:vec0": {"path": text}, "host:s": {"path": text}}}]}
    yield {
        "links": [{"transport": "raw", "bpffile": text, "endpoints": {"web:vec0": {"ifname": text}, "host:v": None}}]
    }
    yield {"links": [{"transport": "gre", "endpoints": {"a:vec0": {"local": text}, "b:vec0": {"local": text}}}]}


@FUZZ
@given(TEXTS)
def test_fuzz_names_in_a_topology(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lab.yaml"
    for shape in shapes(text):
        file.write_text(yaml.safe_dump(shape), encoding="utf-8", errors="surrogatepass")
        _, out, err = said(("check", file))
        harmless(out, err)
    for raw in (f"links: !<{text}> []", f"links: *{text}", f"a: !{text} b", f"links: [&{text} {{}}, *{text}x]", text):
        file.write_text(raw, encoding="utf-8", errors="surrogatepass")
        harmless(*said(("check", file))[1:])


REST = {
    "run": ["--", "false"],
    "sandbox": ["--", "false"],
    "loopback": ["-p", "open"],
    "watch": ["--count", "1"],
    "export": ["--for", "iproute2"],
}


@pytest.mark.usefixtures("network")
def test_a_files_name_in_every_command(tmp_path: Path) -> None:
    folder = tmp_path / EVIL
    folder.mkdir()
    good, wrong, none = folder / f"{EVIL}.yaml", folder / "wrong.yaml", folder / "none.yaml"
    good.write_text("name: lab\nlinks: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n")
    wrong.write_text("links: [")
    for file in (good, wrong, none):
        for name in COMMANDS.keys() - {"bench", "completion"}:
            rest = REST.get(name, [])
            if file is good and rest[:1] == ["--"]:
                continue  # below, since it becomes another program
            status, out, err = said((name, file, *rest))
            harmless(out, err)
            assert status == 2 or file is good
    said(("up", good))
    for words in (("run", good, "--", EVIL), ("sandbox", good, "--", EVIL)):
        done = subprocess.run([EXECUTABLE, *words], capture_output=True, text=True, check=False, env=environment())
        assert done.returncode == 127
        harmless(done.stdout, done.stderr)


@pytest.mark.usefixtures("network")
def test_interfaces_and_aliases_of_anybody(tmp_path: Path) -> None:
    """Whoever may name an interface, or write its alias, writes on the screens of those who look."""
    name = "\x1b[31m\u202ex"
    ip("link", "add", name, "type", "bridge")
    ip("link", "set", name, "alias", "vecnet lab %1b[2J%0aFORGED%c2%9b")
    ip("link", "add", "tap\x1b[2Jb", "type", "bridge")
    ip("link", "set", "tap\x1b[2Jb", "alias", "vecnet %1b[2J%0aFORGED \x1b[2J kind=\x1b[2J")
    file = tmp_path / "lab.yaml"
    file.write_text("name: lab\nlinks: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n")
    for words in (
        ("status",),
        ("status", "lab"),
        ("status", "other"),
        ("plan", file),
        ("loopback", file, "-p", "open"),
        ("down", "other"),
        ("down", "broken.yaml"),
        ("up", file),
        ("down", "lab"),
    ):
        _, out, err = said(words)
        assert out + err
        harmless(out, err)


def test_an_error_is_cut_and_a_long_string_is_no_wall_of_text(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(f"links: [{{transport: tap, depth: {'9' * 2**20}, endpoints: [web:vec0, host:tap0]}}]\n")
    for words in (("check", file), ("args", file), ("check", "vec0:transport=tap,ifname=" + "x" * 100_000)):
        done = command(*words)
        assert done.returncode == 2
        assert len(done.stdout) + len(done.stderr) < 8000
        assert "…" in done.stdout + done.stderr
    assert os.fspath(file) in command("check", file).stderr
