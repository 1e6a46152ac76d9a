"""PAN-OS logs as a firewall sends them: comma-separated values whose meaning is their position.

The order is that of the published syslog field descriptions; the columns of an exported CSV have names and need
only the map.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import Count, Limits, Lost, Read
from perilune.readers.gather import Gathered
from perilune.readers.text import Lines, line_blocks

_TRAFFIC = (
    "future_1", "receive_time", "serial", "type", "subtype", "future_2", "time_generated", "source_ip", "dest_ip",
    "nat_source_ip", "nat_dest_ip", "rule_matched", "source_user", "dest_user", "app", "virtual_system", "from_zone",
    "to_zone", "inbound_if", "outbound_if", "log_action", "future_3", "session_id", "repeat_count", "source_port",
    "dest_port", "nat_source_port", "nat_dest_port", "flags", "protocol", "action",
)  # fmt: skip
_MORE = {
    "TRAFFIC": ("bytes_total", "bytes_sent", "bytes_received", "packets", "start_time", "elapsed_time", "category",
                "future_4", "sequence", "action_flags", "source_location", "dest_location", "future_5",
                "packets_sent", "packets_received", "session_end_reason"),
    "THREAT": ("url", "threat", "category", "severity", "direction"),
}  # fmt: skip
_LINE = re.compile(
    rb"(?:<\d{1,3}>)?(?:(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,30}) (?P<host>\S{1,255}) )?"
    rb"(?:\S{1,64} ?- ?- ?- )?(?P<values>\d?,\d{4}/\d\d/\d\d \d\d:\d\d:\d\d,\w{0,32},(?P<type>[A-Z-]{3,20}),.*)",
    re.DOTALL,
)


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
                    gathered.add(*record, number, len(line))
                if gathered.full:
                    yield from gathered.drain()
        yield from gathered.drain()
        yield Count(found)
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
    if kind not in _MORE:
        time = values[6].replace("/", "-") if len(values) > 6 else None
        return "log:line", {"time": time, "host": _host(match), "program": "panos", "type": kind, "values": values}
    names = (*_TRAFFIC, *_MORE[kind])
    record: dict[str, object] = {name: value for name, value in zip(names, values, strict=False) if value}
    for name in ("receive_time", "time_generated", "start_time"):
        if isinstance(text := record.get(name), str):
            record[name] = text.replace("/", "-")
    return "panos:traffic", {**record, "device_name": _host(match)}


def _host(match: re.Match[bytes]) -> str | None:
    return match["host"].decode("utf-8", "replace") if match["host"] else None
