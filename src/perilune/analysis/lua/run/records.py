"""What a child wrote, read as hostile bytes: each line is one of a few records or it is counted as forged."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from perilune.analysis.lua.run.marks import MARKS, carried
from perilune.model.lua import Event, Loaded

MOST_LINE = 8 << 20
MOST_TEXT, MOST_NAME = 4_100, 200
HOWS = ("returned", "error", "exit", "waits", "steps", "memory", "syntax", "callback", "broken")


class Locked(msgspec.Struct, tag_field="k", tag="locked", forbid_unknown_fields=True):
    l: list[str]  # noqa: E741 - names are short because there are many records


class NotLocked(msgspec.Struct, tag_field="k", tag="unlocked", forbid_unknown_fields=True):
    s: str


class Call(msgspec.Struct, tag_field="k", tag="call", forbid_unknown_fields=True):
    n: str
    a: list[str]
    t: float
    m: list[str] = []


class More(msgspec.Struct, tag_field="k", tag="more", forbid_unknown_fields=True):
    n: str
    a: list[str]
    x: int
    m: list[str] = []


class Code(msgspec.Struct, tag_field="k", tag="code", forbid_unknown_fields=True):
    h: str
    n: str
    d: int
    c: str
    ok: bool
    cut: bool
    t: float
    m: list[str] = []


class Built(msgspec.Struct, tag_field="k", tag="string", forbid_unknown_fields=True):
    s: str


class Note(msgspec.Struct, tag_field="k", tag="note", forbid_unknown_fields=True):
    s: str


class End(msgspec.Struct, tag_field="k", tag="end", forbid_unknown_fields=True):
    how: str
    s: str
    steps: int
    u: list[str] = []
    cut: str = ""


_Record = Locked | NotLocked | Call | More | Code | Built | Note | End
_DECODER: msgspec.json.Decoder[_Record] = msgspec.json.Decoder(_Record)


@dataclass(slots=True)
class Written:
    """The records of one child. `torn`: it ended in the middle of a record; `forged`: lines that no stub writes."""

    locked: tuple[str, ...] = ()
    refused: str = ""
    events: list[Event] = field(default_factory=list)
    chunks: list[Loaded] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    end: End | None = None
    forged: int = 0
    torn: bool = False


def read(data: bytes, number: int, most: int) -> Written:
    """The records in what a child wrote. Never raises: what is no record is counted."""
    found = Written()
    lines = data.split(b"\n")
    found.torn = bool(lines.pop())
    repeated: dict[tuple[str, tuple[str, ...]], int] = {}
    for line in lines[: most * 3 + 1_000]:
        try:
            record = _DECODER.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError):
            found.forged += 1
            continue
        _keep(found, record, number, most, repeated)
    if repeated:
        found.events = [_with_times(one, repeated.get((one.name, one.arguments), 1)) for one in found.events]
    return found


def _keep(
    found: Written, record: _Record, number: int, most: int, repeated: dict[tuple[str, tuple[str, ...]], int]
) -> None:
    if isinstance(record, NotLocked) and not found.locked:
        found.refused = record.s[:400]
    elif isinstance(record, Locked) and not found.locked:
        found.locked = tuple(record.l[:12])
    elif not found.locked or found.end is not None or isinstance(record, Locked | NotLocked):
        found.forged += 1  # nothing is said before the lock is proved, and nothing after the end
    elif isinstance(record, End):
        found.end = record
        found.forged += record.how not in HOWS
    elif isinstance(record, More):
        repeated[record.n[:MOST_NAME], _texts(record.a)] = max(1, min(record.x, 1 << 40))
    else:
        _keep_one(found, record, number, most)


def _keep_one(found: Written, record: Call | Code | Built | Note, number: int, most: int) -> None:
    if isinstance(record, Call) and len(found.events) < most:
        texts = _texts(record.a)
        found.events.append(Event(record.n[:MOST_NAME], texts, _carries(record.m, texts), number, record.t))
    elif isinstance(record, Code) and len(found.chunks) < most:
        found.chunks.append(_loaded(record, number))
    elif isinstance(record, Built) and len(found.strings) < most:
        found.strings.append(record.s[:MOST_TEXT])
    elif isinstance(record, Note) and len(found.notes) < most:
        found.notes.append(record.s[:500])


def _texts(arguments: list[str]) -> tuple[str, ...]:
    return tuple(one[:MOST_TEXT] for one in arguments[:12])


def _carries(told: list[str], texts: tuple[str, ...]) -> tuple[str, ...]:
    """What the stub said of the whole texts, and what is seen in the part of them that is kept."""
    seen = carried(texts)
    return tuple(kind for kind in MARKS if kind in told or kind in seen)


def _loaded(record: Code, number: int) -> Loaded:
    code = record.c.encode("latin-1", "replace")
    carries = _carries(record.m, (record.c[:MOST_TEXT],))
    depth = max(1, min(record.d, 1000))
    return Loaded(code, record.h[:MOST_NAME], record.n[:MOST_NAME], depth, number, carries, record.ok, record.cut)


def _with_times(one: Event, times: int) -> Event:
    return Event(one.name, one.arguments, one.carries, one.number, one.at, times) if times > 1 else one
