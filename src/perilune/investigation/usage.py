"""How the interpreter of a case is used on its host otherwise, and whether people were at work when it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import cast

import pyarrow as pa

from perilune.investigation.scope import Scope, compute, fitting
from perilune.model.facts import Fact, Kind
from perilune.model.findings import Explained
from perilune.model.people import Schedule, Working
from perilune.model.tables import EventRef, Table

MAX_RUNS = 20_000  # of an interpreter on one host that are counted


def find_use(scope: Scope, programs: Mapping[str, str], explained: Iterable[Explained] = ()) -> Iterator[Fact]:
    """Runs of the interpreters by the case, runs by others, and runs that a known use explains.

    programs: by technique, RE2 for the base names of its interpreters without `.exe`.
    """
    table = scope.whole("DeviceProcessEvents")
    if table is not None and table.has("FileName"):
        for technique, names in programs.items():
            yield from _runs(scope, table, technique, names)
    known: Counter[str] = Counter()
    first: dict[str, Explained] = {}
    for one in explained:
        known[one.context.title] += 1
        first.setdefault(one.context.title, one)
    for title, count in known.items():
        one = first[title]
        said = f"{title}: {count} {'run' if count == 1 else 'runs'} on this host, known use"
        yield Fact(Kind.USE, "Known use", said, title, one.event, one.time, scope.host, False, ("known",))


def _runs(scope: Scope, table: Table, technique: str, programs: str) -> Iterator[Fact]:
    pattern = rf"(?i)^(?:{programs})(\.exe)?$"
    held = fitting(table, "FileName", pattern)
    places = cast("list[int]", compute.indices_nonzero(held).to_pylist())[:MAX_RUNS]
    own = {(node.event.source, node.event.record) for node in scope.processes if node.event is not None}
    names = [c for c in ("Timestamp", "FileName", "FolderPath", "XUser", "AccountName", "XSourceFile", "XSourceRecord")
             if table.has(c)]  # fmt: skip
    rows = table.data.select(names).take(pa.array(places, pa.int64())).to_pylist()
    for mine in (True, False):
        runs = [row for row in rows if ((row.get("XSourceFile"), row.get("XSourceRecord")) in own) is mine]
        if runs:
            yield _summary(scope, runs, technique, mine)


def _summary(scope: Scope, runs: list[dict[str, object]], technique: str, mine: bool) -> Fact:
    times = sorted(time for row in runs if isinstance(time := row.get("Timestamp"), datetime))
    before = [time for time in times if scope.begin is not None and time < scope.begin]
    days = len({time.date() for time in before})
    users = list(dict.fromkeys(str(row.get("XUser") or row.get("AccountName") or "?") for row in runs))
    program = str(runs[0].get("FileName"))
    where = "by the case" if mine else "outside the case"
    who = ", ".join(users[:4]) + (f" and {len(users) - 4} more" if len(users) > 4 else "")
    said = f"{program} ran {len(runs):,} {'time' if len(runs) == 1 else 'times'} {where}, as {who}"
    ref = EventRef("DeviceProcessEvents", str(runs[0].get("XSourceFile") or ""), _number(runs[0].get("XSourceRecord")))
    tags = ("own",) if mine else ("outside", f"days-before={days}", f"runs-before={len(before)}")
    time = times[0] if times else None
    return Fact(Kind.USE, where, said, str(len(runs)), ref, time, scope.host, mine, (*tags, technique))


def find_hours(scope: Scope, schedule: Schedule | None) -> Iterator[Fact]:
    """Whether the owners of the accounts were at work when they ran what the case is about."""
    if schedule is None:
        return
    seen: set[tuple[str, Working]] = set()
    for finding in scope.findings:
        if finding.time is None or not finding.user:
            continue
        said = schedule.working(finding.user, finding.time)
        if said is Working.UNKNOWN or (finding.user, said) in seen:
            continue
        seen.add((finding.user, said))
        words = "was at work" if said is Working.YES else "was not at work"
        yield Fact(Kind.HOURS, said.value, f"{finding.user} {words} at {finding.time:%Y-%m-%d %H:%M} UTC", finding.user,
                   finding.event, finding.time, scope.host, True)  # fmt: skip


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
