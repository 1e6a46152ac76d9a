"""`docs/reference/cli.md` is generated: `python -m tests.cli.test_reference` writes it, the test compares."""

from __future__ import annotations

from collections.abc import Iterator

import click

from perilune.cli.main import cli
from tests.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "cli.md"


def page() -> str:
    return "\n".join(["# Commands", "", "Generated from the commands' own help.", *_sections(cli, "perilune")]) + "\n"


def _sections(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, terminal_width=100, help_option_names=["-h", "--help"])
    command._help_option = None  # click keeps the names that it was asked with first, by whichever test
    yield from ("", f"## `{name}`", "", "```", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _sections(found, f"{name} {child}")


def test_the_command_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.cli.test_reference"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
