"""What people know beside the logs, from the user's content folder: lists, schedules, assets, suppressions.

A file that cannot be read is refused by name, and the rest is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from perilune.analysis.lists import IndicatorList, Lists, parse
from perilune.errors import ContentError
from perilune.investigation.gathering import Around
from perilune.model.people import Asset, Assets, Person, Schedule
from perilune.model.rules import Refusal
from perilune.model.suppression import Suppression
from perilune.readers.assets import load_assets
from perilune.readers.schedule import load_schedule
from perilune.readers.suppressions import load_suppressions

T = TypeVar("T")

MAX_FILES = 500  # of one kind
MAX_LIST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found in the content folder. `refused`: files that could not be used, and why."""

    around: Around
    suppressions: tuple[Suppression, ...] = ()
    refused: tuple[Refusal, ...] = ()


def load_surroundings(content: Path | None, today: date) -> Surroundings:
    """Everything that the content folder says of people, hosts and addresses."""
    refused: list[Refusal] = []
    lists = [*_packaged_lists(), *_each(content, "lists", (".json", ".csv", ".txt"), _list, refused)]
    people: list[Person] = []
    for schedule in _each(content, "people", (".yml", ".yaml", ".ics"), load_schedule, refused):
        people += schedule.people
    hosts: list[Asset] = []
    for assets in _each(content, "assets", (".yml", ".yaml"), load_assets, refused):
        hosts += assets.assets
    suppressed: list[Suppression] = []
    for found in _each(content, "suppressions", (".yml", ".yaml"), load_suppressions, refused):
        suppressed += found
    around = Around(
        lookup=Lists(lists, today).lookup,
        bad_lists=sum(len(one.entries) for one in lists if not one.benign),
        schedule=Schedule(tuple(people)) if people else None,
        assets=Assets(tuple(hosts)) if hosts else None,
    )
    return Surroundings(around, tuple(suppressed), tuple(refused))


def _packaged_lists() -> Iterator[IndicatorList]:
    folder = files("perilune") / "content" / "lists"
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.name.endswith((".json", ".csv")):
            yield parse(one.read_text(encoding="utf-8"), one.name)


def _list(path: Path) -> IndicatorList:
    if path.stat().st_size > MAX_LIST_BYTES:
        raise ContentError(f"a list of more than {MAX_LIST_BYTES:,} bytes", where=str(path))
    return parse(path.read_text(encoding="utf-8-sig", errors="replace"), path.name)


def _each(
    content: Path | None, name: str, endings: tuple[str, ...], load: Callable[[Path], T], refused: list[Refusal]
) -> Iterator[T]:
    folder = content / name if content is not None else None
    if folder is None or not folder.is_dir():
        return
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
    for path in paths[:MAX_FILES]:
        try:
            yield load(path)
        except (ContentError, OSError) as error:
            refused.append(Refusal(str(path), path.name, str(error)))
    if len(paths) > MAX_FILES:
        refused.append(Refusal(str(folder), name, f"{len(paths) - MAX_FILES} more files were not read"))
