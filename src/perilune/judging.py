"""Matches become findings: all are counted, a bounded choice is looked at closely and weighed.

Matches are kept as numbers (which rule, which row) while a hunt runs, because a noisy rule may hit a million rows;
rows are fetched back from the spool only for those that become findings.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import orjson

from perilune.decoding import Decoder
from perilune.detection import matching
from perilune.model.findings import Context, Explained, Finding, Judged
from perilune.model.rules import Evidence, Match, Role, Rule
from perilune.model.tables import EventRef
from perilune.store.spool import Spool
from perilune.triage import verdict

MAX_FINDINGS = 10_000  # made in one hunt; heavier rules first
MAX_PER_RULE = 500
MAX_PARTS = 2_000_000  # matches kept of a rule that only correlations use, 8 bytes each

Position = tuple[str, int]  # a table, and a row's place in the spool
Event = tuple[EventRef, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A match and the row it stands on."""

    match: Match
    row: Mapping[str, object]


class Hits:
    """The matches of a run, as they come in."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._number = {id(rule): number for number, rule in enumerate(self._rules)}
        self._rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._parts: dict[tuple[int, str], array[int]] = defaultdict(lambda: array("q"))  # of correlations only
        self.left_out = 0  # matches of parts that were too many to keep
        self.counts: Counter[str] = Counter()
        self.shown: dict[tuple[int, Position], tuple[Evidence, ...]] = {}

    def note(self, rule: Rule, position: Position, evidence: tuple[Evidence, ...]) -> None:
        """Takes a match that brings its own evidence, as a hunt's row does."""
        table, row = position
        if rule.role is Role.PART:
            self._part(rule, table, row)
            return
        self._rows[table].append((self._number[id(rule)], row))
        self.counts[rule.id or rule.digest] += 1
        self.shown[id(rule), position] = evidence

    def add(self, table: str, start: int, matches: Iterable[tuple[Rule, int]]) -> None:
        """Takes the matches on a batch of a table whose first row has the place `start` in the spool."""
        held = self._rows[table]
        for rule, index in matches:
            if rule.role is Role.PART:
                self._part(rule, table, start + index)
                continue
            held.append((self._number[id(rule)], start + index))
            if rule.role is Role.DETECTION:
                self.counts[rule.id or rule.digest] += 1

    def _part(self, rule: Rule, table: str, row: int) -> None:
        kept = self._parts[id(rule), table]
        if len(kept) < MAX_PARTS:
            kept.append(row)
        else:
            self.left_out += 1

    def places(self, rule: Rule) -> dict[str, npt.NDArray[np.int64]]:
        """By table, the ascending places of the rows that a rule holds on."""
        if rule.role is Role.PART:
            kept = {table: rows for (one, table), rows in self._parts.items() if one == id(rule)}
        else:
            number = self._number[id(rule)]
            kept = {
                table: array("q", (row for one, row in held if one == number)) for table, held in self._rows.items()
            }
        return {table: np.unique(np.frombuffer(rows, np.int64)) for table, rows in kept.items() if rows}

    def chosen(self) -> tuple[list[tuple[Rule, Position]], dict[str, int]]:
        """The matches to look at, heavier rules first, and by rule id how many were left out."""
        taken: list[tuple[Rule, Position]] = []
        seen: Counter[str] = Counter()
        for rule, position in self._by_weight():
            name = rule.id or rule.digest
            if seen[name] < MAX_PER_RULE and len(taken) < MAX_FINDINGS:
                taken.append((rule, position))
                seen[name] += 1
        return taken, {name: count - seen[name] for name, count in self.counts.items() if count > seen[name]}

    def known_uses(self) -> tuple[dict[Position, list[Rule]], set[Position]]:
        """By event, the known uses recognised on it; and the events that a detection rule accuses."""
        contexts: dict[Position, list[Rule]] = defaultdict(list)
        accused: set[Position] = set()
        for table, held in self._rows.items():
            for number, row in held:
                rule = self._rules[number]
                if rule.role is Role.CONTEXT:
                    contexts[table, row].append(rule)
                else:
                    accused.add((table, row))
        return contexts, accused

    def _by_weight(self) -> Iterator[tuple[Rule, Position]]:
        found = [
            (-self._rules[number].level, table, row, number)
            for table, held in self._rows.items()
            for number, row in held
            if self._rules[number].role is Role.DETECTION
        ]
        for _, table, row, number in sorted(found):
            yield self._rules[number], (table, row)


def judge(hits: Hits, spool: Spool, decoder: Decoder | None = None) -> Judged:
    """Weighs each match with the known uses recognised on the same event.

    An event that only known uses speak of is explained, and is no finding.
    """
    chosen, cut = hits.chosen()
    contexts, accused = hits.known_uses()
    harmless = [position for position in contexts if position not in accused][:MAX_FINDINGS]
    needed = [position for _, position in chosen] + harmless
    events = fetch(needed, spool)
    findings: dict[str, Finding] = {}
    for rule, position in chosen:
        known = contexts_on(contexts.get(position, ()), position, events)
        finding = make_finding(hit_on(rule, position, events, hits.shown.get((id(rule), position))), known)
        if decoder is not None and finding.id not in findings:
            finding = replace(finding, analysis=decoder.analysis_of(*_text_of(position, events)))
        findings.setdefault(finding.id, finding)
    explained = [_explained(hit_on(contexts[position][0], position, events)) for position in harmless]
    return Judged(tuple(findings.values()), tuple(explained), cut)


def _text_of(position: Position, events: Mapping[Position, Event]) -> tuple[str, Mapping[str, object]]:
    return position[0], events[position][1]


def fetch(positions: Iterable[Position], spool: Spool) -> dict[Position, Event]:
    """The events at these places, each with its filled columns."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for table, row in positions:
        wanted[table].add(row)
    found: dict[Position, Event] = {}
    for name, rows in wanted.items():
        ordered = sorted(rows)
        fetched = spool.take(name, ordered)
        for place, values in zip(ordered, fetched.data.to_pylist(), strict=True):
            event = {column: value for column, value in values.items() if value is not None}
            ref = EventRef(name, str(event.get("XSourceFile") or ""), int(event.get("XSourceRecord") or 0))
            found[name, place] = ref, event
    return found


def hit_on(
    rule: Rule,
    position: Position,
    events: Mapping[Position, Event],
    shown: tuple[Evidence, ...] | None = None,
) -> Hit:
    ref, row = events[position]
    evidence = matching.evidence(rule, ref.table, row) if shown is None else shown
    return Hit(Match(rule, ref, evidence), row)


def contexts_on(uses: Iterable[Rule], position: Position, events: Mapping[Position, Event]) -> list[Context]:
    """The known uses recognised on an event, each with its evidence."""
    return [_context(hit_on(use, position, events).match) for use in uses]


def _context(match: Match) -> Context:
    return Context(match.rule.id, match.rule.title, match.rule.lowers, match.evidence)


def make_finding(hit: Hit, contexts: Sequence[Context]) -> Finding:
    rule, row = hit.match.rule, hit.row
    score, reasons = verdict.weigh_finding(rule, contexts)
    return Finding(
        id=finding_id(rule, hit.match.event.table, row),
        rule_id=rule.id,
        rule_title=rule.title,
        rule_author=rule.author,
        rule_description=rule.description,
        rule_license=rule.license,
        rule_link=rule.link,
        rule_references=rule.references,
        rule_falsepositives=rule.falsepositives,
        rule_source=rule.source,
        tags=rule.tags,
        level=rule.level,
        techniques=rule.techniques,
        event=hit.match.event,
        host=host_of(row, hit.match.event),
        user=_user(row),
        time=time_of(row),
        row={name: _plain(value) for name, value in row.items()},
        evidence=hit.match.evidence,
        score=score,
        reasons=reasons,
        context=tuple(contexts),
    )


def _explained(hit: Hit) -> Explained:
    row = hit.row
    return Explained(
        context=_context(hit.match),
        event=hit.match.event,
        host=host_of(row, hit.match.event),
        user=_user(row),
        time=time_of(row),
        image=str(row.get("FolderPath") or row.get("FileName") or ""),
        command_line=str(row.get("ProcessCommandLine") or ""),
    )


# What makes an event itself, whichever file or batch it was read from.
_IDENTITY = """
    Timestamp DeviceName ActionType ProcessId ProcessUniqueId FolderPath ProcessCommandLine
    InitiatingProcessId InitiatingProcessUniqueId RemoteIP RemotePort LocalPort RemoteUrl RegistryKey
    RegistryValueName RegistryValueData XScriptId XQueryName XProvider XEventId AdditionalFields
""".split()


def finding_id(rule: Rule, table: str, row: Mapping[str, object]) -> str:
    """The same for the same rule and event in every run, so that a second hunt finds its cases again."""
    identity = [rule.id or rule.digest, table, [_plain(row.get(column)) for column in _IDENTITY]]
    return hashlib.sha256(orjson.dumps(identity)).hexdigest()[:24]


def host_of(row: Mapping[str, object], event: EventRef) -> str:
    """The host's name; rows that name none are kept apart by their file."""
    name = row.get("DeviceName")
    return str(name) if name else f"unknown ({event.source.replace(chr(92), '/').rsplit('/', 1)[-1]})"


def host_key(row: Mapping[str, object], event: EventRef) -> tuple[str | None, str]:
    """The host as a spool knows it: by its name, or where a row names none, by its file."""
    name = row.get("DeviceName")
    return (None, event.source) if name is None else (str(name), "")


def _user(row: Mapping[str, object]) -> str:
    for column in ("XUser", "AccountName", "XInitiatingProcessUser", "InitiatingProcessAccountName"):
        if value := row.get(column):
            return str(value)
    return ""


def time_of(row: Mapping[str, object]) -> datetime | None:
    value = row.get("Timestamp")
    return value if isinstance(value, datetime) else None


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
