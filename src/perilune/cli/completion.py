"""Shell completion, from Click's own machinery."""

from __future__ import annotations

import click


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    Add this line to your ~/.bashrc (or the same for zsh):

        eval "$(perilune completion bash)"
    """
    from click.shell_completion import get_completion_class

    from perilune.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "perilune", "_PERILUNE_COMPLETE").source())
