"""`perilune import`: alerts of other products become cases with our analysis on them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.hunt import LEVELS
from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.alerts import Imported
    from perilune.model.alerts import Alert
    from perilune.model.case import Case


@click.command("import", short_help="Make cases of other products' alerts.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--show",
    type=click.Choice(LEVELS),
    default="informational",
    show_default=True,
    help="List only cases of this severity and above.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `cases` and `alerts`.")
@click.option("--store/--no-store", "keep", default=True, help="Whether to keep the cases.  [default: keep]")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def import_alerts(files: tuple[Path, ...], show: str, as_json: bool, keep: bool, quiet: bool) -> int:
    """Read the alerts in FILES and make cases of them: command lines decoded and explained, techniques, questions.

    Understood are Cortex XDR's alerts and incidents with their alerts, Microsoft Defender's (Endpoint, XDR, Graph), and
    any JSON that has a title or a command line. An alert that was imported before is found again, not doubled.
    """
    if not files:
        raise UsageError("nothing to read", hint="give files of alerts, as JSON or JSON lines")
    from perilune import alerts, settings

    configured = settings.load()
    content = configured.content if configured.content.is_dir() else None
    found = alerts.triage(
        [alerts.load(path, content) for path in files],
        rules=configured.rules,
        content=content,
        cache=configured.cache,
        feedback=_feedback(configured.store_url) if keep else None,
    )
    cases = _keep(found.cases, configured.store_url) if keep else found.cases
    if as_json:
        _print_json(found, cases)
    else:
        _print(found, cases, show, kept=keep)
    if not quiet:
        _print_input(found)
    return exit_code(found)


def exit_code(found: Imported) -> int:
    """3 where something was not read in full; 1 where there are alerts, as a hunt has it with findings."""
    from perilune.model.sources import Reading

    if any(one.reading is not Reading.COMPLETE for one in found.sources):
        return EXIT_PARTIAL
    return EXIT_FOUND if found.alerts else EXIT_NOTHING


def _feedback(url: str) -> dict[str, tuple[int, int]]:
    from perilune.store.cases import CaseStore

    store = CaseStore(url)
    try:
        return store.feedback()
    finally:
        store.close()


def _keep(cases: Sequence[Case], url: str) -> tuple[Case, ...]:
    from datetime import UTC, datetime

    from perilune.casework import reconsider
    from perilune.store.cases import CaseStore

    store = CaseStore(url)
    try:
        now, said = datetime.now(UTC), store.feedback()
        return tuple(store.save(case, at=now, weigh=lambda one: reconsider(one, said))[0] for case in cases)
    finally:
        store.close()


def _print(found: Imported, cases: Sequence[Case], show: str, *, kept: bool) -> None:
    from perilune.cli import console
    from perilune.model.rules import Level

    shown = [case for case in cases if case.level >= Level[show.upper()]]
    if shown:
        console.out.print(console.queue([console.summary_of(case) for case in shown]))
    elif cases:
        console.out.print(f"No case of {show} severity and above; {len(cases):,} below.")
    else:
        console.out.print("No alert was found; what was not read is listed below.")
    if shown and kept:
        console.out.print(f"\nNext: perilune case show {shown[0].id}", style="dim")


def _print_json(found: Imported, cases: Sequence[Case]) -> None:
    from perilune.cli import output

    plain = {
        "cases": [output.case_object(case, whole=False) for case in cases],
        "alerts": [alert_object(alert) for alert in found.alerts],
        "input": output.input_object(found.sources),
        "refused": [output.refusal_object(one) for one in found.refused],
    }
    sys.stdout.buffer.write(output.dump(plain) + b"\n")
    sys.stdout.buffer.flush()


def alert_object(alert: Alert) -> dict[str, object]:
    return {
        "product": alert.product,
        "id": alert.id,
        "title": alert.title,
        "severity": alert.level.word,
        "severity_given": alert.severity,
        "host": alert.host,
        "techniques": list(alert.techniques),
        "incident": alert.incident,
        "record": alert.number,
    }


def _print_input(found: Imported) -> None:
    from perilune.cli import console

    for source in found.sources:
        for reason, count in source.skipped.items():
            console.note(f"{source.path}: not imported: {count:,} × {reason}")
        for problem in source.problems:
            where = f", first at {problem.where}" if problem.where else ""
            console.note(f"{source.path}: {problem.what} ({problem.count:,} times{where})")
    console.note(f"Read {len(found.alerts):,} alerts in {len(found.sources):,} files.")
