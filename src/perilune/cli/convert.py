"""`perilune convert`: logs in, tables as Parquet out, which every command takes in place of the logs."""

from __future__ import annotations

from pathlib import Path

import click

from perilune.cli.main import EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError


@click.command(short_help="Write the tables that logs become as Parquet.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", "-o", "folder", required=True, type=click.Path(path_type=Path), help="A new or empty folder.")
@click.option(
    "--mapping",
    "own",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A mapping file to use besides those that ship (repeatable).",
)
@click.option(
    "--jobs", "-j", type=click.IntRange(1), help="Processes that read, where there is much.  [default: cores]"
)
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def convert(paths: tuple[Path, ...], folder: Path, own: tuple[Path, ...], jobs: int | None, quiet: bool) -> int:
    """Read the logs at PATHS and write their rows as Parquet: FOLDER/TABLE/day=2026-03-02/part-00001.parquet.

    The folder can be given to `hunt` and `kql` in place of the logs; reading it takes a fraction of the time. Each
    row still says the file and the record that it came from. Rows without a time are in day=undated.
    """
    from perilune import reading, settings
    from perilune.cli import console
    from perilune.model.sources import Reading, SourceReport
    from perilune.store.parquet import ParquetFolder

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("the folder is not empty", where=str(folder), hint="give a new folder: nothing is overwritten")
    reports: list[SourceReport] = []
    content = settings.load().content
    mine = reading.Own(content if content.is_dir() else None, own)
    with ParquetFolder(folder) as written:
        for item in reading.read(paths, own=mine, jobs=jobs):
            if isinstance(item, SourceReport):
                reports.append(item)
            else:
                written.add(item)
    for name, rows in sorted(written.rows.items()):
        click.echo(f"{rows:>12,}  {folder / name}")
    if not quiet:
        console.show_input(reports)
    whole = all(report.reading is Reading.COMPLETE for report in reports)
    return EXIT_NOTHING if whole else EXIT_PARTIAL
