"""What the body of a shipper's request holds: events, each with the journal that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from json import JSONDecodeError, JSONDecoder

import orjson

from perilune.readers.syslog_header import parse_header
from perilune.service.live.syslog import as_line

MOST_EVENTS = 200_000  # of one request

Lines = dict[str, list[bytes]]  # by journal
Plain = Mapping[str, object]


class Refused(Exception):
    """A request that is not taken: what it is answered."""

    def __init__(self, code: int, words: str, number: int = 6) -> None:
        self.code, self.words, self.number = code, words, number
        super().__init__(words)


def of_collector(body: bytes) -> Lines:
    """Splunk's objects one after the other, each with an `event` of any kind. All or none: else the shipper repeats."""
    lines: Lines = {}
    for number, one in enumerate(_objects(body)):
        if "event" not in one or one["event"] in (None, ""):
            raise Refused(400, f"event {number}: there is no event", 12)
        place, line = sorted_out(one["event"], one)
        lines.setdefault(place, []).append(line)
    if not lines:
        raise Refused(400, "No data", 5)
    return lines


def of_bulk(body: bytes) -> tuple[Lines, list[Plain]]:
    """Elasticsearch's pairs of a line that says what to do and a document."""
    lines: Lines = {}
    items: list[Plain] = []
    action = ""
    for line in body.splitlines():
        if not line.strip():
            continue
        if not action:
            action = _action(line)
            if action == "delete":
                items.append({action: {"status": 200}})
                action = ""
            continue
        document = parsed(line)
        found = document.get("doc") if action == "update" else document
        message = document.get("message")
        is_audit = isinstance(message, str) and "msg=audit(" in message
        place, kept = sorted_out(message if is_audit else found, _of_beat(document))
        lines.setdefault(place, []).append(kept)
        items.append({action: {"_index": "perilune", "_id": str(len(items)), "status": 201, "result": "created"}})
        action = ""
        if len(items) > MOST_EVENTS:
            raise Refused(413, f"more than {MOST_EVENTS:,} documents")
    return lines, items


def _action(line: bytes) -> str:
    found = next(iter(parsed(line)), "")
    if found not in ("index", "create", "update", "delete"):
        raise Refused(400, f"not an action of the bulk interface: {found!r}")
    return found


def _of_beat(document: Plain) -> Plain:
    host = document.get("host")
    name = host.get("name") or host.get("hostname") if isinstance(host, dict) else host
    return {"host": name, "time": document.get("@timestamp")}


def sorted_out(event: object, about: Plain) -> tuple[str, bytes]:
    """The journal that an event belongs to, and its line there."""
    if isinstance(event, str):
        text = event.strip()
        if text.startswith("{"):
            with suppress(orjson.JSONDecodeError):
                event = orjson.loads(text)
        if isinstance(event, str):
            return _sorted_text(text, about)
    return "json", orjson.dumps(event) + b"\n"


def _sorted_text(text: str, about: Plain) -> tuple[str, bytes]:
    if text.startswith(("<Event ", "<Event>")):
        return "xml", " ".join(text.splitlines()).encode("utf-8", "replace") + b"\n"
    if "msg=audit(" in text[:200]:
        host = _word(about.get("host"), "")
        node = f"node={host} " if host and not text.startswith("node=") else ""
        return "audit", b"".join(f"{node}{line}\n".encode("utf-8", "replace") for line in text.splitlines())
    return "text", text_line(about, text.encode("utf-8", "replace"))


def text_line(about: Plain, line: bytes) -> bytes:
    """A line of text with a header of syslog, unless it has one."""
    if parse_header(line[:2048].decode("utf-8", "replace")) is not None:
        return as_line(line)
    program = _word(about.get("sourcetype"), "http")[:64]
    header = f"<13>1 {_when(about.get('time'))} {_word(about.get('host'), '-')[:255]} {program} - - - "
    return as_line(header.encode() + line)


def _word(value: object, other: str) -> str:
    text = "".join(c if c.isprintable() and not c.isspace() else "_" for c in str(value or ""))
    return text or other


def _when(value: object) -> str:
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            return datetime.fromisoformat(value).astimezone(UTC).isoformat()
        if value is not None:
            return datetime.fromtimestamp(float(str(value)), UTC).isoformat()
    return datetime.now(UTC).isoformat()


def _objects(body: bytes) -> Iterator[dict[str, object]]:
    """JSON objects one after the other, with or without anything between."""
    text = body.decode("utf-8", "replace")
    decoder, at, count = JSONDecoder(), 0, 0
    while (at := _skip(text, at)) < len(text):
        count += 1
        try:
            found, at = decoder.raw_decode(text, at)
        except (JSONDecodeError, RecursionError):
            raise Refused(400, f"event {count - 1}: Invalid data format", 6) from None
        if not isinstance(found, dict) or count > MOST_EVENTS:
            raise Refused(400, f"event {count - 1}: Invalid data format", 6)
        yield found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def parsed(line: bytes) -> dict[str, object]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Refused(400, "not a JSON object")
    return found
