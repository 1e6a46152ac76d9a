"""Small checks of how rules are written, and the run of them over files.

Each check is one class in `lints.py` with an id and a hint that says what to do instead. A fault says where it stands.
The checks of the house hold the pack only; the others are for everybody's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from perilune.detection import linking, placeholders, proofs, sigma, stories
from perilune.detection.documents import Document, documents
from perilune.detection.files import find_files
from perilune.errors import RuleError
from perilune.model.rules import And, Expr, Field, Keyword, Not, Or, Rule, SameRow

Problems = Iterator[tuple[str, str]]
Filled = Mapping[str, frozenset[str]]  # by table, the columns that some reader or mapping fills


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check knows beyond the rule: the techniques of ATT&CK, the columns that are filled, the other rules."""

    techniques: Mapping[str, str]
    filled: Filled
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    titles: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """One rule as it is looked at. `rule` is absent where it cannot be evaluated, `refused` says why.

    events  those beside it; absent where there is no such file
    cases   those beside a correlation, in the place of events
    part    whether it only serves a correlation of its own file, and needs no id, level or events
    """

    document: Document
    rule: Rule | None
    refused: str
    events: tuple[proofs.Event, ...] | None
    events_fault: RuleError | None
    known: Surroundings
    cases: tuple[stories.Story, ...] = ()
    part: bool = False

    @property
    def path(self) -> Path:
        return Path(self.document.origin)

    def get(self, name: str) -> object:
        return self.document.data.get(name)

    def texts(self, name: str) -> list[str]:
        given = self.get(name)
        return [str(item) for item in given] if isinstance(given, list) else []

    def count(self, kind: str) -> int:
        """How many events or cases of a kind stand beside it."""
        kinds = [event.kind for event in self.events or ()] + [case.kind for case in self.cases]
        return kinds.count(kind)

    @property
    def is_context(self) -> bool:
        given = self.get("perilune")
        return isinstance(given, Mapping) and given.get("role") == "context"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: which check, where, what is wrong and what to do."""

    lint: str
    where: str
    what: str
    hint: str


class Lint(Protocol):
    """One check. `house` says that it holds the pack only; `problems` gives an attribute's name and what is wrong."""

    id: str
    hint: str
    house: bool

    def problems(self, subject: Subject) -> Problems: ...


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks said of the files: how many rules they saw, and every fault in the order of the files."""

    rules: int
    faults: tuple[Fault, ...]


def check(paths: Iterable[Path], known: Surroundings, lints: Sequence[Lint]) -> Report:
    """Every fault of the rules at the paths."""
    faults: list[Fault] = []
    found: list[Document] = []
    values: list[Document] = []  # of placeholders
    for file in find_files(paths):
        for one in documents(file):
            if isinstance(one, RuleError):
                faults.append(
                    Fault("readable", one.where or file.origin, one.what, "mend the YAML; see the line named")
                )
            elif placeholders.is_pipeline(one.data):
                values.append(one)
            elif "filter" not in one.data:
                found.append(one)
    known = Surroundings(known.techniques, known.filled, _places(found, "id"), _places(found, "title"))
    correlations = {document.origin for document in found if is_correlation(document)}
    refused = _refused(found, values)
    for document in found:
        part = document.origin in correlations and not is_correlation(document) and "id" not in document.data
        chosen = [lint for lint in lints if lint.id in OF_PARTS] if part else lints
        faults.extend(faults_of(_subject(document, values, known, refused, part=part), chosen))
    return Report(len(found), tuple(faults))


# Checks that hold for a rule which only serves a correlation of its own file; findings never show it
OF_PARTS = frozenset(
    ("title", "title-unique", "evaluates", "field-filled", "selection-used", "word-anchored", "pattern-anchored",
     "pattern-short")
)  # fmt: skip


def is_correlation(document: Document) -> bool:
    return "correlation" in document.data


Refusals = Mapping[tuple[str, str], str]


def _refused(found: Sequence[Document], values: Sequence[Document]) -> Refusals:
    """By file and title, why a correlation cannot be evaluated: each is tried with the rules that it names."""
    named: set[str] = set()
    for document in found:
        given = document.data.get("correlation")
        rules = given.get("rules") if isinstance(given, Mapping) else None
        named |= {str(name) for name in rules} if isinstance(rules, list) else {str(rules)}
    needed = [one for one in found if is_correlation(one) or {str(one.data.get(n)) for n in ("id", "name")} & named]
    if not any(map(is_correlation, needed)):
        return {}
    linked = linking.link(sigma.of_documents([*values, *needed]))
    return {(one.source.rpartition(":")[0], one.title): one.reason for one in linked.refused}


def faults_of(subject: Subject, lints: Sequence[Lint]) -> Iterator[Fault]:
    """What each check says of one rule."""
    for lint in lints:
        for attribute, what in lint.problems(subject):
            yield Fault(lint.id, subject.document.at(attribute), what, lint.hint)


def _places(found: Iterable[Document], name: str) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for document in found:
        places.setdefault(str(document.data.get(name)), []).append(document.at(name))
    return places


def _subject(
    document: Document, values: Sequence[Document], known: Surroundings, refusals: Refusals, *, part: bool
) -> Subject:
    rule, refused = _evaluated(document, values, refusals)
    path = proofs.beside(Path(document.origin))
    events: tuple[proofs.Event, ...] | None = None
    cases: tuple[stories.Story, ...] = ()
    fault = None
    if path.is_file() and not part:
        try:
            if is_correlation(document):
                cases = stories.load(path)
            else:
                events = proofs.load(path)
        except RuleError as error:
            fault = error
    return Subject(document, rule, refused, events, fault, known, cases, part)


def _evaluated(document: Document, values: Sequence[Document], refusals: Refusals) -> tuple[Rule | None, str]:
    """The rule as the matcher sees it. A correlation stands on other rules, and is no test of a row by itself."""
    if is_correlation(document):
        return None, refusals.get((document.origin, document.title), "")
    found = sigma.of_documents([*values, document])
    if not found.rules:
        return None, found.refused[-1].reason
    return found.rules[0], ""


def columns_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Each table and column that the rule looks into."""
    for scope in rule.scopes:
        for one in _fields(scope.expr):
            yield scope.table, one.column


def _fields(expr: Expr) -> Iterator[Field]:
    match expr:
        case And(of=parts) | Or(of=parts):
            for part in parts:
                yield from _fields(part)
        case Not(of=inner):
            yield from _fields(inner)
        case SameRow(field=left, other=right):
            yield from (left, right)
        case Keyword():
            return
        case _:
            yield expr.field
