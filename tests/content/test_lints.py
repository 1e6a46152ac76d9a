"""Small checks of how rules are written. Each says what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from perilune.model.tables import TABLES

CONTENT = Path(str(files("perilune") / "content"))
FILES = sorted(
    path
    for folder in ("sigma", "known_hosts")
    for path in (CONTENT / folder).rglob("*.yml")
    if not path.name.endswith(".events.yml")
)
ORDER = (
    "title id status description references author date modified tags logsource detection falsepositives "
    "level license perilune"
).split()
CATEGORIES = {
    "process_creation": "DeviceProcessEvents",
    "file_event": "DeviceFileEvents",
    "image_load": "DeviceImageLoadEvents",
    "network_connection": "DeviceNetworkEvents",
    "registry_set": "DeviceRegistryEvents",
    "ps_script": "XScriptEvents",
    "dns_query": "DeviceEvents",
}

Document = Mapping[str, object]


def document(path: Path) -> Document:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def events(path: Path) -> Mapping[str, list[Mapping[str, object]]]:
    return yaml.safe_load(path.with_name(f"{path.stem}.events.yml").read_text(encoding="utf-8"))


def leaves(detection: object, field: str = "") -> Iterator[tuple[str, object]]:
    """Every `Field|modifier: value` of a detection."""
    if isinstance(detection, Mapping):
        for key, value in detection.items():
            if key != "condition":
                yield from leaves(value, str(key))
    elif isinstance(detection, list):
        for value in detection:
            yield from leaves(value, field)
    else:
        yield field, detection


class FileNameIsASlug:
    hint = "name the file after what it finds, in lower case with underscores; the name stays when the title changes"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        if not re.fullmatch(r"[a-z][a-z0-9_]{3,60}", path.stem):
            yield path.name


class FieldsStandInOrder:
    hint = f"write the attributes in this order and leave none out: {', '.join(ORDER)}"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        optional = {"modified"} | ({"perilune"} if "known_hosts" not in path.parts else set())
        expected = [name for name in ORDER if name in rule or name not in optional]
        if list(rule) != expected:
            yield f"has {', '.join(rule)}"


class TitleIsShort:
    hint = "use at most 80 characters, no full stop"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        title = str(rule["title"])
        if len(title) > 80 or title.endswith("."):
            yield title


class IdIsRandom:
    hint = "make the id with `python3 -c 'import uuid; print(uuid.uuid4())'`"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        if UUID(str(rule["id"])).version != 4:
            yield str(rule["id"])


class DescriptionSaysWhy:
    hint = "say in one to four sentences what happens and why it matters, so that a tired reader knows"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        text = str(rule["description"])
        if not 60 <= len(text) <= 500 or not text.rstrip().endswith("."):
            yield f"{len(text)} characters"


class ReferencesAreAddresses:
    hint = "give at least one https address that anyone can open"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        references = rule["references"]
        if not references or not all(str(r).startswith("https://") for r in references):
            yield str(references)


class OriginIsOurs:
    hint = "write `author: Perilune authors` and `license: Apache-2.0`; rules of others stay in their own folders"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        if rule["author"] != "Perilune authors" or rule["license"] != "Apache-2.0":
            yield f"{rule['author']}, {rule['license']}"


class DateIsADate:
    hint = "write `date: 2026-11-21`, without quotes"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        for name in ("date", "modified"):
            if name in rule and not isinstance(rule[name], date):
                yield f"{name}: {rule[name]!r}"


class TagsNameTheTechnique:
    hint = "tag at least one T1059 technique, as `attack.t1059.011`, and for a detection its tactic"
    tactics = frozenset(
        "initial-access execution persistence privilege-escalation defense-evasion credential-access discovery "
        "lateral-movement collection command-and-control exfiltration impact".split()
    )

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        names = [str(tag).removeprefix("attack.") for tag in rule["tags"]]
        wrong = [n for n in names if n not in self.tactics and not re.fullmatch(r"t\d{4}(\.\d{3})?", n)]
        if wrong:
            yield f"unknown {', '.join(wrong)}"
        if not any(name.startswith("t1059") for name in names):
            yield "no T1059"
        if "known_hosts" not in path.parts and not self.tactics & set(names):
            yield "no tactic"


class LevelAndStatusAreSigma:
    hint = "a new rule is experimental; a known host is informational"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        if rule["status"] not in ("experimental", "test", "stable"):
            yield f"status {rule['status']}"
        if rule["level"] not in ("informational", "low", "medium", "high", "critical"):
            yield f"level {rule['level']}"
        if "perilune" in rule and rule["level"] != "informational":
            yield f"a known host of level {rule['level']}"


class LogSourceIsFilled:
    hint = f"use one of the categories {', '.join(CATEGORIES)}, and a product or none"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        source = rule["logsource"]
        if source.get("category") not in CATEGORIES or source.get("product") not in (
            None,
            "windows",
            "linux",
            "macos",
        ):
            yield str(source)


class WordsAreAnchored:
    hint = (
        "a bare word inside `contains` also matches inside other words (`lua` in `evaluate`); "
        "add a separator (` lua `, `/lua`, `.lua`) or use `re` with \\b"
    )

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        for field, value in leaves(rule["detection"]):
            bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]{1,11}", value)
            if bare and "|contains" in field and "|all" not in field and value != "luarocks":
                yield f"{field}: {value}"


class PatternsAreBounded:
    hint = "an expression of more than 400 characters is a list; split it into selections"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        for field, value in leaves(rule["detection"]):
            if "|re" in field and len(str(value)) > 400:
                yield f"{field}: {len(str(value))} characters"


class FalsePositivesAreNamed:
    hint = "name the legitimate use that looks the same, or why there is none"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        found = rule["falsepositives"]
        if not found or any(str(f).lower() in ("unknown", "none", "unlikely") for f in found):
            yield str(found)


class EventsStandBeside:
    hint = "put at least two hits and two misses into <rule>.events.yml; a miss is what would fool a careless rule"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        found = events(path)
        if set(found) != {"hit", "miss"} or min(len(found["hit"]), len(found["miss"])) < 2:
            yield ", ".join(f"{len(v)} {k}" for k, v in found.items())


class EventsUseTheSchema:
    hint = "a row's names are columns of its table in perilune.model.tables, and the table is the rule's"

    def problems(self, path: Path, rule: Document) -> Iterator[str]:
        table = CATEGORIES[rule["logsource"]["category"]]
        for event in (e for group in events(path).values() for e in group):
            if event["table"] != table:
                yield str(event["table"])
            else:
                yield from sorted(set(event["row"]) - set(TABLES[table].columns))


LINTS = (
    FileNameIsASlug,
    FieldsStandInOrder,
    TitleIsShort,
    IdIsRandom,
    DescriptionSaysWhy,
    ReferencesAreAddresses,
    OriginIsOurs,
    DateIsADate,
    TagsNameTheTechnique,
    LevelAndStatusAreSigma,
    LogSourceIsFilled,
    WordsAreAnchored,
    PatternsAreBounded,
    FalsePositivesAreNamed,
    EventsStandBeside,
    EventsUseTheSchema,
)


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.__name__)
def test_every_rule_passes(lint: type) -> None:
    checked = lint()
    found = [f"{path.stem}: {problem}" for path in FILES for problem in checked.problems(path, document(path))]
    assert not found, f"{checked.hint}\n" + "\n".join(found)


def test_ids_and_titles_are_unique() -> None:
    for name in ("id", "title"):
        values = [document(path)[name] for path in FILES]
        assert len(values) == len(set(values)), f"two rules share a {name}; give each its own"


def test_no_file_of_events_is_left_without_its_rule() -> None:
    kept = {path.stem for path in FILES}
    events_files = [p for f in ("sigma", "known_hosts") for p in (CONTENT / f).rglob("*.events.yml")]
    lost = [p.name for p in events_files if p.name.removesuffix(".events.yml") not in kept]
    assert lost == [], "rename or delete the events together with their rule"


def test_the_pack_is_not_small() -> None:
    assert len([p for p in FILES if "sigma" in p.parts]) >= 24


def test_the_lints_find_what_they_look_for() -> None:
    """A lint that never fires would let everything pass."""
    careless = {
        "title": "lua.",
        "id": "00000000-0000-1000-8000-000000000000",
        "description": "bad",
        "references": [],
        "author": "someone",
        "license": "MIT",
        "date": "2026-11-21",
        "tags": ["attack.lua"],
        "status": "new",
        "level": "urgent",
        "logsource": {"category": "webserver"},
        "detection": {"a": {"CommandLine|contains": "lua", "Image|re": "x" * 401}, "condition": "a"},
        "falsepositives": ["Unknown"],
    }
    needs_events = (EventsStandBeside, EventsUseTheSchema)
    silent = [
        lint.__name__
        for lint in LINTS
        if lint not in needs_events and not list(lint().problems(Path("sigma/X.yml"), careless))
    ]
    assert silent == []
