"""Matches that only mean something together become findings: correlations over all tables and hosts of a run.

A correlation's finding stands on each host that has a part in it, at the last of that host's events, so that it comes
into the case of what it is about; it names the events of all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import orjson
import pyarrow as pa

from perilune import judging
from perilune.detection import correlate, linking, matching
from perilune.detection.matched import Places
from perilune.detection.oracle import Explanation
from perilune.judging import Event, Hits, Position
from perilune.model.correlations import Correlated, Correlation
from perilune.model.findings import Context, Finding, Judged, Member
from perilune.model.rules import Evidence, Role, Rule, RuleSet
from perilune.model.tables import COLUMNS, EventRef, Table
from perilune.store.spool import Spool

MAX_HOSTS = 20  # that one correlation makes a finding on
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_OF = ("ProcessCommandLine", "RemoteUrl", "RemoteIP", "XQueryName", "RegistryKey", "XMessage", "FolderPath")


@dataclass(frozen=True, slots=True)
class _Matches:
    """The matches of a run, as correlations ask for them."""

    hits: Hits
    spool: Spool

    def places(self, rule: Rule) -> Mapping[str, Places]:
        return self.hits.places(rule)

    def rows(self, table: str, places: Places, columns: Sequence[str]) -> pa.Table:
        return self.spool.take(table, places.tolist(), columns).data


def correlated(judged: Judged, rules: Sequence[Rule], hits: Hits, spool: Spool) -> Judged:
    """The findings with those of correlations, and what of these was left out."""
    if not any(map(linking.is_correlation, rules)):
        return judged
    result = correlate.run(rules, _Matches(hits, spool))
    positions = dict.fromkeys((p.table, p.row) for one in result.found for p, _ in one.shown)
    events = judging.fetch(positions, spool)
    uses, _ = hits.known_uses() if result.found else ({}, set())
    known = {position: judging.contexts_on(uses.get(position, ()), position, events) for position in positions}
    found = {f.id: f for one in result.found for f in _findings(one, events, known)}
    cut = {**judged.cut, **result.cut}
    return replace(
        judged, findings=(*judged.findings, *found.values()), cut=cut, unpaired=result.left_out + hits.left_out
    )


def _findings(
    one: Correlated, events: Mapping[Position, Event], known: Mapping[Position, Sequence[Context]]
) -> Iterator[Finding]:
    members = [_member(rule, *events[place.table, place.row]) for place, rule in one.shown]
    uses = {use.rule_id: use for place, _ in one.shown for use in known[place.table, place.row]}
    anchors: dict[str, tuple[Position, Member]] = {}
    for (place, _), member in zip(one.shown, members, strict=True):
        anchors[member.host] = (place.table, place.row), member
    evidence = (*_alike(one), *_parts(one, members))
    first = members[0]
    for host, (position, anchor) in list(anchors.items())[:MAX_HOSTS]:
        base = judging.make_finding(judging.hit_on(one.rule, position, events, evidence), list(uses.values()))
        identity = [one.rule.id, host, dict(one.group), first.time, first.event.table, first.text]
        yield replace(
            base,
            id=hashlib.sha256(orjson.dumps(identity)).hexdigest()[:24],
            host=host,
            time=anchor.time,
            group=dict(one.group),
            members=tuple(members),
            members_cut=max(0, one.events - len(members)),
        )


def _member(rule: Rule, event: EventRef, row: Mapping[str, object]) -> Member:
    text = next((str(row[name]) for name in _TEXT_OF if row.get(name)), str(row.get("ActionType") or event.table))
    return Member(rule.id, rule.title, event, judging.time_of(row), judging.host_of(row, event), text[:400])


def _alike(one: Correlated) -> Iterator[Evidence]:
    for name, value in one.group:
        yield Evidence(name, "", value, "is the same in all")


def _parts(one: Correlated, members: Sequence[Member]) -> Iterator[Evidence]:
    """What was measured, and each rule's share of the events that are named."""
    span = f"{_clock(one.first)} to {_clock(one.last)}"
    times = "" if one.windows == 1 else f", in the strongest of {one.windows:,} windows of time"
    limit = timedelta(microseconds=linking.correlation_of(one.rule).span)
    yield Evidence("within " + str(limit), "", span, f"{_number(one.value)} {one.measured}{times}")
    by_rule: dict[str, list[Member]] = {}
    for member in members:
        by_rule.setdefault(member.rule_title, []).append(member)
    for title, found in by_rule.items():
        more = "" if len(found) == 1 else f", and {len(found) - 1:,} more of those named"
        yield Evidence(title, "", found[0].text, f"at {found[0].time:%Y-%m-%d %H:%M:%S}{more}")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _clock(microseconds: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=microseconds):%Y-%m-%d %H:%M:%S}"


def try_out(rules: RuleSet, events: Iterable[tuple[str, Mapping[str, object]]]) -> tuple[Finding, ...]:
    """What correlations find in these rows alone: for the events that stand beside a rule."""
    by_table: dict[str, list[dict[str, object]]] = {}
    for number, (table, row) in enumerate(events, start=1):
        by_table.setdefault(table, []).append({"XSourceFile": "events", "XSourceRecord": number, **row})
    batches = []
    for name, rows in by_table.items():
        columns = dict.fromkeys(column for row in rows for column in row)
        batches.append(Table(name, pa.Table.from_pylist(rows, schema=pa.schema([(c, COLUMNS[c]) for c in columns]))))
    hits, spool = _matched(rules, batches)
    return correlated(Judged((), (), {}), rules.rules, hits, spool).findings


def _matched(rules: RuleSet, batches: Iterable[Table]) -> tuple[Hits, Spool]:
    spool, hits = Spool(), Hits(rules.rules)
    plain = RuleSet(tuple(rule for rule in rules.rules if not linking.is_correlation(rule)))
    for batch in batches:
        hits.add(batch.name, spool.add(batch), matching.match(plain, batch))
    return hits, spool


def explain(rules: RuleSet, rule: Rule, batches: Iterable[Table], limit: int) -> list[tuple[EventRef, Explanation]]:
    """The strongest windows of a correlation, whether it holds in them or not, each with its events."""
    hits, spool = _matched(rules, batches)
    source = _Matches(hits, spool)
    held = {(one.rule.id, one.group, one.last) for one in correlate.run(rules.rules, source).found}
    asked = linking.correlation_of(rule)
    loose = replace(rule, role=Role.DETECTION, extra={**rule.extra, linking.KEY: linking.encoded(_loose(asked))})
    every = tuple(loose if one is rule else one for one in rules.rules)
    nearest = [one for one in correlate.run(every, source).found if one.rule is loose]
    nearest.sort(key=lambda one: ((one.rule.id, one.group, one.last) not in held, -one.value))
    events = judging.fetch({(p.table, p.row) for one in nearest[:limit] for p, _ in one.shown}, spool)
    found = []
    for one in nearest[:limit]:
        members = [_member(by, *events[place.table, place.row]) for place, by in one.shown]
        parts = tuple(Explanation(f"{m.time:%H:%M:%S} {m.rule_title}", True, m.text) for m in members)
        did = any(key[1] == one.group and one.first <= key[2] <= one.last for key in held)
        found.append((members[-1].event, Explanation(rule.title, did, None, (_window(one, asked, did, parts),))))
    return found


def _loose(one: Correlation) -> Correlation:
    """The same without its condition, so that every window is seen."""
    return replace(one, bounds=(), wanted=())


def _window(one: Correlated, asked: Correlation, held: bool, parts: tuple[Explanation, ...]) -> Explanation:
    wanted = " and ".join(bound.words for bound in asked.bounds) or "a condition in words"
    alike = ", ".join(f"{name} {value}" for name, value in one.group) or "all together"
    span = f"{_clock(one.first)} to {_clock(one.last)}"
    return Explanation(
        f"{alike}: {_number(one.value)} {one.measured}, asked for is {wanted}; {span}", held, None, parts
    )
