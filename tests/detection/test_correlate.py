"""Correlations: the specification's words as cases, and the fast way held equal to the obvious one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.detection import correlate, linking, matching, oracle, sigma
from perilune.model.correlations import Correlated
from perilune.model.rules import Role, Rule, RuleSet
from perilune.model.tables import COLUMNS
from tests.detection import correlation_oracle
from tests.detection.correlation_oracle import Expected, Happened

START = datetime(2026, 11, 20, tzinfo=UTC)
MICRO = int(START.timestamp()) * 1_000_000
BASE = """
---
title: A
name: a
logsource: {category: process_creation}
detection: {s: {CommandLine|contains: a}, condition: s}
---
title: B
name: b
logsource: {category: process_creation}
detection: {s: {CommandLine|contains: b}, condition: s}
---
title: C
name: c
logsource: {category: network_connection}
detection: {s: {CommandLine|contains: c}, condition: s}
"""


class Rows:
    """Rows in memory, matched by the slow matcher."""

    def __init__(self, rows: Sequence[tuple[str, Mapping[str, object]]]) -> None:
        self.tables: dict[str, list[Mapping[str, object]]] = {}
        for table, row in rows:
            self.tables.setdefault(table, []).append(row)

    def places(self, rule: Rule) -> dict[str, np.ndarray]:
        found = {
            name: np.array([n for n, row in enumerate(rows) if oracle.rule_holds(rule, name, row)], np.int64)
            for name, rows in self.tables.items()
        }
        return {name: places for name, places in found.items() if len(places)}

    def rows(self, table: str, places: np.ndarray, columns: Sequence[str]) -> pa.Table:
        chosen = [self.tables[table][place] for place in places]
        names = [name for name in columns if any(name in row for row in chosen)]
        return pa.Table.from_pylist(chosen, schema=pa.schema([(name, COLUMNS[name]) for name in names]))


def event(
    seconds: float | None, text: str, *, user: str | None = "dana", value: object = None, **more: object
) -> tuple[str, dict[str, object]]:
    table = "DeviceNetworkEvents" if text == "c" else "DeviceProcessEvents"
    row: dict[str, object] = {
        "ProcessCommandLine" if table == "DeviceProcessEvents" else "InitiatingProcessCommandLine": text,
        "XUser": user,
        "LogonId": value,
    }
    if seconds is not None:
        row["Timestamp"] = START + timedelta(seconds=seconds)
    return table, {name: held for name, held in (row | more).items() if held is not None}


def load(text: str) -> RuleSet:
    return linking.link(sigma.parse(text, "test.yml"))


def rule_text(correlation: str, base: str = BASE) -> str:
    return f"title: T\nid: 7e1f6f4e-0000-4000-8000-000000000001\nlevel: high\ncorrelation:\n{correlation}\n{base}"


def found(correlation: str, *events: tuple[str, dict[str, object]]) -> list[Correlated]:
    ruleset = load(rule_text(correlation))
    assert not ruleset.refused, ruleset.refused
    return list(correlate.run(ruleset.rules, Rows(events)).found)


def spec(kind: str, rules: str, condition: str = "", span: str = "10s", group: str = "[User]") -> str:
    lines = [f"  type: {kind}", f"  rules: {rules}", f"  timespan: {span}", f"  group-by: {group}"]
    return "\n".join([*lines, f"  condition: {condition}"] if condition else lines)


COUNT = spec("event_count", "[a]", "{gte: 3}")


@pytest.mark.parametrize(
    ("times", "held"),
    [
        ((0, 5, 10), True),  # both edges of the window are inside
        ((0, 5, 10.000001), False),
        ((55, 61, 64), True),  # no fixed minutes
        ((10, 0, 5), True),  # any order
        ((0, 0, 0), True),
        ((0, 5), False),
        ((0, 8, 16, 24), False),
    ],
)
def test_a_window_slides_and_has_both_its_edges(times: Sequence[float], held: bool) -> None:
    assert bool(found(COUNT, *(event(t, "a") for t in times))) is held


def test_groups_are_apart_and_case_is_not() -> None:
    assert not found(COUNT, event(0, "a"), event(1, "a"), event(2, "a", user="eve"))
    (one,) = found(COUNT, event(0, "a"), event(1, "a", user="DANA"), event(2, "a"))
    assert one.group == (("User", "dana"),)
    assert (one.value, one.events, one.windows) == (3, 3, 1)


def test_what_has_no_group_or_no_time_is_in_no_window() -> None:
    assert not found(COUNT, event(0, "a"), event(1, "a"), event(2, "a", user=None), event(None, "a"))


def test_a_long_burst_is_one_finding_with_its_strongest_window() -> None:
    (one,) = found(COUNT, *(event(t, "a") for t in (0, 4, 8, 9, 12, 40)))
    assert (one.value, one.events, one.first, one.last) == (4, 5, MICRO, MICRO + 12_000_000)


def test_a_burst_has_no_tail_with_fewer_in_it() -> None:
    few = spec("event_count", "[a]", "{lt: 3}")
    assert not found(few, *(event(t, "a") for t in range(8)))
    assert found(few, event(0, "a"), event(100, "a"))


def test_ranges_hold_on_both_sides() -> None:
    between = spec("event_count", "[a]", "{gt: 1, lte: 3}")
    assert [bool(found(between, *(event(0, "a") for _ in range(n)))) for n in (1, 2, 3, 4)] == [
        False,
        True,
        True,
        False,
    ]


def test_an_event_of_two_rules_is_counted_once_and_is_both_in_a_proximity() -> None:
    assert found(spec("event_count", "[a, b]", "{gte: 2}"), event(0, "a"), event(1, "b"))
    assert not found(spec("event_count", "[a, b]", "{gte: 2}"), event(0, "ab"))
    assert found(spec("temporal", "[a, b]"), event(0, "ab"))


def test_order_matters_only_where_it_is_asked_for() -> None:
    backwards = (event(0, "b"), event(4, "a"))
    assert found(spec("temporal", "[a, b]"), *backwards)
    assert not found(spec("temporal_ordered", "[a, b]"), *backwards)
    assert found(spec("temporal_ordered", "[a, b]"), event(4, "b"), event(0, "a"))
    assert found(spec("temporal_ordered", "[a, b]"), event(4, "b"), event(4, "a")), "the same time is in order"


def test_tables_are_correlated_by_their_own_columns() -> None:
    network = ("DeviceNetworkEvents", {"Timestamp": START, "InitiatingProcessCommandLine": "c",
                                       "XInitiatingProcessUser": "dana", "RemoteIP": "203.0.113.9"})  # fmt: skip
    (one,) = found(spec("temporal_ordered", "[a, c]"), event(-3, "a"), network)
    assert [place.table for place, _ in one.shown] == ["DeviceProcessEvents", "DeviceNetworkEvents"]


def test_aliases_name_the_field_of_each_rule() -> None:
    aliases = "\n  aliases:\n    who: {a: User, b: ParentUser}"
    text = spec("temporal", "[a, b]", group="[who]") + aliases
    other = event(1, "b", user="root", XInitiatingProcessUser="dana")
    assert found(text, event(0, "a"), other)
    assert not found(spec("temporal", "[a, b]"), event(0, "a"), other)


def test_a_condition_in_words() -> None:
    text = spec("temporal", "[a, b]", "a and not b")
    assert found(text, event(0, "a"), event(30, "b"))
    assert not found(text, event(0, "a"), event(3, "b"))


def test_a_copy_of_a_log_counts_nothing_twice() -> None:
    here = [event(0, "a", XSourceFile=f, XSourceRecord=n) for f in ("x.log", "copy.log") for n in (1, 2)]
    assert not found(COUNT, *here)
    assert found(COUNT, *here, event(0, "a", XSourceFile="x.log", XSourceRecord=3))


def test_hosts_without_a_name_are_their_folders() -> None:
    by_host = spec("event_count", "[a]", "{gte: 2}", group="[Computer]")
    assert not found(by_host, event(0, "a", XSourceFile="h1/x.log"), event(1, "a", XSourceFile="h2/x.log"))
    (one,) = found(by_host, event(0, "a", XSourceFile="C:\\h1\\x.log"), event(1, "a", XSourceFile="c:/h1/y.log"))
    assert one.group == (("Computer", "unknown (C:/h1)"),)


CHAIN = """
title: Then
correlation:
  type: temporal_ordered
  rules: [many, b]
  group-by: [User]
  timespan: 1m
---
title: Many
name: many
correlation:
  type: event_count
  rules: [a]
  group-by: [Computer]
  timespan: 10s
  condition: {gte: 3}
"""


def test_correlations_of_correlations_have_their_own_group() -> None:
    ruleset = load(CHAIN + BASE)
    assert [rule.role for rule in ruleset.rules] == [Role.DETECTION, Role.PART, Role.PART, Role.PART, Role.DETECTION]
    many = [event(t, "a", user=u, DeviceName="h") for t, u in ((0, "dana"), (1, "eve"), (2, "eve"), (3, "eve"))]
    held = correlate.run(ruleset.rules, Rows([*many, event(20, "b", user="dana", DeviceName="other")])).found
    assert [(one.rule.title, one.group) for one in held] == [("Then", (("User", "dana"),))]
    assert {rule.title for _, rule in held[0].shown} == {"A", "B"}
    assert not correlate.run(ruleset.rules, Rows([*many, event(20, "b", user="mallory")])).found
    assert not correlate.run(ruleset.rules, Rows([event(-1, "b", user="dana"), *many])).found
    # the success stands in the midst of the failures: they were many by then
    assert correlate.run(
        ruleset.rules, Rows([*many, event(2.5, "b", user="dana"), event(9, "a", DeviceName="h")])
    ).found


def test_parts_are_silent_unless_they_are_generated() -> None:
    assert [rule.role for rule in load(rule_text(COUNT)).rules][:2] == [Role.DETECTION, Role.PART]
    assert load(rule_text(COUNT + "\n  generate: true")).rules[1].role is Role.DETECTION
    both = rule_text(COUNT) + "---\n" + rule_text(COUNT + "\n  generate: true", base="").replace("0001", "0002")
    assert all(rule.role is Role.DETECTION for rule in load(both).rules if rule.title in ("T", "A"))
    refused = load(rule_text(spec("event_count", "[a, nowhere]", "{gte: 3}")))
    assert refused.rules[0].role is Role.DETECTION, "what is refused silences nothing"


def test_a_rule_of_the_pack_is_not_silenced_from_outside() -> None:
    base = sigma.parse(BASE, "pack:sigma/x.yml").rules
    own = sigma.parse(rule_text(COUNT, base=""), "own.yml").rules
    linked = linking.link(RuleSet((*base, *own)))
    assert [rule.role for rule in linked.rules] == [Role.DETECTION] * 4


def test_the_matcher_lets_correlations_be() -> None:
    ruleset = load(rule_text(COUNT))
    assert list(matching.match(RuleSet(ruleset.rules[:1]), _table())) == []


def _table() -> Any:
    from tests.build import table

    return table("DeviceProcessEvents", {"ProcessCommandLine": "a"})


STEP = """
title: {0}
name: {0}
correlation:
  type: temporal
  rules: [{1}, b]
  group-by: [User]
  timespan: 1m
---
"""
WRONG = {
    "no type": "  rules: [a]\n  timespan: 1m\n  condition: {gte: 1}",
    "type is a list": "  type: [event_count]\n  rules: [a]\n  timespan: 1m\n  condition: {gte: 1}",
    "unknown type": spec("event_counts", "[a]", "{gte: 1}"),
    "no rules": "  type: event_count\n  timespan: 1m\n  condition: {gte: 1}",
    "rules are no texts": spec("event_count", "[{a: 1}]", "{gte: 1}"),
    "a rule twice": spec("temporal", "[a, A]"),
    "too many rules": spec("temporal", str([f"r{n}" for n in range(101)])),
    "nobody has the name": spec("event_count", "[nobody]", "{gte: 1}"),
    "no timespan": "  type: event_count\n  rules: [a]\n  condition: {gte: 1}",
    "timespan without unit": spec("event_count", "[a]", "{gte: 1}", span="'5'"),
    "timespan of nothing": spec("event_count", "[a]", "{gte: 1}", span="0s"),
    "huge timespan": spec("event_count", "[a]", "{gte: 1}", span="9" * 30 + "y"),
    "thousands of fields": spec("event_count", "[a]", "{gte: 1}", group=str([f"f{n}" for n in range(5000)])),
    "no such field": spec("event_count", "[a]", "{gte: 1}", group="[Nonsense]"),
    "no condition": spec("event_count", "[a]"),
    "empty condition": spec("event_count", "[a]", "{}"),
    "condition is a list": spec("event_count", "[a]", "[3]"),
    "no number": spec("event_count", "[a]", "{gte: many}"),
    "not a finite number": spec("event_count", "[a]", "{gte: .inf}"),
    "too large a number": spec("event_count", "[a]", "{gte: 1" + "0" * 400 + "}"),
    "unknown operator": spec("event_count", "[a]", "{gte: 1, about: 3}"),
    "value without a field": spec("value_count", "[a]", "{gte: 1}"),
    "sum of two fields": spec("value_sum", "[a]", "{gte: 1, field: [User, LogonId]}"),
    "percentile beyond": spec("value_percentile", "[a]", "{gte: 1, field: LogonId, percentile: 101}"),
    "words over counts": spec("event_count", "[a, b]", "a and b"),
    "words over an order": spec("temporal_ordered", "[a, b]", "a and b"),
    "words that do not parse": spec("temporal", "[a, b]", "a and and b"),
    "words too deep": spec("temporal", "[a, b]", "(" * 30 + "a" + ")" * 30),
    "words of nots": spec("temporal", "[a, b]", "not " * 400 + "a and b"),
    "aliases of others": spec("temporal", "[a, b]", group="[x]") + "\n  aliases: {x: {z: User}}",
    "aliases are no mapping": spec("temporal", "[a, b]") + "\n  aliases: [x]",
    "alias of numbers": spec("temporal", "[a, b]") + "\n  aliases: {x: {a: 3}}",
    "generate is a word": spec("temporal", "[a, b]") + "\n  generate: maybe",
    "unknown key": spec("temporal", "[a, b]") + "\n  ordered: true",
    "a text": "  hello",
}


@pytest.mark.parametrize("correlation", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_with_its_place(correlation: str) -> None:
    ruleset = load(rule_text(correlation))
    assert [refusal.title for refusal in ruleset.refused] == ["T"]
    (refusal,) = ruleset.refused
    assert refusal.source.startswith("test.yml:"), refusal
    assert refusal.reason
    assert "\n" not in refusal.reason
    assert len(refusal.reason) < 400


def test_circles_are_refused_and_the_rest_stays() -> None:
    below = {"x": "y, a", "y": "z, a", "z": "x, a", "w": "x, a", "ok": "a"}
    ruleset = load("".join(STEP.format(*pair) for pair in below.items()) + BASE)
    reasons = {refusal.title: refusal.reason for refusal in ruleset.refused}
    assert reasons["x"] == "it refers to itself: x -> y -> z -> x"
    assert "which was refused" in reasons["w"]
    assert [rule.title for rule in ruleset.rules] == ["ok", "A", "B", "C"]


def test_a_ladder_of_correlations_ends() -> None:
    """Each level multiplies the ways down by six."""
    text = ""
    for level in range(6):
        below = ", ".join([f"r{level - 1}_{n}" for n in range(6)] if level else ["a", "c"])
        text += "".join(STEP.format(f"r{level}_{n}", below) for n in range(6))
    ruleset = load(text + BASE)
    assert not ruleset.refused
    events = [event(n, "ab", user="u") for n in range(5)]
    assert not correlate.run(ruleset.rules, Rows(events)).found
    assert correlate.run(ruleset.rules, Rows([*events, _connection()])).found


def _connection() -> tuple[str, dict[str, object]]:
    row = {"Timestamp": START, "InitiatingProcessCommandLine": "c", "XInitiatingProcessUser": "u"}
    return "DeviceNetworkEvents", row


def test_too_long_a_chain_is_refused() -> None:
    text = "".join(STEP.format(f"l{n}", f"l{n - 1}" if n else "a") for n in range(40))
    reasons = [refusal.reason for refusal in load(text + BASE).refused]
    assert len(reasons) == 30
    assert any("more than 10" in reason for reason in reasons)


def test_a_name_is_looked_for_in_its_own_file_first() -> None:
    other = sigma.parse(BASE, "other.yml")
    mine = sigma.parse(rule_text(COUNT), "mine.yml")
    elsewhere = sigma.parse(rule_text(COUNT, base=""), "third.yml")
    linked = linking.link(RuleSet((*other.rules, *mine.rules, *elsewhere.rules)))
    (refusal,) = linked.refused
    assert "2 rules have this name" in refusal.reason
    assert [rule.source.split(":")[0] for rule in linked.rules if rule.role is Role.PART] == ["mine.yml"]


KINDS = st.sampled_from([
    ("event_count", ""), ("value_count", "field: number"), ("temporal", ""), ("temporal_ordered", ""),
    ("value_sum", "field: number"), ("value_avg", "field: number"), ("value_median", "field: number"),
    ("value_percentile", "field: number, percentile: 80"), ("value_percentile", "field: number, percentile: 0"),
])  # fmt: skip
BOUNDS = st.lists(
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte", "eq", "neq"]), st.integers(-1, 4)), min_size=1, max_size=2,
    unique_by=lambda pair: pair[0],
)  # fmt: skip
HAPPENED = st.lists(
    st.builds(
        Happened,
        time=st.integers(0, 30),
        rules=st.sampled_from(["", "a", "b", "c", "ab"]).map(lambda text: frozenset("abc".index(one) for one in text)),
        group=st.sampled_from([None, "u", "v"]),
        value=st.sampled_from([None, -1, 0, 1, 2, 3]),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(happened=HAPPENED, kind=KINDS, bounds=BOUNDS, span=st.integers(1, 12), words=st.booleans())
def test_the_fast_way_is_the_obvious_way(
    happened: list[Happened], kind: tuple[str, str], bounds: list[tuple[str, int]], span: int, words: bool
) -> None:
    inner = ", ".join([f"{op}: {value}" for op, value in bounds] + ([kind[1]] if kind[1] else []))
    condition = "a and (b or not c)" if words and kind[0] == "temporal" else f"{{{inner}}}"
    numbers = "\n  aliases:\n    number: {a: LogonId, b: LogonId, c: InitiatingProcessLogonId}"
    ruleset = load(rule_text(spec(kind[0], "[a, b, c]", condition, span=f"{span}s") + numbers))
    assert not ruleset.refused
    one = linking.correlation_of(ruleset.rules[0])
    rows = []
    for h in happened:
        text = "".join("abc"[rule] for rule in sorted(h.rules)) or "-"
        user, time = {"XUser": h.group} if h.group else {}, {"Timestamp": START + timedelta(seconds=h.time)}
        if text == "c":
            value = {"InitiatingProcessLogonId": h.value} if h.value is not None else {}
            rows.append(("DeviceNetworkEvents", time | user | value | {"InitiatingProcessCommandLine": "c"}))
        else:
            rows.append(event(h.time, text, user=h.group, value=h.value))
    held = correlate.run(ruleset.rules, Rows(rows)).found
    assert sorted(map(_plain, held), key=str) == sorted(
        (_seconds(e) for e in correlation_oracle.correlate(happened, _in_seconds(one))), key=str
    )


def _in_seconds(one: Any) -> Any:
    from dataclasses import replace

    return replace(one, span=one.span // 1_000_000)


def _plain(one: Correlated) -> Expected:
    return Expected(one.group[0][1], one.events, one.windows, one.first, one.last, round(float(one.value), 9))


def _seconds(e: Expected) -> Expected:
    return Expected(
        e.group, e.events, e.windows, MICRO + e.first * 1_000_000, MICRO + e.last * 1_000_000, round(float(e.value), 9)
    )
