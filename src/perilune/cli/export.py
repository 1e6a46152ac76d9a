"""`perilune case export`: stored cases in the formats that other tools take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.cli.exports import Export
    from perilune.model.case import Case

FORMATS = ("ocsf", "ocsf-incident", "stix", "navigator", "csv", "jsonl", "parquet", "markdown", "html", "jira",
           "servicenow")  # fmt: skip
MOST = 100_000  # cases of one export


@click.command("export", short_help="Write cases as OCSF, STIX, CSV, Parquet, …")
@click.argument("case_ids", metavar="[CASE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every stored case, instead of CASE.")
@click.option("--format", "name", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="The file to write, or - for stdout; of formats that hold one case, a folder for several.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def export(case_ids: tuple[str, ...], every: bool, name: str, output: Path, force: bool) -> None:
    """Write CASE, or every case, for another tool.

    ocsf, ocsf-incident and jsonl hold one object on a line; stix, navigator, csv and parquet are one document for all
    cases; markdown, html, jira and servicenow are one file for each case. What a log says is shown as text everywhere:
    nothing in it can be run, opened or formatted.
    """
    from perilune.cli.exports import EXPORTS

    if bool(case_ids) == every:
        raise UsageError("give either CASE or --all")
    chosen = EXPORTS[name]
    cases = _load(case_ids, every)
    if chosen.many or (len(cases) == 1 and not output.is_dir()):
        _write(output, chosen.render(cases, datetime.now(UTC)), force=force)
    else:
        _write_each(cases, chosen, output, force=force)


def _load(case_ids: Sequence[str], every: bool) -> list[Case]:
    from perilune import settings
    from perilune.store.cases import CaseStore

    store = CaseStore(settings.load().store_url)
    try:
        wanted = [one.id for one in store.queue(limit=MOST)] if every else list(dict.fromkeys(case_ids))
        if not wanted:
            raise UsageError("no case is stored", hint="`perilune hunt PATH` makes them")
        if every and store.count() > len(wanted):
            click.echo(f"perilune: only the {len(wanted):,} most urgent of {store.count():,} cases", err=True)
        return [store.load(one) for one in wanted]
    finally:
        store.close()


def _write_each(cases: Sequence[Case], chosen: Export, folder: Path, *, force: bool) -> None:
    if str(folder) == "-" or folder.is_file():
        raise UsageError(f"{chosen.name} holds one case in a file", hint="give a folder with -o for several")
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for case in cases:
        _write(folder / f"{case.id}-{chosen.name}{chosen.suffix}", chosen.render([case], now), force=force)


def _write(path: Path, data: bytes, *, force: bool) -> None:
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        return
    try:
        with path.open("wb" if force else "xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError("is there already", where=str(path), hint="use --force to overwrite it") from None
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from error
    click.echo(f"{path}: {len(data):,} bytes", err=True)
