"""The table of APIs: which names mean which capability, and what a text's calls, strings and marks come to."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from perilune.analysis.capabilities import FAMILIES
from perilune.analysis.patterns import Patterns
from perilune.errors import ContentError
from perilune.model.analysis import Capability, Sign
from perilune.model.lua import Call, Literal

MOST_SIGNS = 12
MOST_NAMES = 20_000  # that are remembered


@dataclass(frozen=True, slots=True)
class CallTest:
    """A name, or what it begins with; with `argument`, only where that argument is so."""

    name: str
    argument: int | None = None
    matches: re.Pattern[str] | None = None
    unknown: bool = False
    missing: bool = False

    def holds(self, call: Call) -> bool:
        if self.argument is None:
            return True
        if self.argument >= len(call.arguments):
            return self.missing
        value = call.arguments[self.argument]
        if self.missing:
            return False
        if self.unknown or value is None:
            return self.unknown and (value is None or value.startswith("="))
        return self.matches is not None and self.matches.search(value) is not None


@dataclass(frozen=True, slots=True)
class Definition:
    id: str
    title: str
    says: str
    family: str
    techniques: tuple[str, ...]
    weight: float
    calls: tuple[CallTest, ...]
    strings: str
    needs: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...]
    gives: str
    takes: str
    every: bool
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the reader of a text saw and that is no call and no string."""

    name: str
    layer: int
    start: int
    end: int
    text: str


def parse(document: object, source: str) -> Definition:
    if not isinstance(document, dict):
        raise ContentError("a capability is a mapping", where=source)
    wrong = [f"missing: {key}" for key in ("id", "title", "says", "family", "weight") if key not in document]
    known = {
        "id",
        "title",
        "says",
        "family",
        "techniques",
        "weight",
        "calls",
        "strings",
        "needs",
        "marks",
        "gives",
        "takes",
        "every",
        "unless",
    }
    wrong += [f"no such key: {key}" for key in document if key not in known]
    if document.get("family") not in FAMILIES:
        wrong.append(f"no such family: {document.get('family')}")
    if not document.keys() & {"calls", "strings", "marks"}:
        wrong.append("nothing to look for: calls, strings or marks")
    if wrong:
        raise ContentError("; ".join(wrong), where=f"{source}: {document.get('id', '?')}")
    return Definition(
        document["id"], document["title"], document["says"], document["family"], tuple(document.get("techniques", ())),
        float(document["weight"]), tuple(_call(one, source) for one in document.get("calls", ())), document.get("strings", ""),
        tuple(tuple(one.split("|")) for one in document.get("needs", ())), tuple(document.get("marks", ())),
        document.get("gives", ""), document.get("takes", ""), bool(document.get("every", False)),
        tuple(document.get("unless", ())),
    )  # fmt: skip


def _call(spec: Any, source: str) -> CallTest:
    if isinstance(spec, str):
        return CallTest(spec)
    try:
        pattern = re.compile(spec["matches"]) if "matches" in spec else None
    except re.error as error:
        raise ContentError(f"{spec}: {error}", where=source) from None
    return CallTest(spec["name"], spec["argument"], pattern, bool(spec.get("unknown")), bool(spec.get("missing")))


class Apis:
    """Definitions ready to be asked. Names are looked up once each and remembered."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.definitions = {one.id: one for one in definitions}
        self._ordered = _ordered(definitions)
        self._exact: dict[str, list[tuple[Definition, CallTest]]] = {}
        self._heads: list[tuple[str, Definition, CallTest]] = []
        for one in definitions:
            for test in one.calls:
                if test.name.endswith("*"):
                    self._heads.append((test.name[:-1], one, test))
                else:
                    self._exact.setdefault(test.name, []).append((one, test))
        self._strings = {one.id: re.compile(one.strings, re.IGNORECASE) for one in definitions if one.strings}
        self._patterns = Patterns({one.id: one.strings for one in definitions if one.strings})
        self._known: dict[str, tuple[tuple[Definition, CallTest], ...]] = {}
        self._gives: dict[str, frozenset[str]] = {}
        self._takes: dict[str, frozenset[str]] = {}

    def of(self, name: str) -> tuple[tuple[Definition, CallTest], ...]:
        """The definitions that a name may mean, with the test that says so."""
        found = self._known.get(name)
        if found is None:
            found = tuple(self._exact.get(name, ())) + tuple(
                (one, test) for head, one, test in self._heads if name.startswith(head)
            )
            if len(self._known) < MOST_NAMES:
                self._known[name] = found
        return found

    def gives(self, name: str) -> frozenset[str]:
        found = self._gives.get(name)
        if found is None:
            found = frozenset(one.gives for one, _ in self.of(name) if one.gives)
            if len(self._gives) < MOST_NAMES:
                self._gives[name] = found
        return found

    def takes(self, name: str) -> frozenset[str]:
        found = self._takes.get(name)
        if found is None:
            found = frozenset(one.takes for one, _ in self.of(name) if one.takes)
            if len(self._takes) < MOST_NAMES:
                self._takes[name] = found
        return found

    def find(self, calls: Sequence[Call], literals: Sequence[Literal], marks: Sequence[Mark]) -> list[Capability]:
        """The capabilities whose signs are all there, each with its signs."""
        signs: dict[str, list[Sign]] = {}
        for call in calls:
            for one, test in self.of(call.name):
                if test.holds(call):
                    signs.setdefault(one.id, []).append(_call_sign(call))
        self._in_strings(literals, signs)
        for mark in marks:
            for one in self.definitions.values():
                if mark.name in one.marks:
                    signs.setdefault(one.id, []).append(Sign(mark.layer, mark.start, mark.end, mark.text, mark.name))
        return self._held(signs)

    def _in_strings(self, literals: Sequence[Literal], signs: dict[str, list[Sign]]) -> None:
        """One pass of every pattern over all strings at once, joined by a character that no pattern crosses."""
        texts = [one.text[:20_000] for one in literals]
        joined = "\n\0\n".join(texts)
        starts = [0]
        for text in texts:
            starts.append(starts[-1] + len(text) + 3)
        for name, first, _ in self._patterns.search(joined):
            for match, _ in zip(self._strings[name].finditer(joined, first), range(MOST_SIGNS), strict=False):
                literal = literals[_place(starts, match.start())]
                shown = Sign(literal.layer, literal.start, literal.end, match.group().strip()[:160], "string")
                signs.setdefault(f"{name}/strings", []).append(shown)

    def _held(self, signs: Mapping[str, list[Sign]]) -> list[Capability]:
        held: dict[str, list[Sign]] = {}
        for one in self._ordered:
            if all(any(name in held for name in need) for need in one.needs) and (found := _enough(one, signs)):
                held[one.id] = found
        kept = {name: found for name, found in held.items() if held.keys().isdisjoint(self.definitions[name].unless)}
        return [_capability(self.definitions[name], found) for name, found in kept.items()]


def _ordered(definitions: Sequence[Definition]) -> list[Definition]:
    """What others need comes before them; what needs itself in a circle could never hold."""
    placed: dict[str, Definition] = {}
    waiting = list(definitions)
    known = {one.id for one in definitions}
    while waiting:
        ready = [one for one in waiting if all(n in placed or n not in known for need in one.needs for n in need)]
        if not ready:
            raise ContentError(f"need each other in a circle: {', '.join(one.id for one in waiting)}", where="needs")
        placed |= {one.id: one for one in ready}
        waiting = [one for one in waiting if one.id not in placed]
    return list(placed.values())


def _enough(one: Definition, signs: Mapping[str, list[Sign]]) -> list[Sign]:
    named, quoted = signs.get(one.id, []), signs.get(f"{one.id}/strings", [])
    if one.every:
        wanted = {test.name for test in one.calls}
        return named if wanted <= {sign.text.partition("(")[0] for sign in named} else []
    if one.strings and one.calls and one.id in _BOTH:
        return [*named, *quoted] if named and quoted else []
    return [*named, *quoted]


_BOTH = frozenset(("mail-filter-command",))


def _place(starts: Sequence[int], at: int) -> int:
    return min(bisect_right(starts, at) - 1, len(starts) - 2)


def _call_sign(call: Call) -> Sign:
    return Sign(call.layer, call.start, call.end, call.text(arguments=4), call.via)


def _capability(one: Definition, signs: Sequence[Sign]) -> Capability:
    kept = tuple(dict.fromkeys(signs))[:MOST_SIGNS]
    return Capability(one.id, one.title, one.family, one.techniques, one.weight, one.says, kept)


@lru_cache(maxsize=1)
def packaged() -> Apis:
    """The table that ships with Perilune."""
    path = files("perilune") / "content" / "lua" / "apis.yml"
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - one of the two safe loaders
    return Apis([parse(one, "apis.yml") for one in documents])
