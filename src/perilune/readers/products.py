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
from perilune.readers.prepare import PREPARE, auoms
from perilune.readers.values import text_of
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, ScriptBlocks, is_object, shape
from perilune.readers.windows_shapes import event_of, looks_like
from perilune.readers.wrapped import open_wrapped

_ENVELOPE, _WINDOWS, _REARRANGED, _NONE = "(envelope)", "(windows)", "(windows, rearranged)", "(none)"
_MAX_ENVELOPES = 4  # within each other
_LINUX_SYSMON = "windows:Linux-Sysmon/"
_MAX_SHAPES = 10_000

Raw = dict[str, object]


class Products:
    """Sorts the records of one file by kind."""

    def __init__(self, mappings: Mappings, gathered: Gathered, limits: Limits) -> None:
        self._mappings = mappings
        self._gathered = gathered
        self._known: dict[tuple[object, ...], str] = {}
        self._likely: dict[tuple[str, ...], tuple[Map, ...]] = {}
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
        known = self._recognise(record) if kind in (_NONE, _ENVELOPE) else None
        if kind == _NONE and known is None and depth < _MAX_ENVELOPES and self._open(record, number, size, depth):
            return
        self.found += 1
        if kind == _WINDOWS:
            self._add_event(record["Event"], number, size)
        elif kind == _REARRANGED:
            self._add_rearranged(record, number, size)
        elif kind in (_NONE, _ENVELOPE):
            self._add_known(record, known, number, size)
        else:
            self._gathered.add(kind, record, number, size)

    def _open(self, record: Raw, number: int, size: int, depth: int) -> bool:
        """Takes what stands within a wrapper that a search or a forwarder put around it."""
        inner = open_wrapped(record)
        for part in inner or ():
            self.add(part, number, size // len(inner or ()), None, depth + 1)
        return inner is not None

    def _add_rearranged(self, record: Raw, number: int, size: int) -> None:
        event = event_of(record)
        message = record.get("SyslogMessage")
        if event is not None:
            self._add_event(event, number, size)
        elif isinstance(message, str) and (fields := auoms(message)):
            self._gathered.add(f"auoms:{fields['type']}", {**record, "audit": fields}, number, size)
        else:
            self._add_known(record, self._recognise(record), number, size)

    def _add_known(self, record: Raw, one: Map | None, number: int, size: int) -> None:
        """A record that a mapping recognises, or one that none does."""
        if one is None:
            self._unknown = self._unknown or _unknown(record)
            self._skipped[self._unknown] += 1
        elif not one.prepare:
            self._gathered.add(one.kinds[0], record, number, size)
        else:
            for kind, prepared in PREPARE[one.prepare](record):
                self._gathered.add(kind or one.kinds[0], prepared, number, size)

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
        return known

    def _classify(self, record: Raw, table: str | None) -> str:
        """The kind, as far as the record's names tell."""
        event = record.get("Event")
        if is_object(event) and "System" in event:
            return _WINDOWS
        if looks_like(record):
            return _REARRANGED
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

    def _recognise(self, record: Raw) -> Map | None:
        shape = tuple(record)
        likely = self._likely.get(shape)
        if likely is None:
            likely = tuple(one for one in self._mappings.recognised if _may_be_like(record, one))
            if len(self._likely) < _MAX_SHAPES:
                self._likely[shape] = likely
        return next((one for one in likely if _is_like(record, one)), None)

    def _add_event(self, value: object, number: int, size: int) -> None:
        event = shape(value)
        system = event["System"] if event is not None else None
        if event is None or not is_object(system):
            self._note_odd(number)
            return
        kind = self._kinds.name(system)
        if kind.startswith(_LINUX_SYSMON):
            kind = kind.replace(_LINUX_SYSMON, "sysmon_linux:", 1)
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


def _may_be_like(names: Collection[str], one: Map) -> bool:
    """Whether the names at the top of a record fit what the map asks."""
    wanted = one.recognise
    if wanted is None:
        return False
    needed = all(path[0] in names for path in (*wanted.has, *wanted.equals))
    return needed and (not wanted.any or any(path[0] in names for path in wanted.any))


def _is_like(record: Raw, one: Map) -> bool:
    wanted = one.recognise
    if wanted is None:
        return False
    return (
        all(_find(record, path) is not None for path in wanted.has)
        and (not wanted.any or any(_find(record, path) is not None for path in wanted.any))
        and all(_equals(_find(record, path), values) for path, values in wanted.equals.items())
    )


def _equals(value: object, values: Collection[str]) -> bool:
    if isinstance(value, list):
        return any(text_of(part) in values for part in value[:20])
    return text_of(value) in values


def _find(record: Raw, path: FieldPath) -> object:
    value: object = record
    for key in path:
        if not is_object(value):
            return None
        value = value.get(key)
    return value
