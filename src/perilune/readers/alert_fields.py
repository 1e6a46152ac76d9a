"""What an alert's fields come to, whichever product wrote them: texts, a level, techniques."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from perilune.model.alerts import Alert
from perilune.model.rules import Level

EVENTS_MOST = 200  # of one alert
_TEXT_MOST = 100_000
_TITLE_MOST = 300
_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b", re.ASCII)
_LEVELS = {
    "informational": Level.INFORMATIONAL, "information": Level.INFORMATIONAL, "info": Level.INFORMATIONAL,
    "low": Level.LOW, "medium": Level.MEDIUM, "moderate": Level.MEDIUM, "high": Level.HIGH, "critical": Level.CRITICAL,
    "severe": Level.CRITICAL,
}  # fmt: skip
_OF_CORTEX = re.compile(r"sev_\d+_([a-z]+)")

Raw = Mapping[str, object]
Event = tuple[str, Raw]  # the kind that a mapping is chosen by, and the fields


@dataclass(frozen=True, slots=True)
class Told:
    """What one record says. `events`: what it names, on their way to a mapping."""

    product: str
    id: str
    title: str
    severity: str
    host: str = ""
    description: str = ""
    techniques: tuple[str, ...] = ()
    incident: str = ""
    link: str = ""
    events: tuple[Event, ...] = field(default=())

    def alert(self, number: int) -> Alert:
        return Alert(
            product=self.product,
            id=self.id,
            title=self.title[:_TITLE_MOST],
            level=level_of(self.severity),
            severity=self.severity,
            number=number,
            host=self.host,
            description=self.description,
            techniques=self.techniques,
            incident=self.incident,
            link=self.link,
        )


def level_of(severity: str) -> Level:
    """By the product's word; medium where it is none that we know."""
    word = severity.strip().lower()
    found = _OF_CORTEX.fullmatch(word)
    return _LEVELS.get(found[1] if found else word, Level.MEDIUM)


def text_of(value: object) -> str:
    """A field as text: of a list, its first; of an object nothing."""
    if isinstance(value, list):
        value = next((one for one in value if one not in (None, "")), None)
    if value is None or isinstance(value, dict | bool | list):
        return ""
    text = str(value)[:_TEXT_MOST]
    return "" if text in ("N/A", "None", "null") else text


def object_of(value: object) -> Raw:
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> Iterator[Raw]:
    """The objects of a list, a bounded number."""
    if isinstance(value, list):
        yield from (one for one in value[:EVENTS_MOST] if isinstance(one, dict))


def techniques_of(*values: object) -> tuple[str, ...]:
    """The ids of techniques in texts and lists of texts: `T1059.011 - Lua` holds one."""
    return tuple(dict.fromkeys(found for text in _texts(values) for found in _TECHNIQUE.findall(text[:2_000])))[:50]


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value[:200] if isinstance(one, str))


def filled(fields: Raw) -> Raw:
    """Without what is empty, so that a mapping sees only what was said."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def path_of(folder: object, name: object) -> str:
    """A file's whole path: these products name its folder and its name apart, and some exports the path in both."""
    place, last = text_of(folder), text_of(name)
    if not place or not last or place.lower().endswith(last.lower()):
        return place or last
    mark = "\\" if "\\" in place or ":" in place[:3] else "/"
    return f"{place.rstrip(mark)}{mark}{last}"
