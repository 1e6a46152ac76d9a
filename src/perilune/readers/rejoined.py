"""Scripts whose parts lie in several files, put together: a log was rolled over in the middle of one.

A row that has only some parts is held back until a later file has the others, within the same window of scripts
and bytes as within a file; what stays incomplete comes out at the end as it is, and its file's report says so.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.sources import Problem, SourceReport
from perilune.model.tables import COLUMNS, Table
from perilune.ports import Limits
from perilune.readers.windows import MISSING

JOINED = "part of a script, joined to its first part in another file"

Row = dict[str, object]
Key = tuple[object, object]


@dataclass(slots=True)
class _Held:
    """A script of which parts are missing; `row` is that of the file that had the first of them."""

    row: Row
    parts: dict[int, str]
    total: int
    size: int
    paths: list[str] = field(default_factory=list)


def rejoined(items: Iterable[Table | SourceReport], limits: Limits) -> Iterator[Table | SourceReport]:
    """The same, with scripts whole where several files had their parts.

    A report still comes after all rows of its file: it waits while one of them does.
    """
    window = Window(limits)
    waiting: dict[str, SourceReport] = {}
    for item in items:
        if isinstance(item, Table):
            table = window.take(item)
            if table is not None:
                yield table
        else:
            waiting[item.path] = item
        for path in [path for path in waiting if not window.holds(path)]:
            yield window.corrected(waiting.pop(path))
    rest = window.rest()
    if rest is not None:
        yield rest
    yield from map(window.corrected, waiting.values())


class Window:
    """The scripts that wait for more parts."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self._bytes = 0
        self._joined: Counter[str] = Counter()
        self._completed: Counter[str] = Counter()  # by file, scripts that lacked parts there and lack none now
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many scripts lack parts."""
        return len(self._held)

    def holds(self, path: str) -> bool:
        """Whether a row of the file is held back, or a part that it had."""
        return self._waiting[path] > 0

    def take(self, table: Table) -> Table | None:
        """The Table without its incomplete scripts, and with those that it made complete."""
        if table.name != "XScriptEvents" or not table.has("XParts"):
            return table
        partial = pc.is_valid(table.column("XParts"))
        done = [row for one in table.data.filter(partial).to_pylist() for row in self._add(one)]
        rest = table.data.filter(pc.invert(partial))
        if done:
            rest = pa.concat_tables([rest, _rows(done)], promote_options="default") if rest.num_rows else _rows(done)
        return Table(table.name, rest) if rest.num_rows else None

    def _add(self, row: Row) -> Iterator[Row]:
        """Keeps an incomplete script; gives those that are complete or have waited too long."""
        key = (row.get("DeviceName"), row.get("XScriptId"))
        path = str(row.get("XSourceFile"))
        parts = _parts(row)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(row, {}, int(str(row.get("XPartsTotal") or 0)), 0)
        else:
            self._joined[path] += 1
        self._waiting[path] += 1
        held.paths.append(path)
        for number, text in parts.items():
            if number not in held.parts:
                held.parts[number] = text
                held.size += len(text)
                self._bytes += len(text)
        if len(held.parts) >= held.total:
            yield self._out(key)
        while self._held and (
            len(self._held) > self._limits.max_join_window or self._bytes > self._limits.max_join_bytes
        ):
            yield self._out(next(iter(self._held)))

    def _out(self, key: Key) -> Row:
        held = self._held.pop(key)
        self._bytes -= held.size
        self._waiting.subtract(held.paths)
        whole = len(held.parts) >= held.total
        if whole:
            self._completed.update(held.paths)
        return {
            **held.row,
            "XScriptText": "".join(text for _, text in sorted(held.parts.items())),
            "XPartsSeen": len(held.parts),
            "XParts": None if whole else [f"{number}:{len(text)}" for number, text in sorted(held.parts.items())],
        }

    def corrected(self, report: SourceReport) -> SourceReport:
        """The report without the rows that became part of another file's."""
        joined, completed = self._joined.pop(report.path, 0), self._completed.pop(report.path, 0)
        if completed:
            report = replace(report, problems=tuple(_without(report.problems, completed)))
        if not joined:
            return report
        rows = {**report.rows, "XScriptEvents": report.rows.get("XScriptEvents", 0) - joined}
        return replace(
            report,
            rows={name: count for name, count in rows.items() if count},
            skipped={**report.skipped, JOINED: joined},
        )

    def rest(self) -> Table | None:
        """What stays incomplete."""
        rows = [self._out(key) for key in list(self._held)]
        return Table("XScriptEvents", _rows(rows)) if rows else None


def _without(problems: Iterable[Problem], completed: int) -> Iterator[Problem]:
    """The problems, but for scripts whose missing parts were found in another file."""
    for problem in problems:
        if problem.what != MISSING:
            yield problem
        elif problem.count > completed:
            yield replace(problem, count=problem.count - completed)


def _parts(row: Row) -> dict[int, str]:
    """The text cut into its parts again, by the lengths that the row tells."""
    text, listed = str(row.get("XScriptText") or ""), row.get("XParts")
    found: dict[int, str] = {}
    at = 0
    for part in listed if isinstance(listed, list) else ():
        number, _, length = str(part).partition(":")
        if number.isdigit() and length.isdigit():
            found[int(number)] = text[at : at + int(length)]
            at += int(length)
    return found


def _rows(rows: list[Row]) -> pa.Table:
    names = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    return pa.table({name: pa.array([row.get(name) for row in rows], COLUMNS[name]) for name in names})
