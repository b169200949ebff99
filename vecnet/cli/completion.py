"""vecnet completion: the code that completes vecnet's words in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vecnet.cli.terminal import emit


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the code that completes vecnet's words, such as for: eval "$(vecnet completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    emit(kind(ctx.find_root().command, {}, "vecnet", "_VECNET_COMPLETE").source() + "\n")
