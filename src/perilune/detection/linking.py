"""Which rules a correlation refers to: found by name or id over everything that was loaded, without circles.

A rule that only correlations speak of is a part: it is matched, and is no finding of its own. A correlation that says
`generate: true` leaves its rules as they are; and the rules that come with Perilune are silenced by its own
correlations only, never by one from elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from perilune.detection.keys import fields_of
from perilune.errors import RuleError
from perilune.model.correlations import Correlation
from perilune.model.rules import Or, Refusal, Role, Rule, RuleSet, Scope

KEY = "correlation"  # of `Rule.extra`
MAX_CHAIN = 10  # correlations of correlations
MAX_BELOW = 2_000  # rules below one correlation, counted again for each set of names that their fields have


def encoded(correlation: Correlation) -> str:
    """A correlation as the text that its rule carries."""
    return msgspec.json.encode(correlation).decode()


@lru_cache(maxsize=2048)
def _decoded(text: str) -> Correlation:
    return msgspec.json.decode(text, type=Correlation)


def is_correlation(rule: Rule) -> bool:
    return KEY in rule.extra


def correlation_of(rule: Rule) -> Correlation:
    return _decoded(rule.extra[KEY])


def link(ruleset: RuleSet) -> RuleSet:
    """The rules with the parts among them known as such; correlations whose rules are not all there are refused."""
    if not any(map(is_correlation, ruleset.rules)):
        return ruleset
    links, wrong = _linked(ruleset.rules)
    silent = _silenced(ruleset.rules, links)
    kept = tuple(
        _with_role(_with_tables(rule, ruleset.rules, _below({number}, links)), number in silent)
        for number, rule in enumerate(ruleset.rules)
        if number not in wrong
    )
    refused = (Refusal(ruleset.rules[number].source, ruleset.rules[number].title, why) for number, why in wrong.items())
    return RuleSet(kept, (*ruleset.refused, *refused))


def members(rules: Sequence[Rule]) -> dict[int, tuple[int, ...]]:
    """By the number of each correlation that can be evaluated, the numbers of its rules, in its order."""
    return _linked(rules)[0] if any(map(is_correlation, rules)) else {}


def needed(rules: Sequence[Rule], chosen: set[int]) -> set[int]:
    """The rules that the chosen correlations need besides, those of their correlations too."""
    return _below(chosen, members(rules))


def _below(chosen: set[int], links: Mapping[int, tuple[int, ...]]) -> set[int]:
    found: set[int] = set()
    waiting = [number for number in chosen if number in links]
    while waiting:
        fresh = [number for number in links.get(waiting.pop(), ()) if number not in found]
        found.update(fresh)
        waiting += fresh
    return found - chosen


def _linked(rules: Sequence[Rule]) -> tuple[dict[int, tuple[int, ...]], dict[int, str]]:
    names = _Names(rules)
    links: dict[int, tuple[int, ...]] = {}
    wrong: dict[int, str] = {}
    for number, rule in enumerate(rules):
        if is_correlation(rule):
            try:
                links[number] = tuple(names.find(name, rule) for name in correlation_of(rule).rules)
            except RuleError as error:
                wrong[number] = error.what
    _refuse_circles(rules, links, wrong)
    for number in [n for n in links if n not in wrong]:
        try:
            _check_fields(rules, number, links)
        except RuleError as error:
            wrong[number] = error.what
    _refuse_above(rules, links, wrong)
    return {number: found for number, found in links.items() if number not in wrong}, wrong


@dataclass(slots=True)
class _Names:
    """Finds rules by id or name; the same file first, since a name need only be unique there."""

    rules: Sequence[Rule]
    known: dict[str, list[int]]

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.known = defaultdict(list)
        for number, rule in enumerate(rules):
            for name in {rule.id.lower(), rule.extra.get("name", "").lower()} - {""}:
                self.known[name].append(number)

    def find(self, name: str, asked_by: Rule) -> int:
        found = self.known.get(name.lower(), [])
        file = _file(asked_by)
        near = [number for number in found if _file(self.rules[number]) == file] or found
        if not near:
            raise RuleError(f"it refers to {name[:80]!r}, and no rule that was loaded has this name or id")
        if len(near) > 1:
            raise RuleError(f"it refers to {name[:80]!r}, and {len(near)} rules have this name or id")
        return near[0]


def _file(rule: Rule) -> str:
    return rule.source.rpartition(":")[0]


def _refuse_circles(rules: Sequence[Rule], links: Mapping[int, tuple[int, ...]], wrong: dict[int, str]) -> None:
    """Refuses what refers to itself, over others too, and what is a longer chain than is followed."""
    for number in links:
        way = _circle(number, links)
        if way:
            shown = " -> ".join(rules[n].extra.get("name") or rules[n].title for n in way[:6])
            wrong[number] = f"it refers to itself: {shown}"
    for number in [n for n in links if n not in wrong]:
        if _depth(number, links, MAX_CHAIN + 1) > MAX_CHAIN and wrong.keys().isdisjoint(_below({number}, links)):
            wrong[number] = f"it is a chain of more than {MAX_CHAIN} correlations"


def _circle(start: int, links: Mapping[int, tuple[int, ...]]) -> list[int]:
    """The way from a correlation back to itself, or nothing."""
    came: dict[int, int] = {}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for below in links.get(here, ()):
            if below == start:
                way = [here]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return [*reversed(way), start]
            if below not in came:
                came[below] = here
                waiting.append(below)
    return []


def _depth(number: int, links: Mapping[int, tuple[int, ...]], most: int) -> int:
    """How many correlations stand above one another; stops looking at `most`."""
    level, depth = {number}, 0
    while level and depth < most:
        depth += 1
        level = {below for n in level for below in links.get(n, ()) if below in links}
    return depth


def _refuse_above(rules: Sequence[Rule], links: Mapping[int, tuple[int, ...]], wrong: dict[int, str]) -> None:
    """A correlation of one that was refused cannot be evaluated either."""
    changed = True
    while changed:
        changed = False
        for number, below in links.items():
            broken = next((n for n in below if n in wrong), None)
            if number not in wrong and broken is not None:
                wrong[number] = f"it refers to {rules[broken].title!r}, which was refused"
                changed = True


def _check_fields(rules: Sequence[Rule], number: int, links: Mapping[int, tuple[int, ...]]) -> None:
    """Each field must have a column in at least one table of each rule that is not a correlation."""
    one = correlation_of(rules[number])
    if one.kind.needs_number and any(member in links for member in links[number]):
        raise RuleError(f"a {one.kind} computes with events, not with correlations")
    for name, member in zip(one.rules, links[number], strict=True):
        for leaf, field_names in leaf_fields(rules, number, links, member, name):
            for field in field_names:
                if not any(fields_of(leaf, field, scope.table) for scope in leaf.scopes):
                    raise RuleError(f"no column holds the field {field[:80]!r} of {leaf.title!r}")


def leaf_fields(
    rules: Sequence[Rule], number: int, links: Mapping[int, tuple[int, ...]], member: int, name: str
) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """The rules below one member that match rows, each with its own names of the group's and counted fields."""
    one = correlation_of(rules[number])
    waiting = [(member, tuple(alias_of(one, field, name) for field in (*one.group_by, *one.fields)))]
    seen = set(waiting)
    while waiting:
        here, asked = waiting.pop()
        if here not in links:
            yield rules[here], asked
            continue
        inner = correlation_of(rules[here])
        for below, reference in zip(links[here], inner.rules, strict=True):
            step = (below, tuple(alias_of(inner, field, reference) for field in asked))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
        if len(seen) > MAX_BELOW:
            raise RuleError(f"more than {MAX_BELOW:,} rules are below it")


def alias_of(one: Correlation, field: str, reference: str) -> str:
    """The field that an alias stands for in the rule of that reference; a field that is none stands for itself."""
    fields = {name.lower(): own for name, own in one.aliases.get(field, {}).items()}
    return fields.get(reference.lower(), field)


def _silenced(rules: Sequence[Rule], links: Mapping[int, tuple[int, ...]]) -> set[int]:
    """The rules that are only parts of correlations."""
    named: set[int] = set()
    shown: set[int] = set()
    for number, below in links.items():
        generate = correlation_of(rules[number]).generate
        for one in below:
            foreign = rules[one].source.startswith("pack:") and not rules[number].source.startswith("pack:")
            (shown if generate or foreign else named).add(one)
    return named - shown


def _with_role(rule: Rule, silent: bool) -> Rule:
    return replace(rule, role=Role.PART) if silent and rule.role is Role.DETECTION else rule


def _with_tables(rule: Rule, rules: Sequence[Rule], below: Iterable[int]) -> Rule:
    """A correlation reads what its rules read; by itself it holds on no row."""
    if not is_correlation(rule):
        return rule
    tables = sorted({scope.table for number in below for scope in rules[number].scopes})
    return replace(rule, scopes=tuple(Scope(table, Or(())) for table in tables))
