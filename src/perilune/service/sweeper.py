"""What must not be forgotten: runs that nobody drives any more, and effects whose time is over."""

from __future__ import annotations

from dataclasses import dataclass, field

from perilune.errors import PeriluneError
from perilune.service.office import Office

MAX_RUNS = 1000


@dataclass(slots=True)
class Swept:
    """What one sweep did, by run. `failed` says which could not be driven, and why."""

    driven: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def sweep(office: Office) -> Swept:
    """One round. A run that another worker drives is left to it; one that fails never stops the rest."""
    swept = Swept()
    for record in office.runs.runs(limit=MAX_RUNS, open_only=True):
        try:
            if office.runner(record.connector).advance(record.id) is not None:
                swept.driven.append(record.id)
        except PeriluneError as error:
            swept.failed.append(f"{record.id}: {error}")
    undo_overdue(office, swept)
    return swept


def undo_overdue(office: Office, swept: Swept) -> None:
    """Takes back what was to last for a time that is over."""
    found: dict[str, list[int]] = {}
    for run, action in office.runs.overdue(office.now()):
        found.setdefault(run, []).append(action)
    for run, actions in found.items():
        runner = office.runner(office.runs.load(run).connector)
        try:
            undoing = runner.undo(run, who="perilune", reason="its time is over", only=actions)
            runner.advance(undoing.id)
            swept.undone += [f"{run}:{action}" for action in actions]
        except PeriluneError as error:
            swept.failed.append(f"{run}: {error}")
