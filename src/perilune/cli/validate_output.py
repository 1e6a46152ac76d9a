"""What `perilune validate` prints: a table for people, one object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from perilune.cli.console import err, out, plain
from perilune.cli.output import Plain
from perilune.model.atomics import Atomic
from perilune.service.validation.trials import Named, State, Trial, Validation

_STYLES = {State.FOUND: "green", State.MISSED: "bold red", State.NOT_RUN: "dim"}
_DETECTED = {State.FOUND: True, State.MISSED: False, State.NOT_RUN: None}


def atomic_object(atomic: Atomic) -> Plain:
    return {
        "id": atomic.id,
        "technique": atomic.technique,
        "name": atomic.name,
        "guid": atomic.guid or None,
        "description": atomic.description,
        "platforms": list(atomic.platforms),
        "executor": atomic.executor,
        "elevation_required": atomic.elevation,
        "needs": [dependency.description for dependency in atomic.dependencies],
        "source": atomic.source,
    }


def validation_object(found: Validation, keep: Path | None) -> Plain:
    return {
        "tests": [trial_object(trial) for trial in found.trials],
        "found": found.count(State.FOUND),
        "missed": found.count(State.MISSED),
        "not_run": found.count(State.NOT_RUN),
        "clean": found.is_clean,
        "left_behind": list(found.left),
        "sensor": {"whole": found.whole, **asdict(found.losses)},
        "control": [_rule_object(rule) for rule in found.control],
        "kept": None if keep is None else str(keep),
    }


def trial_object(trial: Trial) -> Plain:
    """`detected` is null for a test that was not run: nobody knows."""
    return {
        "id": trial.atomic.id,
        "technique": trial.atomic.technique,
        "name": trial.atomic.name,
        "guid": trial.atomic.guid or None,
        "state": trial.state.value.replace(" ", "_"),
        "detected": _DETECTED[trial.state],
        "rules": [_rule_object(rule) for rule in trial.rules],
        "other_rules": [_rule_object(rule) for rule in trial.others],
        "reason": trial.reason or None,
        "exit_code": trial.code,
        "records": trial.events,
        "left_behind": list(trial.left),
        "source": trial.atomic.source,
    }


def _rule_object(rule: Named) -> Plain:
    return {"id": rule.id, "title": rule.title, "level": rule.level.word, "techniques": list(rule.techniques)}


def print_list(chosen: Sequence[Atomic]) -> None:
    table = _table("Test", "What it does", "Needs")
    for atomic in chosen:
        needs = ", ".join(dependency.description for dependency in atomic.dependencies)
        table.add_row(atomic.id, plain(atomic.name, 100), plain(needs, 60))
    out.print(table)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    return table


def print_validation(found: Validation, keep: Path | None) -> None:
    table = _table("Test", "Result", "What it does", "Found by")
    for trial in found.trials:
        by = Text(", ".join(f"{rule.title} ({rule.level.word})" for rule in trial.rules[:2]))
        more = len(trial.rules) - 2
        table.add_row(
            trial.atomic.id,
            Text(trial.state.value, style=_STYLES[trial.state]),
            plain(trial.atomic.name, 100),
            Text(f"{by}, {more} more") if more > 0 else by if trial.rules else plain(_why(trial), 200),
        )
    out.print(table)
    _print_left(found)
    counts = ", ".join(f"{found.count(state)} {state.value}" for state in State)
    out.print(f"\n{len(found.trials)} {'test' if len(found.trials) == 1 else 'tests'}: {counts}")
    _print_doubts(found)
    if keep is not None:
        err.print(f"The audit logs are in {keep}: perilune hunt {keep}", style="dim")


def _why(trial: Trial) -> str:
    held = ", ".join(f"{rule.title} ({rule.level.word}, {'/'.join(rule.techniques)})" for rule in trial.others[:2])
    other = f"only: {held}" if held and trial.state is State.MISSED else ""
    return "; ".join(filter(None, (trial.reason, other)))


def _print_left(found: Validation) -> None:
    for trial in found.trials:
        for what in trial.left:
            out.print(Text(f"{trial.atomic.id} left behind: ").append(plain(what, 200)), style="yellow")
    for what in found.left:
        out.print(Text("Left behind: ").append(plain(what, 200)), style="yellow")
    if found.is_clean:
        out.print("\nNothing was left behind.", style="dim")


def _print_doubts(found: Validation) -> None:
    """What makes a missed test uncertain."""
    if found.losses:
        losses = found.losses
        dropped = "an unknown number of" if losses.dropped is None else f"{losses.dropped:,}"
        out.print(f"Records were lost: {dropped} here, {losses.kernel_lost:,} by the kernel.", style="yellow")
    if not found.whole:
        out.print("Another program changed the audit's rules meanwhile: run it again.", style="yellow")
    for rule in found.control:
        out.print(f"'{rule.title}' holds on a test that does nothing: what it finds is the laboratory.", style="yellow")
