"""PAN-OS logs as a firewall sends them: comma-separated values whose meaning is their position.

The order is that of the published syslog field descriptions; the columns of an exported CSV have names and need
only the map.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import Count, Limits, Lost, Read
from perilune.readers.gather import Gathered
from perilune.readers.panos_fields import OTHERS, SESSIONS
from perilune.readers.text import Lines, line_blocks

_LINE = re.compile(
    rb"(?:<\d{1,3}>)?(?:(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,30}) (?P<host>\S{1,255}) )?"
    rb"(?:\S{1,64} ?- ?- ?- )?"
    rb"(?P<values>\d?,\d{4}[/-]\d\d[/-]\d\d[ T]\d\d:\d\d:\d\d[.\d]{0,10}Z?,\w{0,32},(?P<type>[A-Z-]{3,20}),.*)",
    re.DOTALL,
)

BY_POSITION = "log:line"


class PanosReader:
    """Lines of PAN-OS, with or without a syslog header."""

    name = "panos"
    looks_for = "lines of PAN-OS"

    def recognises(self, head: bytes) -> bool:
        return _LINE.match(head.lstrip().split(b"\n", 1)[0]) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        csv.field_size_limit(limits.max_line_bytes)
        gathered = Gathered()
        found = alien = 0
        unnamed: Counter[str] = Counter()
        where = ""
        for block in line_blocks(stream, limits):
            if not isinstance(block, Lines):
                yield block
                continue
            for number, line in enumerate(block.lines, block.first):
                if not line.strip():
                    continue
                found += 1
                record = _record(line)
                if record is None:
                    alien += 1
                    where = where or f"line {number}"
                else:
                    kind, fields = record
                    unnamed.update([str(fields["type"])] if kind == BY_POSITION else ())
                    gathered.add(kind, fields, number, len(line))
                if gathered.full:
                    yield from gathered.drain()
        yield from gathered.drain()
        yield Count(found)
        for kind, count in sorted(unnamed.items()):
            yield Problem(f"{kind} log, of which the fields' names are not known: they are kept by position", count)
        if alien:
            yield Lost(Problem("line that is none of PAN-OS", alien, where))


def _record(line: bytes) -> tuple[str, dict[str, object]] | None:
    match = _LINE.match(line.rstrip(b"\r"))
    if match is None:
        return None
    try:
        values = next(csv.reader([match["values"].decode("utf-8", "replace").replace("\0", "")]), [])
    except csv.Error:
        return None
    kind = match["type"].decode()
    names = SESSIONS.get(kind) or OTHERS.get(kind)
    if names is None:
        return BY_POSITION, {"time": _time(values[6]) if len(values) > 6 else None, "host": _host(match),
                             "program": "panos", "type": kind, "values": values}  # fmt: skip
    record: dict[str, object] = {name: value for name, value in zip(names, values, strict=False) if value}
    for name in ("receive_time", "time_generated", "start_time"):
        if isinstance(text := record.get(name), str):
            record[name] = _time(text)
    if kind in OTHERS:
        return "panos:log", {**record, "device_name": _host(match)}
    if record.get("subtype") != "url" and "url" in record:  # the field is a file's name then
        record["file_name"] = record.pop("url")
    return "panos:traffic", {**record, "device_name": _host(match)}


def _time(text: str) -> str:
    return text.replace("/", "-")


def _host(match: re.Match[bytes]) -> str | None:
    return match["host"].decode("utf-8", "replace") if match["host"] else None
