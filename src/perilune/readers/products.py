"""Which product a JSON object or a CSV row comes from: Defender, a Windows event, or what a mapping recognises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from perilune.model.sources import Problem
from perilune.model.tables import TABLES
from perilune.ports import Count, Limits, Lost
from perilune.readers import defender
from perilune.readers.gather import UNKNOWN, Gathered
from perilune.readers.mappings import FieldPath, Map, Mappings
from perilune.readers.values import text_of
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, ScriptBlocks, is_object, shape

_ENVELOPE, _WINDOWS, _NONE = "(envelope)", "(windows)", "(none)"
_MAX_ENVELOPES = 4  # within each other
_MAX_SHAPES = 10_000

Raw = dict[str, object]


class Products:
    """Sorts the records of one file by kind."""

    def __init__(self, mappings: Mappings, gathered: Gathered, limits: Limits) -> None:
        self._mappings = mappings
        self._gathered = gathered
        self._known: dict[tuple[object, ...], str] = {}
        self._kinds = Kinds()
        self._blocks = ScriptBlocks(limits)
        self._columns: set[str] = set()
        self._skipped: Counter[str] = Counter()
        self._unknown = ""
        self._odd = 0
        self._odd_where = ""
        self.found = 0

    def add(self, record: object, number: int, size: int, table: str | None = None, depth: int = 0) -> None:
        """Takes one decoded value: a record, a list of them, or an envelope around them."""
        if type(record) is not dict:
            self._add_other(record, number, size, depth)
            return
        kind = self._kind(record, table)
        if kind == _ENVELOPE and depth < _MAX_ENVELOPES and defender.is_envelope(record):
            parts = list(defender.open_envelope(record))
            for part, named in parts:
                self.add(part, number, size // len(parts), named or table, depth + 1)
            return
        self.found += 1
        if kind == _WINDOWS:
            self._add_event(record["Event"], number, size)
        elif kind in (_NONE, _ENVELOPE):
            self._unknown = self._unknown or _unknown(record)
            self._skipped[self._unknown] += 1
        else:
            self._gathered.add(kind, record, number, size)

    def _add_other(self, value: object, number: int, size: int, depth: int) -> None:
        if isinstance(value, list) and depth < _MAX_ENVELOPES:
            for part in value:
                self.add(part, number, size // len(value), None, depth + 1)
            return
        self.found += 1
        self._note_odd(number)

    def _note_odd(self, number: int) -> None:
        self._odd += 1
        self._odd_where = self._odd_where or f"record {number}"

    def _kind(self, record: Raw, table: str | None) -> str:
        key = (tuple(record), table, _word(record.get("ActionType")), _word(record.get("Type")))
        known = self._known.get(key)
        if known is None:
            known = self._classify(record, table)
            if len(self._known) < _MAX_SHAPES:
                self._known[key] = known
        return self._recognise(record) if known == _NONE else known

    def _classify(self, record: Raw, table: str | None) -> str:
        """The kind, as far as the record's names tell."""
        event = record.get("Event")
        if is_object(event) and "System" in event:
            return _WINDOWS
        if defender.is_envelope(record):
            return _ENVELOPE
        if table is not None or defender.is_row(record):
            found = defender.find_table(record, table or defender.named_table(record), record.get("ActionType"))
            if found is not None:
                self._note_columns(record, found)
                return f"defender:{found}"
        return _NONE

    def _note_columns(self, names: Collection[str], table: str) -> None:
        """Names each column that the table does not have, once per file."""
        for name in names:
            if name not in TABLES[table].columns and name not in defender.BESIDE and name not in self._columns:
                self._columns.add(name)
                self._skipped[f"column {name!r}, which {table} does not have"] = 1

    def _recognise(self, record: Raw) -> str:
        for one in self._mappings.recognised:
            if _is_like(record, one):
                return one.kinds[0]
        return _NONE

    def _add_event(self, value: object, number: int, size: int) -> None:
        event = shape(value)
        system = event["System"] if event is not None else None
        if event is None or not is_object(system):
            self._note_odd(number)
            return
        kind = self._kinds.name(system)
        if kind != SCRIPT_BLOCK:
            self._gathered.add(kind, event, number, size)
            return
        for joined, first, length in self._blocks.add(event, number):
            self._gathered.add(kind, joined, first, length)

    def finish(self) -> None:
        """Puts in what was waiting for its other parts."""
        for joined, first, length in self._blocks.rest():
            self._gathered.add(SCRIPT_BLOCK, joined, first, length)

    def counts(self) -> Iterator[Count | Problem | Lost]:
        """What was found, and what became of that which gave no row."""
        yield Count(self.found, {**self._skipped, "part of a script, joined to its first part": self._blocks.joined})
        yield from self._blocks.problems()
        if self._odd:
            yield Lost(Problem("value that is no record", self._odd, self._odd_where))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) < 64 else None


def _unknown(record: Mapping[str, object]) -> str:
    names = ", ".join(name[:40] for name in sorted(record)[:6])
    return f"{UNKNOWN} (the first has {names}{', …' if len(record) > 6 else ''})"


def _is_like(record: Raw, one: Map) -> bool:
    wanted = one.recognise
    if wanted is None:
        return False
    return all(_find(record, path) is not None for path in wanted.has) and all(
        text_of(_find(record, path)) == value for path, value in wanted.equals.items()
    )


def _find(record: Raw, path: FieldPath) -> object:
    value: object = record
    for key in path:
        if not is_object(value):
            return None
        value = value.get(key)
    return value
