"""Checks of what a rule looks for, and of the events beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from perilune.detection.lint import Problems, Subject, columns_of


class RuleEvaluates:
    id = "evaluates"
    house = False
    hint = "`perilune rules list --refused` says the same; docs/reference/sigma.md lists log sources and fields"

    def problems(self, subject: Subject) -> Problems:
        if subject.refused:
            yield "logsource" if "logsource" in subject.refused else "detection", subject.refused


class ColumnsAreFilled:
    id = "field-filled"
    house = False
    hint = (
        "no reader or mapping fills this column, so the test can never hold; use a field of docs/reference/sources.md"
    )

    def problems(self, subject: Subject) -> Problems:
        if subject.rule is None:
            return
        for table, column in dict.fromkeys(columns_of(subject.rule)):
            if table in subject.known.filled and column not in subject.known.filled[table]:
                yield "detection", f"{column} of {table}"


class SelectionsAreUsed:
    id = "selection-used"
    house = False
    hint = "name the selection in the condition or take it out; what is not named is not looked for"

    def problems(self, subject: Subject) -> Problems:
        detection = subject.get("detection")
        if not isinstance(detection, Mapping):
            return
        given = detection.get("condition")
        words = re.findall(r"[\w*]+", " ".join(given) if isinstance(given, list) else str(given))
        named = [re.compile(re.escape(word).replace(r"\*", ".*")) for word in words]
        for name in map(str, detection):
            if name in ("condition", "timeframe") or any(word.fullmatch(name) for word in named):
                continue
            if "them" not in words or name.startswith("_"):
                yield name, f"{name} is not in the condition"


class WordsAreAnchored:
    id = "word-anchored"
    house = False
    hint = (
        "a bare word inside `contains` also matches inside other words (`lua` in `evaluate`); "
        "add a separator (` lua `, `/lua`, `.lua`) or use `re` with \\b"
    )

    def problems(self, subject: Subject) -> Problems:
        for field, value in leaves(subject.get("detection")):
            bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]{1,7}", value)
            if bare and "|contains" in field and "|all" not in field:
                yield field.partition("|")[0], f"{field}: {value}"


class PatternsAreAnchored:
    id = "pattern-anchored"
    house = False
    hint = "an expression is searched for anyway: leave `.*` away at both ends, which costs time and says nothing"

    def problems(self, subject: Subject) -> Problems:
        for field, value in leaves(subject.get("detection")):
            if "|re" in field and re.search(r"^(?:\(\?\w+\))?\^?\.\*|\.\*\$?$", str(value)):
                yield field.partition("|")[0], f"{field}: {str(value)[:80]}"


class PatternsAreShort:
    id = "pattern-short"
    house = True
    hint = "an expression of more than 400 characters is a list; split it into several"

    def problems(self, subject: Subject) -> Problems:
        for field, value in leaves(subject.get("detection")):
            if "|re" in field and len(str(value)) > 400:
                yield field.partition("|")[0], f"{field}: {len(str(value))} characters"


class HitsStandBeside:
    id = "hits"
    house = False
    hint = "put at least one event that the rule must hit into <rule>.events.yml; see docs/how-to/add-a-rule.md"
    kind = "hit"
    least = 1

    def problems(self, subject: Subject) -> Problems:
        if subject.events_fault is not None:
            return
        given = subject.count(self.kind)
        if given < self.least:
            yield "title", f"{given} under `{self.kind}`"


class MissesStandBeside(HitsStandBeside):
    id = "misses"
    hint = "put at least one event that would fool a careless rule under `miss:` in <rule>.events.yml"
    kind = "miss"


class SeveralHits(HitsStandBeside):
    id = "hits-several"
    house = True
    hint = "a rule of the pack has at least two hits, of different ways to do it"
    least = 2


class SeveralMisses(HitsStandBeside):
    id = "misses-several"
    house = True
    hint = "a rule of the pack has at least two misses, of real legitimate use"
    kind = "miss"
    least = 2


class EventsAreReadable:
    id = "events"
    house = False
    hint = "a row's names are columns of its table; docs/reference/sources.md lists them"

    def problems(self, subject: Subject) -> Problems:
        if subject.events_fault is not None:
            yield "title", str(subject.events_fault)
        elif subject.rule is not None:
            tables = {scope.table for scope in subject.rule.scopes}
            for event in subject.events or ():
                if event.kind == "hit" and event.table not in tables:
                    yield "logsource", f"{event.where}: the rule does not read {event.table}"


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
