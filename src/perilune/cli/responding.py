"""What the commands about runs print: plans, runs, and how far a run came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from perilune.cli import console, output
from perilune.cli.main import EXIT_NOTHING, EXIT_PARTIAL
from perilune.model.actions import Action, Outcome, Plan, Result
from perilune.ports import Connector
from perilune.report.text import visible
from perilune.response.kinds import KINDS, openc2
from perilune.response.plan import plan_hash

if TYPE_CHECKING:
    from perilune.service.office import Office
    from perilune.store.runs import Run

Plain = output.Plain
STYLES = {
    Outcome.DONE: "green",
    Outcome.ALREADY: "green",
    Outcome.REFUSED: "yellow",
    Outcome.FAILED: "red",
    Outcome.UNKNOWN: "bold red",
}
DAY = 86_400


def drive(office: Office, run_id: str, *, as_json: bool) -> int:
    """Drives a run on as far as it goes, and says how far that is."""
    record = office.runs.load(run_id)
    office.runner(record.connector).advance(record.id)
    return show_run(office, record.id, as_json=as_json)


def show_run(office: Office, run_id: str, *, as_json: bool) -> int:
    """A run: its plan with what came of each action. Exit 3 when something failed or nobody knows."""
    record = office.runs.load(run_id)
    results = office.runs.results(record.id)
    if as_json:
        click.echo(output.dump({"run": run_object(record, results)}))
    else:
        _print_run(record, results)
    bad = any(one.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for one in results.values())
    return EXIT_PARTIAL if bad else EXIT_NOTHING


def show_plan(plan: Plan, connector: Connector, *, as_json: bool) -> int:
    """A dry run: the exact requests and their effects, in order, and what cannot be known before."""
    if as_json:
        click.echo(output.dump({"dry_run": True, "plan": plan_object(plan, connector)}))
        return EXIT_NOTHING
    name = plan.documents[0].name if plan.documents else f"undo of {plan.undoes}"
    _say(f"Dry run of {name} for {plan.case} with the connector {plan.connector}: nothing is changed.", "bold")
    _say(f"Plan {plan_hash(plan)[:12]}; inputs: {_inputs(plan)}", "dim")
    for action in plan.actions:
        _print_action(action, connector)
    _print_rest(plan)
    return EXIT_NOTHING


def _inputs(plan: Plan) -> str:
    return ", ".join(f"{name.strip('_')}={value or '(empty)'}" for name, value in plan.inputs.items()) or "none"


def _print_action(action: Action, connector: Connector | None, result: Result | None = None) -> None:
    line = Text(f"\n{action.number:3}  ").append(f"{action.phase:<13} ", style="dim").append(action.kind, style="bold")
    console.out.print(line.append(visible(f"  {action.target.words}")), soft_wrap=True)
    if result is not None:
        detail = f": {visible(result.detail)}" if result.detail else ""
        console.out.print(Text(f"     {result.outcome.value}{detail}", STYLES[result.outcome]), soft_wrap=True)
    for request in connector.describe(action) if connector else ():
        _say(f"     does: {request.what}")
        for part in request.body.splitlines():
            _say(f"           {part}", "dim")
    if connector is not None:
        row = KINDS[action.kind]
        _say(f"     why: {action.why}; then checked that {row.check}", "dim")
        _say(f"     reach: {row.reach}; undone by: {row.inverse or row.note}", "dim")
    _say(f"     {_needs(action)}", "dim")


def _needs(action: Action) -> str:
    needs = {0: "no approval needed", 1: "needs an approval"}.get(
        action.approvers, f"needs {action.approvers} people's approval"
    )
    if action.lasts:
        needs += f"; its inverse is due after {action.lasts / DAY:g} days"
    words = openc2(action.kind, action.target.type)
    return f"{needs}; OpenC2: {words}" if words else needs


def _print_rest(plan: Plan) -> None:
    if plan.refusals:
        console.out.print("\nRefused by guards:", style="bold")
    for line in _refused(plan):
        _say(f"  {line}", "yellow")
    console.out.print("\nNot known before:", style="bold")
    for line in plan.unknown:
        _say(f"  {line}")
    _say("  whether each action will hold: every one is checked after it was sent, and what fails takes another branch")


def _refused(plan: Plan) -> list[str]:
    """Each refusal once; two steps may ask for the same."""
    return list(dict.fromkeys(f"{one.kind} {one.target.words}: {one.reason}" for one in plan.refusals))


def _print_run(record: Run, results: dict[int, Result]) -> None:
    _say(f"{record.id}  {record.status}  {record.playbook} for {record.case} with {record.connector}", "bold")
    _say(f"plan {record.plan_hash[:12]}, begun {record.created:%Y-%m-%d %H:%M} UTC by {record.who}", "dim")
    for action in record.plan.actions:
        _print_action(action, None, results.get(action.number))
    for line in _refused(record.plan):
        _say(f"     refused: {line}", "yellow")
    console.out.print()
    if record.status == "waiting":
        until = f", until {record.until:%Y-%m-%d %H:%M} UTC" if record.until else ""
        _say(f"Waits for {record.waiting}{until}", "yellow")
        _say(f"Next: {next_command(record)}", "dim")
    elif record.status == "finished" and any(one.outcome is Outcome.DONE for one in results.values()):
        _say(f"Next: perilune undo {record.id} --reason …  takes back what was done", "dim")


def next_command(record: Run) -> str:
    if record.waiting.startswith("approval"):
        return f"perilune approve {record.id} --reason …   or   perilune deny {record.id} --reason …"
    if record.waiting.startswith("an answer"):
        return f"perilune runs answer {record.id} ANSWER"
    return f"perilune runs resume {record.id}"


def _say(text: str, style: str = "") -> None:
    console.out.print(Text(visible(text), style=style), soft_wrap=True)


def plan_object(plan: Plan, connector: Connector | None = None) -> Plain:
    """A plan in JSON; with a connector, each action has its exact requests."""
    return {
        "hash": plan_hash(plan),
        "case": plan.case,
        "connector": plan.connector,
        "playbooks": [{"id": one.id, "name": one.name, "sha256": one.sha256} for one in plan.documents],
        "inputs": {name.strip("_"): value for name, value in plan.inputs.items()},
        "answers": {name.strip("_"): value for name, value in plan.answers.items()},
        "actions": [_action_object(action, connector) for action in plan.actions],
        "refusals": [
            {"kind": one.kind.value, "target": one.target.words, "guard": one.guard, "reason": one.reason}
            for one in plan.refusals
        ],
        "unknown": list(plan.unknown),
        "undoes": plan.undoes,
    }


def _action_object(action: Action, connector: Connector | None) -> Plain:
    row = KINDS[action.kind]
    plain: Plain = {
        "number": action.number,
        "phase": action.phase.value,
        "kind": action.kind.value,
        "target": {
            "type": action.target.type.value,
            "value": action.target.value,
            "host": action.target.host,
            "pid": action.target.pid,
            "started": action.target.started,
            "sha256": action.target.sha256,
        },
        "why": action.why,
        "approvers": action.approvers,
        "lasts": action.lasts,
        "openc2": openc2(action.kind, action.target.type),
        "check": row.check,
        "inverse": row.inverse.value if row.inverse else None,
        "reach": row.reach,
    }
    if connector is not None:
        plain["requests"] = [{"what": r.what, "body": r.body, "effect": r.effect} for r in connector.describe(action)]
    return plain


def run_object(record: Run, results: dict[int, Result]) -> Plain:
    """A run in JSON, with what came of each action that was begun."""
    return {
        "id": record.id,
        "case": record.case,
        "playbook": record.playbook,
        "connector": record.connector,
        "status": record.status,
        "waiting": record.waiting,
        "until": record.until,
        "created": record.created,
        "updated": record.updated,
        "who": record.who,
        "undoes": record.undoes,
        "plan": plan_object(record.plan),
        "results": [
            {"action": number, "outcome": result.outcome.value, "detail": result.detail}
            for number, result in sorted(results.items())
        ],
    }
