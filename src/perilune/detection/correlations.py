"""A Sigma document with `correlation:` becomes a rule that is evaluated over other rules' matches.

pySigma parses the section; what it does not look at (ranges, budgets, aliases without rules) is looked at here. The
parsed correlation travels in `Rule.extra`, as text, so that compiled rules can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionOR,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from perilune.detection.documents import Document, Plain
from perilune.errors import RuleError
from perilune.model.correlations import AND, DAY, NOT, OR, Bound, Correlation, Kind
from perilune.model.rules import Compare

MAX_SPAN = 3_660 * DAY
MAX_RULES = 100
MAX_FIELDS = 20  # of `group-by`, or counted
MAX_WORDS = 2_000  # characters of a condition in words
MAX_PARENTHESES = 20
_KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
_OPERATORS = frozenset(op.value for op in Compare)


def parse(document: Document) -> Correlation:
    """The correlation of a document. Raises `RuleError` with the place of what is wrong."""
    given = document.data["correlation"]
    if not isinstance(given, Mapping):
        raise RuleError("its correlation is not a mapping", where=_at(document, "correlation"))
    for key in given:
        if key not in _KEYS:
            raise RuleError(f"its correlation has an unknown {str(key)[:40]!r}", where=_at(document, str(key)))
    _check_budgets(document, given)
    bounds, fields, percentile = _condition(document, given)
    parsed = _parsed(document, given, bounds)
    found = Correlation(
        kind=Kind(parsed.type.name.lower()),
        rules=_rules(document, parsed),
        span=parsed.timespan.seconds * 1_000_000,
        group_by=tuple(dict.fromkeys(parsed.group_by or ())),
        aliases={a.alias: {r.reference: name for r, name in a.mapping.items()} for a in parsed.aliases},
        bounds=bounds,
        fields=fields,
        percentile=percentile,
        wanted=_wanted(parsed.condition),
        generate=parsed.generate,
    )
    return _checked(document, found)


def _at(document: Document, key: str) -> str:
    """Where a key of the section stands, or the section where it has none."""
    found = document.at(key)
    return found if found != document.where else document.at("correlation")


def _check_budgets(document: Document, given: Plain) -> None:
    """What is refused before pySigma sees it: shapes that it stumbles over, and too much of anything."""
    for name, most in (("rules", MAX_RULES), ("group-by", MAX_FIELDS)):
        value = given.get(name)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if len(listed) > most:
            raise RuleError(f"its {name} has more than {most} entries", where=_at(document, name))
        if not all(isinstance(item, str) and item for item in listed):
            raise RuleError(f"its {name} is a list of texts", where=_at(document, name))
    for name in ("type", "timespan"):
        if not isinstance(given.get(name), str):
            raise RuleError(f"its correlation has no {name}, or one that is not a text", where=_at(document, name))
    aliases = given.get("aliases")
    wrong = RuleError("its aliases give each alias the field of each rule", where=_at(document, "aliases"))
    if aliases is not None and not (isinstance(aliases, Mapping) and len(aliases) <= MAX_FIELDS):
        raise wrong
    for of_rules in (aliases or {}).values():
        if not isinstance(of_rules, Mapping) or not all(isinstance(v, str) for pair in of_rules.items() for v in pair):
            raise wrong


def _parsed(document: Document, given: Plain, bounds: tuple[Bound, ...]) -> SigmaCorrelationRule:
    """What pySigma makes of the section. It takes one comparison; of a range it is given the first."""
    section = dict(given)
    if bounds:
        kept = {key: value for key, value in given["condition"].items() if key not in _OPERATORS}  # type: ignore[attr-defined]
        section["condition"] = kept | {bounds[0].op.value: bounds[0].value}
    try:
        return SigmaCorrelationRule.from_dict({"title": "correlation", "correlation": section})
    except SigmaError as error:
        told = str(error.args[0] if error.args else error)
        raise RuleError(f"its correlation is wrong: {told}", where=_at(document, _key_of(told))) from None


def _key_of(told: str) -> str:
    """The key that a fault of pySigma's is about."""
    keys = ("timespan", "aliases", "generate", "condition", "type", "rules")
    return next((key for key in keys if key in told.lower()), "correlation")


def _condition(document: Document, given: Plain) -> tuple[tuple[Bound, ...], tuple[str, ...], int]:
    """The comparisons, the fields and the percentile of a condition that is a mapping."""
    condition = given.get("condition")
    where = _at(document, "condition")
    if condition is None:
        return (), (), 50
    if isinstance(condition, str):
        if len(condition) > MAX_WORDS or condition.count("(") > MAX_PARENTHESES or condition.count("not ") > 50:
            raise RuleError(f"its condition has more than {MAX_WORDS:,} characters or is too deep", where=where)
        return (), (), 50
    if not isinstance(condition, Mapping):
        raise RuleError("its condition is neither a mapping nor a text", where=where)
    bounds = tuple(_bound(str(key), value, where) for key, value in condition.items() if key in _OPERATORS)
    if not bounds:
        raise RuleError(f"its condition has none of {', '.join(sorted(_OPERATORS))}", where=where)
    field = condition.get("field")
    fields = [field] if isinstance(field, str) else [] if field is None else field
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS or not all(isinstance(f, str) and f for f in fields):
        raise RuleError("the field of its condition is a name, or a list of names", where=where)
    percentile = condition.get("percentile", 50)
    if not isinstance(percentile, int) or isinstance(percentile, bool) or not 0 <= percentile <= 100:
        raise RuleError("the percentile of its condition is a whole number from 0 to 100", where=where)
    return bounds, tuple(fields), percentile


def _bound(name: str, value: object, where: str) -> Bound:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        raise RuleError(f"{name} of its condition is not a number, or too large a one", where=where)
    return Bound(Compare(name), value)


def _rules(document: Document, parsed: SigmaCorrelationRule) -> tuple[str, ...]:
    condition = parsed.condition
    if parsed.rules:
        names = [reference.reference for reference in parsed.rules]
    elif isinstance(condition, SigmaExtendedCorrelationCondition):
        names = condition.get_referenced_rules()
    else:
        names = []
    if not names or len(names) > MAX_RULES:
        raise RuleError(f"it names no rule, or more than {MAX_RULES}", where=_at(document, "rules"))
    if len({name.lower() for name in names}) < len(names):
        raise RuleError("it names a rule twice", where=_at(document, "rules"))
    return tuple(names)


def _wanted(condition: object) -> tuple[str, ...]:
    return tuple(_reversed(condition.parsed)) if isinstance(condition, SigmaExtendedCorrelationCondition) else ()


def _reversed(node: CorrelationConditionItem | SigmaRuleReference) -> list[str]:
    """A condition in words, each operand before its sign."""
    if isinstance(node, SigmaRuleReference):
        return [node.reference]
    parts = [_reversed(part) for part in node.args]
    if len(parts) == 1:
        return [*parts[0], NOT]
    sign = AND if isinstance(node, CorrelationConditionAND) else OR
    assert isinstance(node, CorrelationConditionAND | CorrelationConditionOR)
    return [*parts[0], *(word for part in parts[1:] for word in (*part, sign))]


def _checked(document: Document, found: Correlation) -> Correlation:
    """The parts must fit each other."""
    if found.span > MAX_SPAN:
        raise RuleError(f"its timespan is longer than {MAX_SPAN // DAY:,} days", where=_at(document, "timespan"))
    if found.wanted and found.kind is Kind.TEMPORAL_ORDERED:
        raise RuleError(
            "an order is evaluated with a count, not with a condition in words", where=_at(document, "condition")
        )
    if found.kind.needs_number and len(found.fields) != 1:
        raise RuleError(f"a {found.kind} computes with one field", where=_at(document, "condition"))
    if found.fields and not found.kind.needs_field:
        raise RuleError(f"a {found.kind} counts no field", where=_at(document, "condition"))
    names = {name.lower() for name in found.rules}
    for alias, fields in found.aliases.items():
        for reference in fields:
            if reference.lower() not in names:
                raise RuleError(f"its alias {alias} names a rule that it does not refer to", where=_at(document, alias))
    if found.kind.counts_rules and not found.bounds and not found.wanted:
        return replace(found, bounds=(Bound(Compare.GTE, len(found.rules)),))
    return found
