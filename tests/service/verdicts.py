"""What a product was sent, held against what people decided. Not a test; `chaos.py` and `test_durable.py` use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from perilune.connectors.simulated import Fleet
from perilune.model.actions import Outcome
from perilune.store import audit
from perilune.store.database import Database
from perilune.store.runs import RunStore

SLACK = 0.25  # seconds between the last look at an approval and what is sent after it
NEEDS_NOBODY = "collect-evidence"
UNDONE_BY = {
    "isolate-host": "release-host",
    "block-indicator": "unblock-indicator",
    "quarantine-file": "restore-file",
    "disable-user": "enable-user",
}


@dataclass
class Fate:
    """What people decide about one run. `expires` is when its approval ends; `undone` the run that takes it back."""

    what: str
    run: str = ""
    expires: datetime | None = None
    undone: str = ""


def judge(
    fleet: Fleet, store: RunStore, database: Database, fates: Sequence[Fate]
) -> tuple[list[str], dict[str, object]]:
    """Everything that is wrong, and figures."""
    wrong = [f"{key} {kind}: sent {n} times" for (kind, key), n in _sent(fleet).items() if n > 1]
    for fate in fates:
        wrong += _lost(fate, store, fleet)
        wrong += _late(fate, fleet)
        wrong += _after_release(fate, fleet)
    wrong += [f"audit: {one.where}: {one.what}" for one in audit.verify(database)[2]]
    kinds = Counter(line.kind for line in audit.lines(database))
    figures: dict[str, object] = {"runs": len(fates), "acts sent": len(fleet.calls), "taken over": kinds["taken"]}
    figures["acts begun by a worker that died, and looked at first"] = kinds["reconciled"]
    figures["refused right before the act"] = kinds["refused"]
    figures["runs undone while they ran"] = sum(bool(fate.undone) for fate in fates)
    figures["unknown outcomes"] = sum(
        one.outcome is Outcome.UNKNOWN for fate in fates for one in store.results(fate.run).values()
    )
    figures["audit lines"] = sum(kinds.values())
    return wrong, figures


def _sent(fleet: Fleet) -> Counter[tuple[str, str]]:
    return Counter((kind, key) for kind, _, key in fleet.calls)


def _calls(fleet: Fleet, run: str) -> Iterator[tuple[int, str, str]]:
    """The number, kind and target of everything that was sent for a run."""
    for number, (kind, target, key) in enumerate(fleet.calls):
        if key.split(":")[0] == run:
            yield number, kind, target


def _lost(fate: Fate, store: RunStore, fleet: Fleet) -> Iterator[str]:
    """A run that was approved and left alone has done everything; one that was denied, everything else."""
    sent = {kind for _, kind, _ in _calls(fleet, fate.run)}
    wanted = {action.kind.value for action in store.load(fate.run).plan.actions}
    if fate.what == "denied":
        wanted -= {"isolate-host"}
        if "isolate-host" in sent:
            yield f"{fate.run} {fate.what}: isolated although it was denied"
    if fate.what in ("approved", "late", "denied"):
        if wanted != sent:
            yield f"{fate.run} {fate.what}: lost {sorted(wanted - sent)}"
        bad = [f"{number}: {one}" for number, one in store.results(fate.run).items() if not one.held]
        if bad:
            yield f"{fate.run} {fate.what}: {bad}"
    if fate.undone:
        bad = [f"{number}: {one}" for number, one in store.results(fate.undone).items() if not one.held]
        if bad:
            yield f"{fate.undone} undoing {fate.run}: {bad}"


def _late(fate: Fate, fleet: Fleet) -> Iterator[str]:
    for number, kind, _ in _calls(fleet, fate.run):
        late = fleet.times[number] - fate.expires.timestamp() if fate.expires else 0.0
        if kind != NEEDS_NOBODY and late > SLACK:
            yield f"{fate.run} {fate.what}: {kind} was sent {late:.2f} s after its approval ended"


def _after_release(fate: Fate, fleet: Fleet) -> Iterator[str]:
    """Nothing that was taken back is done once more by the run that it was taken from, and it is gone at the end."""
    if not fate.undone:
        return
    released = {(kind, target): number for number, kind, target in _calls(fleet, fate.undone)}
    for number, kind, target in _calls(fleet, fate.run):
        release = released.get((UNDONE_BY.get(kind, ""), target))
        if release is not None and number > release:
            yield f"{fate.run}: {kind} of {target} was sent after its release"
