"""`perilune runs`: every run and how far it came; answer it, drive it on, cancel it, sweep what is overdue."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.table import Table

from perilune.cli.respond import json_option, note_account, run_argument, who_option
from perilune.errors import UsageError


@click.group(short_help="List, show, resume and cancel runs of playbooks.")
def runs() -> None:
    """List, show, resume and cancel runs of playbooks."""


@runs.command("list")
@click.option("--open", "open_only", is_flag=True, help="Only runs that are not at their end.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
def list_runs(open_only: bool, limit: int, as_json: bool) -> None:
    """Every run, the newest first."""
    from perilune.cli import console, output, responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        found = office.runs.runs(limit=limit, open_only=open_only)
        if as_json:
            objects = [responding.run_object(one, office.runs.results(one.id)) for one in found]
            click.echo(output.dump({"runs": objects}))
            return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Run", "Case", "Status", "Playbook", "Connector", "Waits for"):
        table.add_column(name, no_wrap=name in ("Run", "Case", "Status"))
    for one in found:
        table.add_row(one.id, one.case, one.status, one.playbook, one.connector, console.plain(one.waiting, 200))
    console.out.print(table if found else "There is no run. `perilune respond CASE` makes one.")


@runs.command("show")
@run_argument
@json_option
def show_run(run_id: str, as_json: bool) -> int:
    """One run: its plan, what came of each action, and what it waits for."""
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        return responding.show_run(office, run_id, as_json=as_json)


@runs.command("answer")
@run_argument
@click.argument("answer")
@who_option
@json_option
def answer_run(run_id: str, answer: str, who: str, as_json: bool) -> int:
    """Answer the question that RUN waits for, and drive it on."""
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        record = office.runs.load(run_id)
        question = office.runner(record.connector).question(record.id)
        if question is None:
            raise UsageError(f"{record.id} waits for no answer")
        if answer not in question.choices:
            raise UsageError(f"{answer!r} is no answer to it", hint=f"answers are: {', '.join(question.choices)}")
        note_account(office, record.id, who)
        office.runs.answer(record.id, question.step, answer, at=datetime.now(UTC), who=who)
        return responding.drive(office, record.id, as_json=as_json)


@runs.command("resume")
@run_argument
@json_option
def resume_run(run_id: str, as_json: bool) -> int:
    """Drive RUN on from where it stopped: after a crash, or when what it waited for is there."""
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        return responding.drive(office, run_id, as_json=as_json)


@runs.command("cancel")
@run_argument
@click.option("--reason", required=True, help="Why, for the record.")
@who_option
def cancel_run(run_id: str, reason: str, who: str) -> None:
    """End RUN where it is. What it did stays; `perilune undo` takes that back."""
    from perilune.service.office import opened
    from perilune.settings import load

    now = datetime.now(UTC)
    with opened(load()) as office:
        record = office.runs.load(run_id)
        if record.status in ("finished", "cancelled"):
            raise UsageError(f"{record.id} is {record.status}")
        note_account(office, record.id, who)
        office.runs.note(record.id, "cancel", {"reason": reason}, at=now, who=who)
        office.runs.set_status(record.id, "cancelled", at=now, who=who)
    click.echo(f"{record.id} is cancelled.")


@runs.command("sweep")
@json_option
def sweep_runs(as_json: bool) -> None:
    """Drive on every open run that nobody drives, and take back every effect whose time is over."""
    from perilune.cli import output
    from perilune.service.office import opened
    from perilune.service.sweeper import sweep
    from perilune.settings import load

    with opened(load()) as office:
        swept = sweep(office)
    if as_json:
        lists = {"driven": swept.driven, "undone": swept.undone, "failed": swept.failed}
        click.echo(output.dump(lists))
        return
    click.echo(f"{len(swept.driven)} runs driven on, {len(swept.undone)} effects taken back.")
    for line in swept.failed:
        click.echo(line, err=True)


@runs.command("work")
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=None, help="Stop after so long.  [default: when stopped]"
)
def work_runs(seconds: float | None) -> None:
    """Drive all open runs, durably, until stopped: several workers may share them, and one takes over from another.

    Needs the extra `durable`. Approvals given elsewhere are seen within a second.
    """
    import asyncio

    from perilune.service.durable import Worker, make_name, work
    from perilune.service.office import opened
    from perilune.settings import load

    settings = load()
    shared = settings.store_url if not settings.store_url.startswith("sqlite") else ""
    with opened(settings) as office:
        worker = Worker(office.runs, office.connector, make_name())
        database = shared or f"sqlite:///{settings.home / 'durable.db'}"
        asyncio.run(work(office.runs, worker, database, seconds=seconds))
