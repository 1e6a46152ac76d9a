"""Sigma YAML in, rules over our columns out.

pySigma parses detections and conditions; log sources and fields are resolved here, so that a rule is ready to be
matched. What cannot be evaluated is refused, with the place and the reason; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from sigma.conditions import ConditionAND, ConditionOR, SigmaCondition
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern
from sigma.rule.detection import SigmaDetection, SigmaDetections

from perilune.detection import correlations, linking, origin
from perilune.detection.documents import Document, Plain, documents
from perilune.detection.files import RuleFile, find_files
from perilune.detection.logsources import LogSource, resolve
from perilune.detection.placeholders import Placeholders, is_pipeline
from perilune.detection.translate import Condition, FieldError, scope
from perilune.detection.values import regex
from perilune.errors import RuleError
from perilune.model.rules import Level, Refusal, Role, Rule, RuleSet, Scope

MAX_CONDITION = 2_000  # characters; SigmaHQ's longest has 230
MAX_PARENTHESES = 20

Made = TypeVar("Made")
Known = dict[str, tuple[str, ...]]  # placeholders' values


class _QuietRegex(RegexEngine):
    """RE2 as pySigma wants it, without its habit of writing to stderr."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        found: RegexPattern = regex(pattern, "")
        return found

    @property
    def error(self) -> type[Exception]:
        return RuleError


_POLICY = SigmaPolicy(regex_engine=_QuietRegex())


def load(paths: Iterable[Path]) -> RuleSet:
    """The rules of files, folders and zip or tar archives; filters among them apply to all."""
    return of_files(find_files(paths))


def parse(text: str, source: str) -> RuleSet:
    """The rules of one text, which may hold several documents."""
    return of_files([RuleFile(source, text)])


@dataclass(frozen=True, slots=True)
class _Filter:
    """A Sigma filter: what is added to the condition of the rules that it names."""

    document: Document
    logsource: LogSource
    rules: frozenset[str] | None  # None: any
    condition: Condition
    digest: str

    def applies(self, rule: Plain, logsource: LogSource) -> bool:
        named = self.rules is None or not self.rules.isdisjoint(
            str(rule.get(key) or "").lower() for key in ("id", "name", "title")
        )
        mine = (self.logsource.category, self.logsource.product, self.logsource.service)
        theirs = (logsource.category, logsource.product, logsource.service)
        return named and all(want is None or want == have for want, have in zip(mine, theirs, strict=True))


@dataclass(slots=True)
class _Found:
    """What the files held, on its way to becoming rules."""

    rules: list[Document] = field(default_factory=list)
    filters: list[Document] = field(default_factory=list)
    placeholders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, error: RuleError, document: Document | None = None) -> None:
        where = error.where or (document.where if document else "")
        self.refused.append(Refusal(where, document.title if document else "", error.what))


def of_files(files: Iterable[RuleFile]) -> RuleSet:
    """The rules of files that have been read."""
    return of_documents(document for file in files for document in _collected(documents(file)))


def of_documents(given: Iterable[Document | RuleError]) -> RuleSet:
    """The rules of documents; an error among them is a refusal."""
    found = _Found()
    for document in given:
        if isinstance(document, RuleError):
            found.refuse(document)
        else:
            _sort(document, found)
    rules = tuple(_compiled(found))
    return RuleSet(rules, tuple(found.refused))


def _collected(parts: Iterable[Document | RuleError]) -> Iterator[Document | RuleError]:
    """Documents of a rule collection, with what `action: global` and `repeat` add to them."""
    common: Plain = {}
    last: Plain = {}
    for part in parts:
        if isinstance(part, RuleError):
            yield part
            continue
        action = part.data.get("action")
        data = {key: value for key, value in part.data.items() if key != "action"}
        if action == "global":
            common = data
        elif action == "reset":
            common = {}
        elif action in (None, "repeat"):
            last = _merged(last if action else common, data)
            yield replace(part, data=last)
        else:
            yield RuleError(f"unknown action {action!r} of a rule collection", where=part.at("action"))


def _merged(base: Plain, over: Plain) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _sort(document: Document, found: _Found) -> None:
    data = document.data
    try:
        if "filter" in data:
            found.filters.append(document)
        elif is_pipeline(data):
            Placeholders(found.placeholders).learn(data)
        elif "detection" in data or "correlation" in data:
            found.rules.append(document)
        else:
            raise RuleError("not a Sigma rule: it has no detection")
    except RuleError as error:
        found.refuse(error, document)


def _compiled(found: _Found) -> Iterator[Rule]:
    filters = list(_each(found, found.filters, lambda document: _filter(document, found.placeholders)))
    yield from _each(found, found.rules, lambda document: _rule(document, filters, found.placeholders))


def _each(found: _Found, given: Iterable[Document], made_of: Callable[[Document], Made]) -> Iterator[Made]:
    """What is made of each document; one of which nothing can be made is refused, and stops none of the rest."""
    for document in given:
        try:
            yield made_of(document)
        except RuleError as error:
            found.refuse(error, document)
        except RecursionError:
            found.refuse(RuleError("nested too deeply"), document)
        except Exception as error:  # noqa: BLE001  whatever pySigma makes of one
            found.refuse(RuleError(f"pySigma cannot parse it: {type(error).__name__}: {error}"), document)


def _rule(document: Document, filters: Sequence[_Filter], known: Known) -> Rule:
    if "correlation" in document.data:
        return _correlation(document)
    logsource = _logsource(document)
    condition, filled = _condition(document, "detection", known)
    applied = [f for f in filters if f.applies(document.data, logsource)]
    if applied:
        condition = ConditionAND([condition, *(f.condition for f in applied)])  # type: ignore[list-item]
    scopes, sources = _scopes(document, logsource, condition)
    role, lowers = _role(document)
    rule = replace(_described(document), scopes=scopes, role=role, lowers=lowers)
    digest = "+".join((document.digest, *([filled] if filled else []), *(f.digest for f in applied)))
    return replace(rule, digest=digest, extra={**rule.extra, "logsource": str(logsource), "sources": sources})


def _correlation(document: Document) -> Rule:
    """A rule over other rules' matches. Which those are is settled when all rules have been loaded (`linking.py`)."""
    if "detection" in document.data:
        raise RuleError("it has both a detection and a correlation", where=document.at("correlation"))
    rule = _described(document)
    return replace(rule, extra={**rule.extra, linking.KEY: linking.encoded(correlations.parse(document))})


def _described(document: Document) -> Rule:
    """What a document says of itself."""
    data = document.data
    provenance = origin.of(document.origin)
    name = _text(data.get("name"))
    return Rule(
        id=_text(data.get("id")) or document.digest[:32],
        title=document.title,
        level=_level(data.get("level")),
        scopes=(),
        source=document.where,
        digest=document.digest,
        author=_text(data.get("author")),
        description=_text(data.get("description")),
        status=_text(data.get("status")),
        license=_text(data.get("license")) or provenance.license,
        link=_text(data.get("link")) or provenance.link,
        tags=_texts(data.get("tags")),
        references=_texts(data.get("references")),
        falsepositives=_texts(data.get("falsepositives")),
        extra=({"name": name} if name else {}) | _guide(document),
    )


def _scopes(document: Document, logsource: LogSource, condition: Condition) -> tuple[tuple[Scope, ...], str]:
    """What the rule reads, and by which vocabulary each table's fields are named."""
    try:
        sources = resolve(logsource, _event_ids(document.data.get("detection")))
    except RuleError as error:
        raise RuleError(error.what, where=document.at("logsource")) from None
    try:
        found = [(one, source) for source in sources if (one := scope(condition, source))]
    except FieldError as error:
        raise RuleError(error.what, where=document.at(error.field)) from None
    if not found:
        raise RuleError("its condition can never hold", where=document.at("detection"))
    named = dict.fromkeys(f"{source.table}:{source.vocabulary}" for _, source in found)
    return tuple(one for one, _ in found), " ".join(named)


def _logsource(document: Document) -> LogSource:
    given = document.data.get("logsource")
    if not isinstance(given, Mapping):
        raise RuleError("it has no logsource", where=document.at("logsource"))
    parts = {name: given.get(name) for name in ("category", "product", "service")}
    for name, value in parts.items():
        if value is not None and not isinstance(value, str):
            raise RuleError(f"its {name} is not a text", where=document.at(name))
    if not any(parts.values()):
        raise RuleError("its logsource is empty", where=document.at("logsource"))
    return LogSource(**parts)


def _condition(document: Document, section: str, known: Known) -> tuple[Condition, str]:
    """The parsed condition of a `detection` or a `filter`, and the digest of the placeholders' values in it.

    Several conditions are alternatives.
    """
    given = document.data.get(section)
    if not isinstance(given, Mapping):
        raise RuleError(f"its {section} is not a mapping", where=document.at(section))
    texts = given.get("condition")
    conditions = [texts] if isinstance(texts, str) else texts
    if not isinstance(conditions, list) or not conditions:
        raise RuleError("it has no condition", where=document.at(section))
    values = Placeholders(known)
    detections = {
        str(name): _detection(document, str(name), definition, values)
        for name, definition in given.items()
        if name not in ("condition", "timeframe", *(("rules",) if section == "filter" else ()))
    }
    if "timeframe" in given:
        raise RuleError("a timeframe needs a correlation rule", where=document.at("timeframe"))
    try:
        whole = SigmaDetections(detections, conditions, policy=_POLICY)
        parsed = [_parsed(document, text, whole) for text in conditions]
    except SigmaError as error:
        raise RuleError(f"its condition is wrong: {error.args[0]}", where=document.at("condition")) from None
    whole_condition = parsed[0] if len(parsed) == 1 else ConditionOR(parsed)  # type: ignore[arg-type]
    return whole_condition, values.digest()


def _parsed(document: Document, text: object, whole: SigmaDetections) -> Condition:
    if not isinstance(text, str):
        raise RuleError("its condition is not a text", where=document.at("condition"))
    if len(text) > MAX_CONDITION or text.count("(") > MAX_PARENTHESES:
        raise RuleError(
            f"its condition has more than {MAX_CONDITION:,} characters or {MAX_PARENTHESES} parentheses",
            where=document.at("condition"),
        )
    parsed = SigmaCondition(" ".join(text.split()), whole).parsed
    if parsed is None:
        raise RuleError("its condition is empty", where=document.at("condition"))
    return parsed


def _detection(document: Document, name: str, definition: object, values: Placeholders) -> SigmaDetection:
    try:
        return SigmaDetection.from_definition(values.fill(definition), policy=_POLICY)  # type: ignore[arg-type]
    except SigmaError as error:
        raise RuleError(f"{name}: {error.args[0] if error.args else error}", where=document.at(name)) from None


def _filter(document: Document, known: Known) -> _Filter:
    given = document.data["filter"]
    if not isinstance(given, Mapping):
        raise RuleError("its filter is not a mapping", where=document.at("filter"))
    named = given.get("rules")
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list):
        raise RuleError("a filter names its `rules`, or `any`", where=document.at("filter"))
    names = frozenset(str(name).lower() for name in listed)
    everything = not names or names == {"any"}
    condition, filled = _condition(document, "filter", known)
    digest = "+".join((document.digest, *([filled] if filled else [])))
    return _Filter(document, _logsource(document), None if everything else names, condition, digest)


def _event_ids(detection: object) -> Iterator[int]:
    """The event ids that a detection names, wherever in it."""
    if isinstance(detection, Mapping):
        for key, value in detection.items():
            if str(key).partition("|")[0] in ("EventID", "EventId"):
                yield from (int(v) for v in (value if isinstance(value, list) else [value]) if _is_number(v))
            else:
                yield from _event_ids(value)
    elif isinstance(detection, list):
        for item in detection:
            yield from _event_ids(item)


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdecimal())


def _role(document: Document) -> tuple[Role, int]:
    """Our own attribute: `perilune: {role: context, lowers: 30}` marks a recognised legitimate use."""
    given = document.data.get("perilune")
    if given is None:
        return Role.DETECTION, 0
    where = document.at("perilune")
    if not isinstance(given, Mapping) or not given.keys() <= {"role", "lowers", "guide"}:
        raise RuleError("its `perilune` takes `role`, `lowers` and `guide`", where=where)
    role, lowers = given.get("role", Role.DETECTION), given.get("lowers", 0)
    if role not in tuple(Role) or not isinstance(lowers, int) or not 0 <= lowers <= 100:
        raise RuleError("`role` is detection or context, `lowers` is 0 to 100", where=where)
    return Role(role), lowers


def _guide(document: Document) -> dict[str, str]:
    """The investigation guide that a finding is worked with: `perilune: {guide: t1059.011}`."""
    given = document.data.get("perilune")
    guide = given.get("guide") if isinstance(given, Mapping) else None
    return {"guide": guide} if isinstance(guide, str) else {}


def _level(value: object) -> Level:
    """The rule's level; medium where it says none or none that Sigma knows."""
    return Level.__members__.get(_text(value).upper(), Level.MEDIUM)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value if item is not None) if isinstance(value, list) else ()
