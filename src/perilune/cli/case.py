"""`perilune case` and `perilune report`: what has been stored."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.case_edit import feedback, guide, merge, split
from perilune.cli.export import export
from perilune.cli.hunt import LEVELS
from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.store.cases import CaseStore


@click.group(short_help="List and show stored cases.")
def case() -> None:
    """List and show stored cases."""


@case.command("list")
@click.option(
    "--show",
    type=click.Choice(LEVELS),
    default="informational",
    show_default=True,
    help="Only cases of this severity and above.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `cases`.")
def list_cases(show: str, limit: int, as_json: bool) -> None:
    """The stored cases, most urgent first."""
    from perilune.cli import console, output
    from perilune.model.rules import Level

    store = _store()
    try:
        found = store.queue(limit=limit, least=Level[show.upper()])
        total = store.count()
    finally:
        store.close()
    if as_json:
        click.echo(output.dump({"cases": [output.summary_object(one) for one in found], "total": total}))
    elif found:
        console.out.print(console.queue(found))
        if total > len(found):
            console.out.print(f"{total - len(found):,} more cases", style="dim")
    else:
        console.out.print("No case is stored. `perilune hunt PATH` makes them.")


@case.command("show")
@click.argument("case_id", metavar="CASE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the whole case.")
def show_case(case_id: str, as_json: bool) -> None:
    """One case: why it is here, its findings with their evidence, process tree and timeline."""
    from perilune.cli import console, output

    store = _store()
    try:
        found = store.load(case_id)
    finally:
        store.close()
    if as_json:
        click.echo(output.dump({"case": output.case_object(found, whole=True)}))
    else:
        console.show_case(found)


case.add_command(merge)
case.add_command(split)
case.add_command(feedback)
case.add_command(guide)
case.add_command(export)


@click.command(short_help="Write a case as one self-contained file.")
@click.argument("case_id", metavar="CASE")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="The file to write, or - for stdout. A name ending in .md gives Markdown.",
)
@click.option("--format", "kind", type=click.Choice(["html", "markdown"]), help="Instead of by the file's name.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def report(case_id: str, output: Path, kind: str | None, force: bool) -> None:
    """Write CASE as one self-contained file for the ticket: no script, nothing fetched, prints well."""
    from perilune import __version__

    store = _store()
    try:
        found = store.load(case_id)
    finally:
        store.close()
    from perilune.triage import guides

    now = datetime.now(UTC)
    way = guides.render(found) if found.findings else None
    if (kind or ("markdown" if output.suffix.lower() == ".md" else "html")) == "markdown":
        from perilune.report import markdown

        text = markdown.render(
            found, generated=now, version=__version__, sources=found.sources, explained=found.explained, guide=way
        )
    else:
        from perilune.report import html

        text = html.render(
            found, generated=now, version=__version__, sources=found.sources, explained=found.explained, guide=way
        )
    _write(output, text, force=force)


def _write(output: Path, text: str, *, force: bool) -> None:
    data = text.encode("utf-8", "replace")
    if str(output) == "-":
        sys.stdout.buffer.write(data)
        return
    try:
        with output.open("wb" if force else "xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError("is there already", where=str(output), hint="use --force to overwrite it") from None
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(output)) from error
    click.echo(f"{output}: {len(data):,} bytes", err=True)


def _store() -> CaseStore:
    from perilune import settings
    from perilune.store.cases import CaseStore

    return CaseStore(settings.load().store_url)
