"""What local lists say of an indicator: CSV and JSON lists, STIX 2.1 bundles, MISP exports and warning lists.

A list is parsed from text that somebody else read; nothing here opens a file. A hit names the list, the entry and
how old it is. A warning list makes an indicator known-benign, which explains and never removes it.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from perilune.errors import ContentError
from perilune.model.analysis import Indicator, IndicatorKind, Listing

MAX_ENTRIES = 5_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a list. `covers`: its sub-domains or the addresses of its network count too."""

    value: str
    since: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class IndicatorList:
    """A parsed list. `skipped` entries could not be used, each reason with its count."""

    name: str
    benign: bool
    entries: tuple[Entry, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)


class Lists:
    """Many lists, looked up at once."""

    def __init__(self, lists: Iterable[IndicatorList] = (), today: date | None = None) -> None:
        self._exact: dict[str, list[tuple[IndicatorList, Entry]]] = {}
        self._networks: dict[tuple[int, int, int], list[tuple[IndicatorList, Entry]]] = {}
        self._sizes: set[tuple[int, int]] = set()
        self._today = today
        for one in lists:
            for entry in one.entries:
                self._add(one, entry)

    def _add(self, one: IndicatorList, entry: Entry) -> None:
        if "/" in entry.value and (net := _network(entry.value)) is not None:
            key = (net.version, net.prefixlen, int(net.network_address))
            self._networks.setdefault(key, []).append((one, entry))
            self._sizes.add((net.version, net.prefixlen))
        else:
            self._exact.setdefault(entry.value, []).append((one, entry))

    def lookup(self, indicator: Indicator) -> list[Listing]:
        """Every entry that an indicator stands on: itself, its domain's parents, its address's networks."""
        if not self._exact and not self._networks:
            return []
        found = [hit for key in _keys(indicator) for hit in self._exact.get(key, ())]
        if indicator.kind in (IndicatorKind.IPV4, IndicatorKind.IPV6):
            found += self._in_networks(indicator.value)
        return [self._listing(one, entry) for one, entry in found]

    def _in_networks(self, value: str) -> Iterator[tuple[IndicatorList, Entry]]:
        address = ipaddress.ip_address(value)
        for version, size in self._sizes:
            if version == address.version:
                shift = address.max_prefixlen - size
                yield from self._networks.get((version, size, int(address) >> shift << shift), ())

    def _listing(self, one: IndicatorList, entry: Entry) -> Listing:
        age = (self._today - entry.since).days if self._today and entry.since else None
        return Listing(one.name, entry.value, one.benign, entry.since, age, entry.note)


def _keys(indicator: Indicator) -> Iterator[str]:
    value = indicator.value
    keys = [value if indicator.kind is IndicatorKind.WALLET else value.lower()]
    if indicator.kind is IndicatorKind.DOMAIN:
        labels = value.split(".")
        keys += [".".join(labels[at:]) for at in range(1, len(labels) - 1)]
    elif indicator.kind is IndicatorKind.URL:
        bare = value.lower().rstrip("/")
        keys += [bare, bare.partition("?")[0]]
    yield from dict.fromkeys(keys)


def parse(text: str, name: str) -> IndicatorList:
    """A list of any supported format, told by its content; `name` is used where the list has none of its own."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] in "{[":
        try:
            document = json.loads(stripped)
        except ValueError as error:
            raise ContentError(f"this is no JSON: {error}", where=name) from None
        return _json(document, name)
    return _lines(stripped, name)


def _json(document: object, name: str) -> IndicatorList:
    if isinstance(document, dict):
        if document.get("type") == "bundle":
            return _made(_of_text(document.get("name")) or name, _stix(document))
        if isinstance(document.get("list"), list) and "type" in document:
            return _warning_list(document, name)
        if "Event" in document or "response" in document or "Attribute" in document:
            return _made(name, _misp(document))
        for key in ("indicators", "iocs", "entries", "data", "items"):
            if isinstance(document.get(key), list):
                benign = bool(document.get("benign"))
                return _made(_of_text(document.get("name")) or name, _plain(document[key]), benign=benign)
    if isinstance(document, list):
        if any(isinstance(one, dict) and "Event" in one for one in document):
            return _made(name, _misp({"response": document}))
        return _made(name, _plain(document))
    raise ContentError(
        "no known shape of indicator list", where=name, hint="STIX bundle, MISP export, warning list, list of values"
    )


def _made(name: str, entries: Iterable[Entry | str], *, benign: bool = False) -> IndicatorList:
    """A list of entries; a `str` among them says why one could not be used."""
    good: dict[tuple[str, date | None], Entry] = {}
    skipped: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, str):
            skipped[entry] = skipped.get(entry, 0) + 1
        elif len(good) < MAX_ENTRIES:
            good[entry.value, entry.since] = entry
        else:
            skipped["beyond the limit"] = skipped.get("beyond the limit", 0) + 1
    return IndicatorList(name, benign, tuple(good.values()), skipped)


# One comparison of a STIX pattern; a value may hold escaped quotes.
_COMPARISON = re.compile(r"([a-z0-9-]+:[\w.'\"\[\]-]+)\s*(=|IN|LIKE|MATCHES|ISSUBSET)\s*\(?\s*((?:'(?:[^'\\]|\\.)*'\s*,?\s*)+)", re.IGNORECASE)  # fmt: skip
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def _stix(bundle: Mapping[str, object]) -> Iterator[Entry | str]:
    objects = bundle.get("objects")
    for one in objects if isinstance(objects, list) else []:
        if not isinstance(one, dict):
            continue
        since = _date(one.get("valid_from") or one.get("created"))
        note = _of_text(one.get("name"))
        kind = one.get("type")
        if kind == "indicator":
            yield from _pattern(one, since, note)
        elif kind in ("ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr", "mutex"):
            yield Entry(_value(_of_text(one.get("value") or one.get("name"))), since, note)
        elif kind == "file" and isinstance(one.get("hashes"), dict):
            for value in one["hashes"].values():
                yield Entry(_value(_of_text(value)), since, note)


def _pattern(indicator: Mapping[str, object], since: date | None, note: str) -> Iterator[Entry | str]:
    if indicator.get("revoked") is True:
        yield "revoked"
        return
    if indicator.get("pattern_type", "stix") != "stix":
        yield f"pattern of type {_of_text(indicator.get('pattern_type'))}"
        return
    pattern = _of_text(indicator.get("pattern"))
    partial = re.search(r"\bAND\b|\bFOLLOWEDBY\b|\bREPEATS\b|\bNOT\b", pattern) is not None
    found = False
    for comparison in _COMPARISON.finditer(pattern):
        if comparison.group(2).upper() not in ("=", "IN", "ISSUBSET"):
            continue
        for value in _QUOTED.findall(comparison.group(3)):
            found = True
            more = "; part of a larger pattern" if partial else ""
            yield Entry(_value(value.replace("\\'", "'").replace("\\\\", "\\")), since, note + more)
    if not found:
        yield "pattern without a value that can be looked up"


def _misp(document: Mapping[str, object]) -> Iterator[Entry | str]:
    queue: list[tuple[object, str]] = [(document, "")]
    while queue:
        one, title = queue.pop()
        if isinstance(one, list):
            queue += [(item, title) for item in one]
        elif isinstance(one, dict):
            title = _of_text(one.get("info")) or title
            queue += [(one[key], title) for key in ("response", "Event", "Object", "Attribute") if key in one]
            if "value" in one and "type" in one:
                yield from _attribute(one, title)


def _attribute(one: Mapping[str, object], title: str) -> Iterator[Entry | str]:
    if one.get("deleted"):
        yield "deleted"
        return
    if one.get("to_ids") is False:
        yield "not meant for detection (to_ids is false)"
        return
    since = _date(one.get("last_seen") or one.get("first_seen") or one.get("timestamp"))
    kind = _of_text(one.get("type"))
    for part in _of_text(one.get("value")).split("|") if "|" in kind else [_of_text(one.get("value"))]:
        if part and not part.isdigit():
            yield Entry(_value(part), since, _of_text(one.get("comment")) or title)


def _warning_list(document: Mapping[str, object], name: str) -> IndicatorList:
    kind = _of_text(document.get("type")).lower()
    values = document.get("list")
    assert isinstance(values, list)
    since = _date(str(document.get("version", ""))[:8])
    title = _of_text(document.get("name")) or name
    if kind in ("regex", "substring"):
        return _made(title, (f"warning lists of type {kind} are not used" for _ in values), benign=True)
    return _made(title, (Entry(_value(_of_text(one)).lstrip("."), since) for one in values if one), benign=True)


_VALUE_KEYS = (
    "value",
    "indicator",
    "ioc",
    "ioc_value",
    "url",
    "domain",
    "ip",
    "ip_address",
    "dst_ip",
    "hash",
    "sha256",
    "md5",
)
_DATE_KEYS = (
    "last_seen",
    "last_seen_utc",
    "first_seen",
    "first_seen_utc",
    "date",
    "dateadded",
    "timestamp",
    "created",
    "since",
    "valid_from",
)
_NOTE_KEYS = ("note", "comment", "description", "threat", "malware", "malware_printable", "tags", "name", "type")


def _plain(values: Sequence[object]) -> Iterator[Entry | str]:
    for one in values:
        if isinstance(one, str):
            yield Entry(_value(one))
        elif isinstance(one, dict):
            yield _row({str(k).lower(): v for k, v in one.items()})


def _row(row: Mapping[str, object]) -> Entry | str:
    value = next((_of_text(row[k]) for k in _VALUE_KEYS if row.get(k)), "")
    since = next((d for k in _DATE_KEYS if (d := _date(row.get(k)))), None)
    note = next((_of_text(row[k]) for k in _NOTE_KEYS if row.get(k)), "")
    return Entry(_value(value), since, note) if value else "row without a value"


def _lines(text: str, name: str) -> IndicatorList:
    """CSV with a header, or one value a line; `#` begins a comment, and a comment may hold the header."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line.lstrip("# ") for line in lines[:60] if _is_header(line)), "")
    body = [line for line in lines if not line.startswith(("#", "//", ";")) and line.lstrip("# ") != header]
    if not header:
        return _made(
            name, (Entry(_value(re.split(r"[\s,;#]", line.strip(), maxsplit=1)[0].strip('"'))) for line in body)
        )
    delimiter = max(",;\t|", key=header.count)
    names = [one.strip().strip('"').lower() for one in header.split(delimiter)]
    rows = csv.reader(io.StringIO("\n".join(body)), delimiter=delimiter, skipinitialspace=True)
    return _made(name, (_row(dict(zip(names, row, strict=False))) for row in rows))


def _is_header(line: str) -> bool:
    names = {one.strip().strip('"').lower() for one in re.split(r"[,;\t|]", line.lstrip("# "))}
    return bool(names & set(_VALUE_KEYS)) and not any("." in one for one in names)


def _value(text: str) -> str:
    """A value as it is compared: fanged, without the slash at its end; case counts only in wallets."""
    text = text.strip()
    for fanged, plain in (("[.]", "."), ("(.)", "."), ("[:]", ":"), ("hxxp", "http"), ("hXXp", "http")):
        text = text.replace(fanged, plain)
    if re.fullmatch(r"[13][1-9A-HJ-NP-Za-km-z]{25,34}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}", text):
        return text
    text = text.lower()
    return text.rstrip("/") if "://" in text else text


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _date(value: object) -> date | None:
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"1\d{9}", value)):
        return date.fromtimestamp(int(value)) if 0 < int(value) < 1 << 34 else None
    if not isinstance(value, str) or len(value) < 8:
        return None
    try:
        return datetime.fromisoformat(value.strip().replace("Z", "+00:00").removesuffix(" UTC")).date()
    except ValueError:
        return None


def _of_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_of_text(one) for one in value[:5])
    return value if isinstance(value, str) else "" if value is None else str(value)
