"""`perilune baseline`: what is usual here, learned from older logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.main import EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.investigation.habits import Overview
    from perilune.learning import Built

_FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The history's folder; else the setting's.",
)


@click.group(short_help="Learn how interpreters are used here, and show what was learned.")
def baseline() -> None:
    """Learn from older logs how interpreters are used here, so that a hunt can say what is new and what is usual.

    A hunt asks the history that stands in the folder of the setting `baseline`, or in `hunt --baseline DIR`.
    """


@baseline.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_FOLDER
@click.option("--jobs", "-j", type=click.IntRange(1, 64), help="Processes that read Parquet.  [default: cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def build(paths: tuple[Path, ...], folder: Path | None, jobs: int | None, as_json: bool, quiet: bool) -> int:
    """Add the runs of interpreters in the logs at PATHS to the history.

    An event counts once, however often and from whichever file it is read: give yesterday's logs every day, or the same
    folder again. Parquet that `perilune convert` wrote is read on all cores.
    """
    from perilune import learning, settings
    from perilune.cli import console, output
    from perilune.model.sources import Reading

    configured = settings.load()
    content = configured.content if configured.content.is_dir() else None
    done = learning.build(paths, folder or configured.baseline_folder, workers=jobs, content=content)
    if as_json:
        click.echo(output.dump(_built_object(done)))
    else:
        click.echo(_built_line(done))
    if not quiet:
        if done.closed:
            console.note(f"{done.closed:,} runs are of days that are closed; they were not counted")
        if done.sources:
            console.show_input(done.sources)
    whole = all(source.reading is Reading.COMPLETE for source in done.sources)
    return EXIT_NOTHING if whole else EXIT_PARTIAL


@baseline.command()
@_FOLDER
@click.option("--host", help="Only this host.")
@click.option("--interpreter", help="Only this interpreter, e.g. lua.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `days`, `hosts`, `uses`.")
def show(folder: Path | None, host: str | None, interpreter: str | None, limit: int, as_json: bool) -> None:
    """Show how long the history is, and what it knows: each interpreter's uses, those of most days first."""
    from perilune import history, settings
    from perilune.cli import output

    where = folder or settings.load().baseline_folder
    found = history.overview(where, host=host, interpreter=interpreter, limit=limit)
    if not found.days:
        raise UsageError(
            "there is no history", where=str(where), hint="`perilune baseline build` over older logs makes one"
        )
    if as_json:
        click.echo(output.dump(_overview_object(found)))
    else:
        _print(found, limit)


def _print(found: Overview, limit: int) -> None:
    from rich.table import Table

    from perilune.cli import console

    first, last = found.days[0], found.days[-1]
    click.echo(f"{len(found.days):,} days from {first} to {last}, {found.hosts:,} hosts, {found.runs:,} runs")
    if found.short:
        click.echo(f"{found.short:,} hosts have less than {found.least} days: what they do is unknown, not new")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Interpreter", "What", "Value", "Hosts", "Days", "Runs", "First", "Last"):
        table.add_column(name, justify="right" if name in ("Hosts", "Days", "Runs") else "left", overflow="fold")
    for use in found.uses:
        cells = (use.hosts, use.days, use.runs)
        table.add_row(
            console.plain(use.interpreter), use.facet, console.plain(use.value or "(too many to keep)", 80),
            *(f"{number:,}" for number in cells), str(use.first), str(use.last),
        )  # fmt: skip
    console.out.print(table)
    if found.more:
        console.note(f"{found.more:,} more; --limit shows more than {limit}, --host and --interpreter choose")


def _built_line(done: Built) -> str:
    days = f" on {len(done.days):,} days from {done.days[0]} to {done.days[-1]}" if done.days else ""
    again = f"; {done.known:,} had been counted before" if done.known else ""
    return f"{done.runs:,} runs of interpreters in {done.events:,} process events counted{days}{again}"


def _built_object(done: Built) -> dict[str, object]:
    from perilune.cli import output

    return {
        "events": done.events,
        "runs": done.runs,
        "known": done.known,
        "closed": done.closed,
        "days": [day.isoformat() for day in done.days],
        "input": output.input_object(done.sources),
    }


def _overview_object(found: Overview) -> dict[str, object]:
    return {
        "days": [day.isoformat() for day in found.days],
        "hosts": found.hosts,
        "runs": found.runs,
        "least_days": found.least,
        "hosts_with_less": found.short,
        "uses": [
            {"interpreter": u.interpreter, "facet": u.facet, "value": u.value, "hosts": u.hosts, "days": u.days,
             "runs": u.runs, "first": u.first.isoformat(), "last": u.last.isoformat()}
            for u in found.uses
        ],
        "not_listed": found.more,
    }  # fmt: skip
