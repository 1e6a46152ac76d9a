"""Checks of what a rule says of itself: title, tags, level, references and the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from uuid import UUID

from perilune.detection.lint import Problems, Subject

ORDER = (
    "title id name status description references author date modified tags logsource correlation detection "
    "falsepositives level license perilune"
).split()
OPTIONAL = frozenset({"modified", "name", "perilune", "correlation", "logsource", "detection"})
TACTICS = frozenset(
    "initial-access execution persistence privilege-escalation defense-evasion stealth defense-impairment "
    "credential-access discovery lateral-movement collection command-and-control exfiltration impact reconnaissance "
    "resource-development".split()
)
STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
LEVELS = ("informational", "low", "medium", "high", "critical")
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
_EMPTY = ("unknown", "none", "unlikely", "n/a", "")


class TitleIsShort:
    id = "title"
    house = False
    hint = "say in at most 110 characters what was seen, without a full stop"

    def problems(self, subject: Subject) -> Problems:
        title = subject.get("title")
        if not isinstance(title, str) or not title.strip():
            yield "title", "no title"
        elif len(title) > 110 or title.endswith("."):
            yield "title", f"{len(title)} characters: {title[:120]}"


class IdIsUuid:
    id = "id"
    house = False
    hint = "make the id with `python3 -c 'import uuid; print(uuid.uuid4())'`"

    def problems(self, subject: Subject) -> Problems:
        try:
            version = UUID(str(subject.get("id"))).version
        except ValueError:
            version = None
        if version != 4:
            yield "id", f"{subject.get('id')} is no random UUID"


class IdIsUnique:
    id = "id-unique"
    house = False
    hint = "give each rule an id of its own; a copied rule needs a new one"

    def problems(self, subject: Subject) -> Problems:
        same = subject.known.ids.get(str(subject.get("id")), ())
        if len(same) > 1:
            yield "id", f"also at {', '.join(place for place in same if place != subject.document.at('id'))}"


class TitleIsUnique:
    id = "title-unique"
    house = True
    hint = "say in the title what sets this rule apart"

    def problems(self, subject: Subject) -> Problems:
        same = subject.known.titles.get(str(subject.get("title")), ())
        if len(same) > 1:
            yield "title", f"also at {', '.join(place for place in same if place != subject.document.at('title'))}"


class StatusIsSigma:
    id = "status"
    house = False
    hint = f"write one of {', '.join(STATUSES)}; a new rule is experimental"

    def problems(self, subject: Subject) -> Problems:
        if subject.get("status") not in STATUSES:
            yield "status", f"status {subject.get('status')!r}"


class LevelIsSigma:
    id = "level"
    house = False
    hint = f"write one of {', '.join(LEVELS)}; high means almost always an attack, a known use is informational"

    def problems(self, subject: Subject) -> Problems:
        if subject.get("level") not in LEVELS:
            yield "level", f"level {subject.get('level')!r}"
        elif subject.is_context and subject.get("level") != "informational":
            yield "level", f"a known use of level {subject.get('level')}"


class DescriptionSaysWhy:
    id = "description"
    house = False
    hint = "say in one to four sentences what happens and why it matters, so that a tired reader knows"

    def problems(self, subject: Subject) -> Problems:
        text = subject.get("description")
        if not isinstance(text, str) or len(text.strip()) < 20:
            yield "description", "none, or too short to tell anything"


class DescriptionIsASentence:
    id = "description-sentence"
    house = True
    hint = "60 to 500 characters, ending with a full stop"

    def problems(self, subject: Subject) -> Problems:
        text = str(subject.get("description") or "").strip()
        if not 60 <= len(text) <= 500 or not text.endswith("."):
            yield "description", f"{len(text)} characters"


class ReferencesAreAddresses:
    id = "references"
    house = False
    hint = "give at least one https address that anyone can open"

    def problems(self, subject: Subject) -> Problems:
        references = subject.texts("references")
        if not references:
            yield "references", "no references"
        for reference in references:
            if not reference.startswith(("https://", "http://")):
                yield "references", f"no address: {reference[:100]}"


class AuthorIsNamed:
    id = "author"
    house = False
    hint = "name who wrote it: findings carry the author, and some licences ask for it"

    def problems(self, subject: Subject) -> Problems:
        if not str(subject.get("author") or "").strip():
            yield "author", "no author"


class OriginIsOurs:
    id = "origin"
    house = True
    hint = "write `author: Perilune authors` and `license: Apache-2.0`; rules of others stay in their own folders"

    def problems(self, subject: Subject) -> Problems:
        if (subject.get("author"), subject.get("license")) != ("Perilune authors", "Apache-2.0"):
            yield "author", f"{subject.get('author')}, {subject.get('license')}"


class DateIsADate:
    id = "date"
    house = False
    hint = "write `date: 2026-11-21`, without quotes"

    def problems(self, subject: Subject) -> Problems:
        for name in ("date", "modified"):
            given = subject.get(name)
            if (name == "date" or given is not None) and not isinstance(given, date):
                yield name, f"{name}: {given!r}"


class TagsAreAttack:
    id = "tags"
    house = False
    hint = "use a tactic or a technique of ATT&CK that exists, as `attack.execution` or `attack.t1059.011`"

    def problems(self, subject: Subject) -> Problems:
        for tag in subject.texts("tags"):
            space, _, name = tag.lower().partition(".")
            if space != "attack" or re.fullmatch(r"[gs]\d{4}", name):
                continue
            if _TECHNIQUE.fullmatch(name):
                if name.startswith("t1059") and name.upper() not in subject.known.techniques:
                    yield "tags", f"{tag}: there is no such technique"
            elif name.replace("_", "-") not in TACTICS:
                yield "tags", f"{tag}: neither a tactic nor a technique"


class TechniqueIsKnown:
    id = "technique"
    house = True
    hint = "tag a T1059 technique and a tactic; a technique new to the pack is added to content/attack/techniques.json"

    def problems(self, subject: Subject) -> Problems:
        names = [tag.removeprefix("attack.") for tag in subject.texts("tags")]
        for name in names:
            if _TECHNIQUE.fullmatch(name) and name.upper() not in subject.known.techniques:
                yield "tags", f"{name} is not in the list"
        if not any(name.startswith("t1059") for name in names):
            yield "tags", "no T1059"
        if not subject.is_context and not TACTICS & set(names):
            yield "tags", "no tactic"


class FalsePositivesAreNamed:
    id = "falsepositives"
    house = False
    hint = "name the legitimate use that looks the same, or why there is none"

    def problems(self, subject: Subject) -> Problems:
        found = subject.texts("falsepositives")
        if not found or any(text.strip().lower() in _EMPTY for text in found):
            yield "falsepositives", ", ".join(found) or "none given"


class FileNameIsASlug:
    id = "file-name"
    house = True
    hint = "name the file after what it finds, in lower case with underscores; the name stays when the title changes"

    def problems(self, subject: Subject) -> Problems:
        if not re.fullmatch(r"[a-z][a-z0-9_]{3,60}", subject.path.stem):
            yield "title", subject.path.name


class AttributesStandInOrder:
    id = "order"
    house = True
    hint = f"write the attributes in this order: {', '.join(ORDER)}"

    def problems(self, subject: Subject) -> Problems:
        given = list(subject.document.data)
        expected = [name for name in ORDER if name in given or name not in OPTIONAL]
        if given != expected:
            yield "title", f"has {', '.join(map(str, given))}"


class GuideIsNamed:
    id = "guide"
    house = True
    hint = "write `perilune: {guide: t1059.011}`, the guide that an analyst works the finding with"

    def problems(self, subject: Subject) -> Problems:
        given = subject.get("perilune")
        guide = given.get("guide") if isinstance(given, Mapping) else None
        if not subject.is_context and (not isinstance(guide, str) or guide.upper() not in subject.known.techniques):
            yield "perilune", f"guide {guide!r}"
