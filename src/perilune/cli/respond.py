"""`perilune respond` and what belongs to it: approve, deny, undo, recover, close."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.service.office import Office

DEFAULT_PLAYBOOK = "T1059 - Command and Scripting Interpreter"


def own_name() -> str:
    """Who runs this, as the system knows them; behind sudo, who called it."""
    uid = _caller()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _caller() -> int:
    """Only root can have been called through sudo; anybody else may write what they like into their environment."""
    given = os.environ.get("SUDO_UID", "")
    return int(given) if os.getuid() == 0 and given.isascii() and given.isdecimal() else os.getuid()


def note_account(office: Office, run_id: str, who: str) -> None:
    """The account that a decision came from, beside the name that it was given under: names are believed here."""
    body = {"who": who, "account": own_name(), "uid": _caller(), "sudo": _caller() != os.getuid()}
    office.runs.note(run_id, "account", body, at=datetime.now(UTC), who=who)


who_option = click.option(
    "--who",
    default=own_name,
    help="Who decides. It is believed; your account is recorded beside it.  [default: your login name]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
reason_option = click.option("--reason", required=True, help="Why, for the record.")
run_argument = click.argument("run_id", metavar="RUN")
actions_option = click.option(
    "--action", "actions", type=int, multiple=True, help="Only this action of the plan (repeatable)."
)


def pairs(values: Sequence[str], what: str) -> dict[str, str]:
    """`name=value` options."""
    split = [value.partition("=") for value in values]
    if wrong := [value for value, (_, sign, _) in zip(values, split, strict=True) if not sign]:
        raise UsageError(f"--{what} takes name=value, not {wrong[0]!r}")
    return {name.strip(): value.strip() for name, _, value in split}


@click.command(short_help="Run a playbook for a case: plan, approve, act, verify.")
@click.argument("case_id", metavar="CASE")
@click.option("--playbook", default=DEFAULT_PLAYBOOK, show_default=True, help="Its name, or the beginning of it.")
@click.option("--input", "inputs", multiple=True, help="An input of the playbook, name=value (repeatable).")
@click.option("--answer", "answers", multiple=True, help="The answer to a question, variable=value (repeatable).")
@click.option("--connector", default="simulated", show_default=True, help="What the actions are done with.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, with the exact requests; change nothing.")
@who_option
@json_option
def respond(
    case_id: str,
    playbook: str,
    inputs: tuple[str, ...],
    answers: tuple[str, ...],
    connector: str,
    dry_run: bool,
    who: str,
    as_json: bool,
) -> int:
    """Plan what the playbook does about CASE, and begin.

    Nothing that needs an approval is done before `perilune approve`. The default connector is a simulated
    fleet: it changes nothing real. With --dry-run nothing is kept either.
    """
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.service.runs import plan_case
    from perilune.settings import load

    with opened(load()) as office:
        shelf = office.shelf()
        case = office.cases.load(case_id)
        used = office.connector(connector)
        plan = plan_case(
            case,
            shelf,
            playbook,
            used,
            inputs=pairs(inputs, "input"),
            answers=pairs(answers, "answer"),
            content=office.content,
            related=office.related(case),
        )
        if dry_run:
            return responding.show_plan(plan, used, as_json=as_json)
        run = office.runner(connector).start(plan, shelf.find(playbook).name, who=who)
        note_account(office, run.id, who)
        return responding.drive(office, run.id, as_json=as_json)


@click.command(short_help="Approve a run's plan, and go on.")
@run_argument
@actions_option
@reason_option
@click.option("--hours", type=click.FloatRange(0.01, 168), default=8, show_default=True, help="How long it holds.")
@click.option("--plan", "seen", default="", help="The beginning of the plan's hash that you looked at.")
@who_option
@json_option
def approve(
    run_id: str, actions: tuple[int, ...], reason: str, hours: float, seen: str, who: str, as_json: bool
) -> int:
    """Approve RUN's plan, or single actions of it, and drive the run on.

    The approval holds for exactly this plan and for --hours; it is looked at again right before each act.
    Actions on servers and domain controllers need a second person.
    """
    return _decide(run_id, actions, reason, who, as_json, granted=True, holds=timedelta(hours=hours), seen=seen)


@click.command(short_help="Deny a run's plan or an action of it.")
@run_argument
@actions_option
@reason_option
@who_option
@json_option
def deny(run_id: str, actions: tuple[int, ...], reason: str, who: str, as_json: bool) -> int:
    """Deny RUN's plan, or single actions of it. What is denied is never done by this run."""
    return _decide(run_id, actions, reason, who, as_json, granted=False, holds=timedelta(hours=8), seen="")


def _decide(
    run_id: str,
    actions: tuple[int, ...],
    reason: str,
    who: str,
    as_json: bool,
    *,
    granted: bool,
    holds: timedelta,
    seen: str,
) -> int:
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        record = office.runs.load(run_id)
        if seen and not record.plan_hash.startswith(seen.lower()):
            raise UsageError(f"{record.id} has the plan {record.plan_hash[:12]}, not {seen}", hint="look at it again")
        runner = office.runner(record.connector)
        note_account(office, record.id, who)
        runner.decide(record.id, who=who, granted=granted, reason=reason, actions=actions, holds=holds)
        return responding.drive(office, record.id, as_json=as_json)


@click.command(short_help="Take back what a run did.")
@run_argument
@actions_option
@reason_option
@who_option
@json_option
def undo(run_id: str, actions: tuple[int, ...], reason: str, who: str, as_json: bool) -> int:
    """Take back what RUN did, last first, as a run of its own. Asking for it is approving it.

    What held before the run is left as it was. What cannot be taken back is named.
    """
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        record = office.runs.load(run_id)
        note_account(office, record.id, who)
        undoing = office.runner(record.connector).undo(record.id, who=who, reason=reason, only=actions)
        return responding.drive(office, undoing.id, as_json=as_json)


@click.command(short_help="Run the recovery plan for a case.")
@click.argument("case_id", metavar="CASE")
@click.option("--input", "inputs", multiple=True, help="An input of the playbook, name=value (repeatable).")
@click.option("--connector", default="simulated", show_default=True, help="What the actions are done with.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, with the exact requests; change nothing.")
@who_option
@json_option
@click.pass_context
def recover(
    context: click.Context,
    case_id: str,
    inputs: tuple[str, ...],
    connector: str,
    dry_run: bool,
    who: str,
    as_json: bool,
) -> int:
    """Give CASE's host back: the playbook `Recovery Plan`."""
    result = context.invoke(
        respond,
        case_id=case_id,
        playbook="Recovery Plan",
        inputs=inputs,
        answers=(),
        connector=connector,
        dry_run=dry_run,
        who=who,
        as_json=as_json,
    )
    return int(result)


@click.command(short_help="Close a case.")
@click.argument("case_id", metavar="CASE")
@reason_option
@click.option(
    "--as",
    "verdict",
    type=click.Choice(["handled", "false-positive", "duplicate"]),
    default="handled",
    show_default=True,
    help="What the case was.",
)
@click.option("--propose/--no-propose", default=True, help="Write a proposal for a false positive.  [default: write]")
@click.option("--alert", "alerts", multiple=True, help="An alert of the product's to close as well (repeatable).")
@click.option("--connector", default="", help="The product that the alerts are of: defender or cortex_xdr.")
@who_option
def close(
    case_id: str, reason: str, verdict: str, propose: bool, alerts: tuple[str, ...], connector: str, who: str
) -> int:
    """Close CASE; its record says who, why and as what. Exits with 3 when an alert of a product's stayed open.

    A false positive also becomes a proposal: rules that explain exactly these command lines, written into
    `proposed/` of your content folder. They change nothing until you move them to `known_hosts/`.
    """
    from perilune.model.actions import Outcome
    from perilune.model.case import Status
    from perilune.service.closing import CLOSINGS, close_alerts
    from perilune.service.office import opened
    from perilune.settings import load

    now = datetime.now(UTC)
    if bool(alerts) != bool(connector):
        raise UsageError("--alert and --connector go together")
    with opened(load()) as office:
        case = office.cases.load(case_id)
        told = close_alerts(office.connector(connector), alerts, CLOSINGS[verdict], reason) if alerts else {}
        written = office.propose(case, author=who) if propose and verdict == "false-positive" else ([], [])
        body: dict[str, object] = {"as": verdict, "reason": reason, "proposed": [path.name for path in written[0]]}
        body["alerts"] = {alert: one.outcome.value for alert, one in told.items()}
        office.cases.set_status(case.id, Status.CLOSED, body, at=now, who=who)
        note_account(office, "", who)
        office.runs.note("", "close", {"case": case.id, **body}, at=now, who=who)
    click.echo(f"{case.id} is closed as {verdict}.")
    for alert, one in told.items():
        click.echo(f"alert {alert}: {one.outcome.value} {one.detail}".rstrip())
    for path in written[0]:
        click.echo(f"proposed: {path}")
    for why in written[1]:
        click.echo(f"not proposed: {why}")
    if written[0]:
        click.echo(f"Review them, then move them to {load().content / 'known_hosts'}.")
    closed = all(one.outcome in (Outcome.DONE, Outcome.ALREADY) for one in told.values())
    return 0 if closed else 3
