"""Windows events as EVTX and its JSON exports hold them: one shape, one kind per provider and event id.

The shape is `{"System": {…}, "EventData": {name: value}}`: UserData and unnamed Data become named fields too.
PowerShell cuts a long script into many 4104 events; `ScriptBlocks` puts it together again.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeGuard

from perilune.model.sources import Problem
from perilune.ports import Limits
from perilune.readers.values import dump, text_of, whole

MISSING = "script of which parts are missing"
SCRIPT_BLOCK = "windows:Microsoft-Windows-PowerShell/4104"
_MAX_DEPTH = 8

Raw = dict[str, object]


def is_object(value: object) -> TypeGuard[Raw]:
    return type(value) is dict


def is_plain(data: object) -> TypeGuard[dict[str, str | int | bool | None]]:
    """Whether it is an EventData without anything nested or unnamed, of which a decoder can be made."""
    return (
        is_object(data)
        and "Data" not in data
        and all(value is None or type(value) in (str, int, bool) for value in data.values())
        and NO_NAME.search("".join(data)) is None
    )


NO_NAME = re.compile(r'["\\\x00-\x1f]')  # what no field's name may hold in a decoder


class Kinds:
    """Names the kind of each event; few distinct ones occur, so each is made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, object], str] = {}

    def name(self, system: Raw) -> str:
        """The kind of an event with this System; an EventID with qualifiers becomes the number alone."""
        try:
            return self._known[system["Provider"]["#attributes"]["Name"], system["EventID"]]  # type: ignore[index]
        except (KeyError, TypeError):
            return self._name(system)

    def _name(self, system: Raw) -> str:
        provider, event_id = system.get("Provider"), system.get("EventID")
        if is_object(provider):
            attributes = provider.get("#attributes")
            provider = attributes.get("Name") if is_object(attributes) else provider.get("Name")
        if is_object(event_id):
            event_id = event_id.get("#text")
            system["EventID"] = event_id
        if not (isinstance(provider, str | None) and isinstance(event_id, int | str | None)):
            return "windows:?"
        key = (provider, event_id)
        return self._known.get(key) or self._known.setdefault(key, f"windows:{provider}/{whole(event_id)}")


def shape(event: object) -> Raw | None:
    """The event in the one shape, changed in place; None when it is no event."""
    if not is_object(event) or not is_object(event.get("System")):
        return None
    data = event.get("EventData")
    if is_object(data):
        if "Data" in data or "#attributes" in data:
            event["EventData"] = flatten(data)
    else:
        rest = {name: value for name, value in event.items() if name not in ("System", "#attributes", "EventData")}
        event["EventData"] = _event_data(data, rest)
    return event


def _event_data(data: object, rest: Raw) -> Raw:
    """Fields from UserData, RenderingInfo, ProcessingErrorData or whatever stands in EventData's place."""
    found: Raw = {}
    for name, value in rest.items():
        if is_object(value):
            _flatten_into(found, value, 0)
        elif value is not None:
            found[name] = value
    if data is not None:
        found["Data"] = _text_list(data)
    return found


def flatten(data: Raw) -> Raw:
    """EventData with its unnamed `Data` and nested values as plain named fields."""
    found: Raw = {}
    _flatten_into(found, data, 0)
    return found


def _flatten_into(found: Raw, data: Raw, depth: int) -> None:
    for name, value in data.items():
        if name == "#attributes":
            continue
        if name == "Data":
            found["Data"] = _text_list(value)
        elif not is_object(value):
            found.setdefault(name, value)
        elif "#text" in value:
            found.setdefault(name, _text_list(value))
        elif depth < _MAX_DEPTH:
            _flatten_into(found, value, depth + 1)
        else:
            found.setdefault(name, dump(value))


def _text_list(value: object) -> str | None:
    """Unnamed values, one a line, as Event Viewer numbers them."""
    if is_object(value):
        value = value.get("#text", value)
    if isinstance(value, list):
        return "\n".join(_text_list(one) or "" for one in value[:10_000])
    return text_of(value)


# --- script blocks


@dataclass(slots=True)
class _Block:
    """The parts of one script that have come so far."""

    event: Raw
    number: int
    total: int
    begun: int
    parts: dict[int, str] = field(default_factory=dict)
    size: int = 0


Joined = tuple[Raw, int, int]


class ScriptBlocks:
    """Joins the parts of scripts, in any order, within a window of events and of bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[tuple[str | None, str | None], _Block] = OrderedDict()
        self._seen = 0
        self._bytes = 0
        self.joined = 0
        self._incomplete = 0
        self._where = ""

    def add(self, event: Raw, number: int) -> Iterator[Joined]:
        """Takes one 4104 event; gives the scripts that are now complete or have waited too long."""
        self._seen += 1
        data = event["EventData"]
        total = _number(data.get("MessageTotal")) if is_object(data) else 0
        text = data.get("ScriptBlockText") if is_object(data) else None
        if is_object(data) and total > 1 and isinstance(text, str):
            yield from self._keep(event, number, text, _number(data.get("MessageNumber")), total)
        else:
            if is_object(data):
                data["PartsSeen"], data["PartsTotal"] = 1, max(total, 1)
            yield event, number, len(text) if isinstance(text, str) else 0
        yield from self._late()

    def _keep(self, event: Raw, number: int, text: str, part: int, total: int) -> Iterator[Joined]:
        key = _script(event)
        block = self._waiting.get(key)
        if block is None:
            block = self._waiting[key] = _Block(event, number, total, self._seen)
        else:
            self.joined += 1
        if part not in block.parts and block.size + len(text) <= self._limits.max_text_chars:
            block.parts[part] = text
            block.size += len(text)
            self._bytes += len(text)
        if len(block.parts) >= block.total:
            yield self._finish(key)

    def _late(self) -> Iterator[Joined]:
        """The oldest scripts, while the window is overfull."""
        while self._waiting:
            key, block = next(iter(self._waiting.items()))
            if self._seen - block.begun <= self._limits.max_join_window and self._bytes <= self._limits.max_join_bytes:
                return
            yield self._finish(key)

    def rest(self) -> Iterator[Joined]:
        """What is still incomplete at the end."""
        while self._waiting:
            yield self._finish(next(iter(self._waiting)))

    def _finish(self, key: tuple[str | None, str | None]) -> Joined:
        block = self._waiting.pop(key)
        self._bytes -= block.size
        data = block.event["EventData"]
        if is_object(data):
            data["ScriptBlockText"] = "".join(text for _, text in sorted(block.parts.items()))
            data["PartsSeen"], data["PartsTotal"] = len(block.parts), block.total
        if len(block.parts) < block.total:
            if is_object(data):  # so that the rest can be joined from another file
                data["Parts"] = [f"{number}:{len(text)}" for number, text in sorted(block.parts.items())]
            self._incomplete += 1
            self._where = self._where or f"record {block.number}: {len(block.parts)} of {block.total} parts"
        return block.event, block.number, block.size

    def problems(self) -> Iterator[Problem]:
        if self._incomplete:
            yield Problem(MISSING, self._incomplete, self._where)


def _number(value: object) -> int:
    found = whole(value)
    return found if isinstance(found, int) else 0


def _script(event: Raw) -> tuple[str | None, str | None]:
    """Which script an event is a part of: its id, on its machine."""
    data, system = event["EventData"], event["System"]
    script = data.get("ScriptBlockId") if is_object(data) else None
    return (text_of(system.get("Computer")) if is_object(system) else None), text_of(script)
