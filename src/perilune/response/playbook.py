"""A playbook's text becomes a typed CACAO 2.0 document, or every fault in it with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from perilune.errors import ContentError
from perilune.response.cacao import (
    Agent,
    Authentication,
    ExtensionDefinition,
    Marking,
    Playbook,
    Response,
    Variable,
    WorkflowStep,
    response_of,
)

MAX_BYTES = 1 << 20
MAX_STEPS = 1000

# The maps of a playbook whose entries are decoded one by one, so that all faults are seen at once.
_MAPS: Mapping[str, Any] = {
    "workflow": WorkflowStep,
    "playbook_variables": Variable,
    "agent_definitions": Agent,
    "target_definitions": Agent,
    "authentication_info_definitions": Authentication,
    "extension_definitions": ExtensionDefinition,
    "data_marking_definitions": Marking,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place of a document. `path` is a JSON path."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.what} @ {self.path}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The playbook, or why there is none."""

    playbook: Playbook | None
    faults: tuple[Fault, ...] = ()


def parse_playbook(text: str | bytes) -> Parsed:
    """The document's types and shapes; what they mean together is `lint`'s question."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        return Parsed(None, (Fault("$", f"the playbook is larger than {MAX_BYTES:,} bytes"),))
    try:
        raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        faults = tuple(_faults(raw))
        return Parsed(None, faults) if faults else Parsed(msgspec.json.decode(data, type=Playbook))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Parsed(None, (_fault(error, "$"),))


def load_playbook(text: str | bytes, where: str) -> Playbook:
    """The playbook; a ContentError with the first faults where there is none."""
    parsed = parse_playbook(text)
    if parsed.playbook is None:
        raise ContentError("; ".join(str(fault) for fault in parsed.faults[:5]), where=where)
    return parsed.playbook


def _faults(raw: Mapping[str, msgspec.Raw]) -> Iterator[Fault]:
    outer = {name: value for name, value in raw.items() if name not in _MAPS or name == "workflow"}
    if "workflow" in outer:
        outer["workflow"] = msgspec.Raw(b"{}")
    try:
        msgspec.json.decode(msgspec.json.encode(outer), type=Playbook)
    except msgspec.DecodeError as error:
        yield _fault(error, "$")
    for name, kind in _MAPS.items():
        if name in raw:
            yield from _map_faults(name, raw[name], kind)


def _map_faults(name: str, raw: msgspec.Raw, kind: Any) -> Iterator[Fault]:
    try:
        entries = msgspec.json.decode(bytes(raw), type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        yield _fault(error, f"$.{name}")
        return
    if len(entries) > MAX_STEPS:
        yield Fault(f"$.{name}", f"has more than {MAX_STEPS} entries")
        return
    for key, entry in entries.items():
        place = f"$.{name}[{key!r}]"
        try:
            decoded = msgspec.json.decode(bytes(entry), type=kind)
            if name == "workflow":
                response_of(decoded)
        except msgspec.DecodeError as error:
            yield _fault(error, place)


def _fault(error: Exception, place: str) -> Fault:
    """msgspec says `what - at `$.path``; the path is hung under `place`."""
    text, _, path = str(error).partition(" - at `")
    if path == "$.type`" and "workflow" in place:
        text = f"{text}; known are {', '.join(_tags())}"
    return Fault(place + path.rstrip("`").removeprefix("$"), text[:1].lower() + text[1:])


def _tags() -> list[str]:
    return [str(one.__struct_config__.tag) for one in get_args(WorkflowStep)]


def responses(playbook: Playbook) -> dict[str, Response]:
    """What Perilune's extension says of the playbook's steps, by step."""
    found = ((key, response_of(step)) for key, step in playbook.workflow.items())
    return {key: response for key, response in found if response is not None}
