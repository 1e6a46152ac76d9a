"""`perilune hunt`: logs in, ranked cases out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.model.case import Case
    from perilune.model.rules import Level
    from perilune.model.sources import SourceReport
    from perilune.pipeline import Hunt

LEVELS = ("informational", "low", "medium", "high", "critical")


@click.command(short_help="Read logs and list the cases found in them.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, readable=False))
@click.option("--demo", is_flag=True, help="Hunt over the sample logs that come with Perilune.")
@click.option(
    "--rules",
    "-r",
    "rule_paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder of Sigma rules to use besides the pack (repeatable).",
)
@click.option("--no-pack", is_flag=True, help="Use only the rules given with --rules.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="informational",
    show_default=True,
    help="Use only rules of this level and above.",
)
@click.option("--tag", "tags", multiple=True, help="Use only rules with this tag, e.g. t1059.011 (repeatable).")
@click.option("--exclude", multiple=True, help="Leave out the rules with this id, title or tag (repeatable).")
@click.option(
    "--show",
    type=click.Choice(LEVELS),
    default="low",
    show_default=True,
    help="List only cases of this severity and above.",
)
@click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="low",
    show_default=True,
    help="Exit with 1 when a finding's rule has this level or above.",
)
@click.option(
    "--jobs", "-j", type=click.IntRange(1), help="Processes that read, where there is much.  [default: cores]"
)
@click.option(
    "--runner",
    metavar="MASTER",
    help="Who matches Parquet tables: `processes`, or a Spark master such as spark://host:7077 or local[2].",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The learned history to ask what is usual here; else the setting's, where there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print JSON lines, each with its type.")
@click.option("--store/--no-store", "keep", default=True, help="Whether to keep the cases.  [default: keep]")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes on stderr.")
def hunt(
    paths: tuple[Path, ...],
    demo: bool,
    rule_paths: tuple[Path, ...],
    no_pack: bool,
    level: str,
    tags: tuple[str, ...],
    exclude: tuple[str, ...],
    runner: str | None,
    baseline: Path | None,
    show: str,
    fail_on: str,
    jobs: int | None,
    as_json: bool,
    as_jsonl: bool,
    keep: bool,
    quiet: bool,
) -> int:
    """Read the logs at PATHS (files and folders, archives too) and list the cases found in them.

    Formats are told by their contents, never by their names: EVTX, Defender JSON, JSON lines and CSV,
    raw auditd; gzip and zip of them.
    """
    if not paths and not demo:
        raise UsageError("nothing to read", hint="give files or folders, or try `perilune hunt --demo`")
    from perilune import pipeline, settings
    from perilune.model.rules import Level

    configured = settings.load()
    with ExitStack() as stack:
        if demo:
            samples = stack.enter_context(as_file(files("perilune") / "content" / "samples"))
            paths = (*paths, *sorted(path for path in samples.iterdir() if path.name != "README.txt"))
        progress = None if quiet else stack.enter_context(_progress())
        found = pipeline.hunt(
            paths,
            rules=[*rule_paths, *configured.rules],
            pack=not no_pack,
            content=configured.content if configured.content.is_dir() else None,
            cache=configured.cache,
            choice=pipeline.Choice(Level[level.upper()], tags, exclude),
            jobs=jobs,
            runner=runner,
            baseline=baseline or configured.baseline_folder,
            progress=progress,
            feedback=_feedback(configured.store_url) if keep else None,
        )
        stack.callback(found.spool.close)
    cases = _keep(found, configured.store_url) if keep else found.cases
    if as_json or as_jsonl:
        _print_json(found, cases, lines=as_jsonl)
    else:
        _print(found, cases, Level[show.upper()], kept=keep)
    if not quiet:
        _print_input(found)
    return exit_code(found, Level[fail_on.upper()])


def exit_code(found: Hunt, least: Level) -> int:
    """3 outranks 1: an answer from partial input must not pass for a whole one."""
    from perilune.model.sources import Reading

    if any(source.reading is not Reading.COMPLETE for source in found.sources):
        return EXIT_PARTIAL
    if any(finding.level >= least for finding in found.findings):
        return EXIT_FOUND
    return EXIT_NOTHING


def _feedback(url: str) -> dict[str, tuple[int, int]]:
    """What people said of the stored cases, by rule."""
    from perilune.store.cases import CaseStore

    store = CaseStore(url)
    try:
        return store.feedback()
    finally:
        store.close()


def _keep(found: Hunt, url: str) -> tuple[Case, ...]:
    from perilune.casework import reconsider
    from perilune.store.cases import CaseStore

    store = CaseStore(url)
    try:
        now, said = datetime.now(UTC), store.feedback()
        return tuple(store.save(case, at=now, weigh=lambda one: reconsider(one, said))[0] for case in found.cases)
    finally:
        store.close()


def _print(found: Hunt, cases: tuple[Case, ...], least: Level, *, kept: bool) -> None:
    from perilune.cli import console

    shown = [case for case in cases if case.level >= least]
    if shown:
        console.out.print(console.queue([console.summary_of(case) for case in shown]))
    else:
        console.out.print(_nothing(found))
    if hidden := len(cases) - len(shown):
        console.out.print(
            f"{hidden:,} more {'case' if hidden == 1 else 'cases'} below --show {least.word}", style="dim"
        )
    console.show_explained(found.explained)
    console.show_suppressed(found.suppressed)
    if shown and kept:
        console.out.print(
            f"\nNext: perilune case show {shown[0].id}   or   perilune report {shown[0].id} -o {shown[0].id}.html",
            style="dim",
        )


def _nothing(found: Hunt) -> str:
    """Nothing found is not the same as nothing there, and the words must not say so."""
    rows = sum(sum(source.rows.values()) for source in found.sources)
    if not rows:
        return "No case, because no event could be read. What was not read is listed below."
    return f"No case: {found.rules:,} rules found nothing in {rows:,} events."


def _print_json(found: Hunt, cases: tuple[Case, ...], *, lines: bool) -> None:
    from perilune.cli import output

    stream = sys.stdout.buffer
    if lines:
        for line in output.hunt_lines(found, cases):
            stream.write(line + b"\n")
    else:
        stream.write(output.dump(output.hunt_object(found, cases)) + b"\n")
    stream.flush()


def _print_input(found: Hunt) -> None:
    from perilune.cli import console

    console.show_input(found.sources)
    if found.refused:
        console.note(f"{len(found.refused):,} rules were refused: see `perilune rules list --refused`")
    if found.undecoded:
        console.note(f"{found.undecoded:,} events with encoded text were not decoded: the budget was used up")
    if found.unpaired:
        console.note(f"{found.unpaired:,} matches were too many to be correlated")
    for rule_id, count in found.cut.items():
        console.note(f"rule {rule_id}: {count:,} further matches were counted and not listed")


@contextmanager
def _progress() -> Iterator[Callable[[SourceReport], None]]:
    """A line on stderr that follows the reading, on a terminal only."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from perilune.cli.console import err
    from perilune.report.text import shorten, visible

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    read = rows = 0
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def show(source: SourceReport) -> None:
            nonlocal read, rows
            read += 1
            rows += sum(source.rows.values())
            last = visible(shorten(source.path, 60))
            bar.update(task, description=f"{read:,} files, {rows:,} rows  {last}")

        yield show
