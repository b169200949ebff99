"""Completion in shells: what each is told, and bash really doing it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TOPOLOGIES, answer, environment
from tests.need import need_command
from vecnet.cli import COMMANDS

BASH = r"""
eval "$(vecnet completion bash)"
COMP_WORDS=({words}); COMP_CWORD={position}
"$(complete -p vecnet | sed 's/.*-F \([^ ]*\).*/\1/')" vecnet
printf '%s\n' "${{COMPREPLY[@]}}"
"""


def bash(*words: str) -> set[str]:
    """What bash offers for the last word."""
    need_command("bash", "sed")
    script = BASH.format(words=" ".join(f"'{word}'" for word in words), position=len(words) - 1)
    path = f"{EXECUTABLE.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        env=environment(PATH=path),
        timeout=60,
    )
    assert not done.stderr
    return set(done.stdout.split())


def test_bash_completes() -> None:
    assert bash("vecnet", "") == set(COMMANDS)
    assert bash("vecnet", "s") == {"status", "sandbox", "serve"}
    assert bash("vecnet", "args", str(LAB), "--guest", "") == {"app", "db", "web"}
    assert bash("vecnet", "run", str(LAB), "--guest", "w") == {"web"}
    assert bash("vecnet", "loopback", str(LAB), "--link", "web") == {"web:vec0--host:tap-web"}
    assert bash("vecnet", "up", str(TOPOLOGIES / "two-hosts.yaml"), "--on", "") == {"alpha", "beta"}
    assert bash("vecnet", "up", str(TOPOLOGIES / "two-hosts.yaml"), "--on", "beta", "--guest", "") == {"south"}
    assert bash("vecnet", "args", str(LAB), "--format", "") == {"lines", "json", "shell"}
    assert bash("vecnet", "completion", "z") == {"zsh"}
    assert bash("vecnet", "plan", "--") == {"--json", "--on", "--inventory", "--help"}


def test_nothing_hangs_or_fails_where_there_is_nothing_to_complete(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("links: [")
    for file in ("-", "none.yaml", str(broken), str(tmp_path)):
        assert bash("vecnet", "args", file, "--guest", "") == set()
        assert bash("vecnet", "loopback", file, "--link", "") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_the_same(shell: str) -> None:
    script = answer("completion", shell)
    assert f"_VECNET_COMPLETE={shell}_complete" in script
    asked = {
        "_VECNET_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "vecnet s",
        "COMP_CWORD": "s" if shell == "fish" else "1",
    }
    done = subprocess.run([EXECUTABLE], capture_output=True, text=True, check=True, env=environment(**asked))
    assert "status" in done.stdout
    assert "sandbox" in done.stdout
    assert "check" not in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_takes_the_script_without_a_word() -> None:
    need_command("bash")
    done = subprocess.run(
        ["bash", "-n"], input=answer("completion", "bash"), capture_output=True, text=True, check=True
    )
    assert not done.stdout
    assert not done.stderr
