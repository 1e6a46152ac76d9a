"""Windows events of which only the head, `System`, is decoded; `EventData` stays JSON text until a map wants of it.

Most events of a log are of kinds whose EventData no column takes: its text becomes AdditionalFields as it is. Of
the others a decoder made for the fields of their map gives the values without a dictionary per record. What
neither understands takes the way over dictionaries, which says what is right; a test proves both ways equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, cast

import msgspec
import orjson

from perilune.ports import Halves
from perilune.readers.fields import Projection, left_texts
from perilune.readers.heads import BODY, HEAD, attribute, getter, whole_events
from perilune.readers.mappings import Extra, FieldPath, Map
from perilune.readers.windows import is_plain

_VALUE = str | int | bool | None
_MOST_NAMES = 400
_PATIENCE = 16  # times that a map's events may turn out to have further fields

_get_body = attrgetter(BODY)


class Taking:
    """Takes what one map wants of such events: the same rows and the same rest as `Projection` of dictionaries."""

    def __init__(self, one: Map, projection: Projection) -> None:
        self._map = one
        self._projection = projection
        self._paths = projection.paths
        self._heads = {path: getter(path[1:]) for path in (*self._paths, *self._added()) if path[0] == HEAD}
        self._fits = all(path[0] == HEAD or (path[0] == BODY and len(path) == 2) for path in self._paths) and (
            one.extra is None or (one.extra.of == (BODY,) and all(path[0] == HEAD for path in self._added()))
        )

    @cached_property
    def _bodies(self) -> _Texts | _Values:
        extra = self._map.extra
        return _Texts(extra, self._paths) if extra and not extra.drop else _Values(extra, self._map.taken, self._paths)

    def _added(self) -> tuple[FieldPath, ...]:
        return tuple(self._map.extra.add.values()) if self._map.extra else ()

    def take(self, events: Halves, rows: list[tuple[object, ...]], extras: list[str | None]) -> None:
        """Adds a row for each event, with the values at `paths`."""
        if not (self._fits and self._take(events, rows, extras)):
            self._projection.take(whole_events(events), rows, extras)

    def _take(self, events: Halves, rows: list[tuple[object, ...]], extras: list[str | None]) -> bool:
        found_in = events.events
        added = {path: self._heads[path](found_in) for path in self._added()}
        found = self._bodies.take([*map(_get_body, found_in)], added)
        if found is None:
            return False
        values, texts = found
        nothing = [None] * len(found_in)
        columns = [
            self._heads[path](found_in) if path[0] == HEAD else values.get(path[1], nothing) for path in self._paths
        ]
        rows += zip(*columns, nothing, strict=True)
        extras += texts
        return True


_Added = Mapping[FieldPath, Sequence[object]]
_Taken = tuple[Mapping[str, Sequence[object]], Sequence[str | None]]


_CONTROL = b"\\u00"  # of control characters: evtx writes their numbers in capitals, orjson does not


class _Texts:
    """Bodies of which no column takes anything: each becomes AdditionalFields as it stands, behind what is added."""

    def __init__(self, extra: Extra, paths: Sequence[FieldPath]) -> None:
        self._names = tuple(extra.add)
        self._paths = tuple(extra.add.values())
        taken = {path[1] for path in paths if path[0] == BODY and len(path) == 2}
        odd = ("Data", "#attributes", *taken, *self._names)  # those that have to be looked at
        fields: list[Any] = [(attribute(name), object, msgspec.UNSET) for name in odd]
        one = msgspec.defstruct("Odd", fields, rename={attribute(name): name for name in odd}, gc=False)
        self._decoder = msgspec.json.Decoder(list[one])  # type: ignore[valid-type]
        self._begins: dict[tuple[object, ...], str] = {}
        self._even = one()

    def take(self, bodies: Sequence[Any], added: _Added) -> _Taken | None:
        data = b"[%s]" % b",".join(bodies)
        if _CONTROL in data or not self._is_even(data, len(bodies)):
            return None
        if not self._names:
            return {}, [str(body, "utf-8") for body in bodies]
        begins, keys = self._begins, [*zip(*(added[path] for path in self._paths), strict=True)]
        for key in set(keys):
            if key not in begins:
                begins[key] = self._begin(key)
        return {}, [begins[key] + str(body, "utf-8")[1:] for key, body in zip(keys, bodies, strict=True)]

    def _is_even(self, data: bytes, count: int) -> bool:
        """Whether none of these bodies has a name that has to be looked at."""
        try:
            return bool(self._decoder.decode(data) == [self._even] * count)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return False

    def _begin(self, key: tuple[object, ...]) -> str:
        found = {name: value for name, value in zip(self._names, key, strict=True) if value is not None}
        return orjson.dumps(found).decode()[:-1] + "," if found else "{"


class _Values:
    """Bodies whose fields go to columns, decoded many at once by a decoder for the fields that were seen."""

    def __init__(self, extra: Extra | None, taken: frozenset[str], paths: Sequence[FieldPath]) -> None:
        self._extra = extra
        self._taken = taken
        self._names: tuple[str, ...] = tuple(dict.fromkeys(path[1] for path in paths if path[0] == BODY))
        self._decoder = _decoder_of(self._names)
        self._patience = _PATIENCE

    def take(self, bodies: Sequence[Any], added: _Added) -> _Taken | None:
        data = b"[%s]" % b",".join(bodies)
        rows = self._decode(data)
        if rows is None:
            return None
        values = dict(zip(self._names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
        if self._extra is None:
            return values, [None] * len(rows)
        beside = {name: added[path] for name, path in self._extra.add.items()}
        left = {name: values[name] for name in sorted(values) if name not in self._taken}
        return values, left_texts(beside, left, self._extra.drop, len(rows))

    def _decode(self, data: bytes) -> Sequence[Any] | None:
        for _ in range(2):
            try:
                return cast("Sequence[Any]", self._decoder.decode(data))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                if not self._learn(data):
                    return None
        return None

    def _learn(self, data: bytes) -> bool:
        """Whether there are fields that were not seen before, and nothing nested or unnamed."""
        if self._patience <= 0:
            return False
        self._patience -= 1
        bodies = orjson.loads(data)
        if not all(is_plain(body) and "#attributes" not in body for body in bodies):
            return False
        names = dict.fromkeys((*self._names, *(name for body in bodies for name in body)))
        if len(names) == len(self._names) or len(names) > _MOST_NAMES:
            return False
        self._names = tuple(names)
        self._decoder = _decoder_of(self._names)
        return True


def _decoder_of(names: Sequence[str]) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [(attribute(name), _VALUE, None) for name in names]
    one = msgspec.defstruct(
        "Body", fields, rename={attribute(name): name for name in names}, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(list[one])  # type: ignore[valid-type]
