"""The content that hunts and runs work with, the pack's and the installation's own: looked at, tried, compared."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from perilune.cli import rule_checks
from perilune.errors import PeriluneError
from perilune.response.lint import lint_playbook
from perilune.response.playbook import parse_playbook
from perilune.service.playbooks import load_shelf
from perilune.service.scenarios import parse_suite, try_suite
from perilune.web.rooms import Rooms

KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # the folders and the endings of each kind
    "rules": (("sigma", "correlations", "known_hosts"), (".yml", ".yaml")),
    "hunts": (("hunts",), (".kql",)),
    "playbooks": (("playbooks",), (".json",)),
    "lists": (("lists", "people", "assets"), (".yml", ".yaml", ".json", ".csv", ".txt")),
    "suppressions": (("suppressions",), (".yml", ".yaml")),
    "proposed": (("proposed",), (".yml", ".yaml", ".kql")),
}
ITEMS_MOST = 5000
TEXT_MOST = 300_000
_HEAD = 20_000
_TITLE = re.compile(r"^(?:// )?title: *(.+)$|^\s*\"name\": *\"(.+?)\",?$", re.MULTILINE)
_ID = re.compile(r"^(?:// )?id: *['\"]?([\w.-]+)|^\s*\"id\": *\"(playbook--[\w-]+)\"", re.MULTILINE)
_LEVEL = re.compile(r"^(?:// severity|level): *(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """One file. `origin` is pack or own; `place` its path within the content folder."""

    kind: str
    origin: str
    place: str
    path: Path

    @cached_property
    def head(self) -> str:
        with self.path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8", "replace")

    @property
    def title(self) -> str:
        return _first(_TITLE, self.head).strip("'\" ") or self.path.name

    @property
    def id(self) -> str:
        return _first(_ID, self.head)

    @property
    def level(self) -> str:
        return _first(_LEVEL, self.head)

    def text(self) -> tuple[str, bool]:
        """What is in it, and whether it was cut."""
        with self.path.open("rb") as file:
            raw = file.read(TEXT_MOST + 1)
        return raw[:TEXT_MOST].decode("utf-8", "replace"), len(raw) > TEXT_MOST


@dataclass(frozen=True, slots=True)
class Tried:
    """One event or scenario that an item was tried on. `why` says what was wrong, where something was."""

    what: str
    right: bool
    why: str = ""


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return next((group for group in found.groups() if group), "") if found else ""


def items(held: Rooms, kind: str) -> list[Item]:
    """The files of a kind, those of this installation first."""
    pack = Path(str(files("perilune") / "content"))
    found = [*_items(kind, "own", held.settings.content), *_items(kind, "pack", pack)]
    return found[:ITEMS_MOST]


def _items(kind: str, origin: str, root: Path) -> Iterator[Item]:
    folders, endings = KINDS[kind]
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            name = path.name
            if path.suffix in endings and not name.endswith((".events.yml", ".scenarios.yml")) and path.is_file():
                yield Item(kind, origin, str(path.relative_to(root)), path)


def find(held: Rooms, kind: str, origin: str, place: str) -> Item | None:
    """An item by what its address says; only what the list holds is opened."""
    return next((one for one in items(held, kind) if (one.origin, one.place) == (origin, place)), None)


def beside(item: Item) -> Path | None:
    """The file of events or scenarios that an item is tried on."""
    ending = ".scenarios.yml" if item.kind == "playbooks" else ".events.yml"
    path = item.path.with_name(item.path.stem + ending)
    return path if path.is_file() else None


def twin(held: Rooms, item: Item) -> Item | None:
    """The pack's item that an own one stands in for: the same place or the same id."""
    if item.origin == "pack":
        return None
    packed = [one for one in items(held, item.kind if item.kind != "proposed" else "rules") if one.origin == "pack"]
    same = [one for one in packed if one.place == item.place]
    return next(iter(same or [one for one in packed if item.id and one.id == item.id]), None)


def difference(one: Item, other: Item) -> list[str]:
    """What the own item changes of the pack's, as lines of a unified diff."""
    before, after = one.text()[0].splitlines(), other.text()[0].splitlines()
    return list(difflib.unified_diff(before, after, f"pack: {one.place}", f"own: {other.place}", lineterm=""))[:2000]


def try_out(held: Rooms, item: Item) -> list[Tried]:
    """Tries an item on what stands beside it."""
    try:
        if item.kind == "playbooks":
            return list(_scenarios(held, item))
        return list(_events(item))
    except PeriluneError as error:
        return [Tried(str(error), False)]


def _events(item: Item) -> Iterator[Tried]:
    found = rule_checks.try_out([item.path])
    for _, outcome in found.outcomes:
        event = outcome.event
        said = "must be hit" if event.kind == "hit" else "must be missed" if event.kind == "miss" else event.kind
        yield Tried(f"event {event.number}: {said}", outcome.right, "" if outcome.right else f"held: {outcome.held}")
    for _, what in found.faults:
        yield Tried(what, False)


def _scenarios(held: Rooms, item: Item) -> Iterator[Tried]:
    text, _ = item.text()
    parsed = parse_playbook(text)
    faults = lint_playbook(parsed.playbook) if parsed.playbook else parsed.faults
    yield Tried("it is a CACAO 2.0 playbook that can be run", not faults, "; ".join(map(str, faults[:5])))
    path = beside(item)
    if path is None:
        yield Tried("no scenarios stand beside it", False, f"write {item.path.stem}.scenarios.yml")
        return
    suite = parse_suite(path.read_text("utf-8"), path.name)
    content = held.office.content
    for one in try_suite(suite, load_shelf(content), content):
        yield Tried(one.scenario, not one.differences, "; ".join(one.differences))
