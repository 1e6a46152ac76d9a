"""Lake -> findings, by the functions of a hunt: what a batch matches is weighed, correlated, asked of hunts.

A finding's id depends on its rule and its event alone, so a batch that is looked at again after a crash gives no
finding twice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from perilune.correlating import correlated
from perilune.decoding import Decoder
from perilune.detection import linking, matching
from perilune.detection.kql import hunts
from perilune.judging import judge
from perilune.model.findings import Explained, Finding, Judged
from perilune.model.rules import Role, Rule, RuleSet
from perilune.model.sources import SourceReport
from perilune.model.tables import Table
from perilune.ports import Limits
from perilune.readers.following import Joining
from perilune.service.live.casing import Casing, Saved
from perilune.service.live.matches import Matches
from perilune.store.window import Window

TOGETHER = 400  # rows judged together: no more than a hunt's limit for one rule can come of them
_MOST_ROWS = 5_000  # matched together
_DECODER_ROWS = 50_000  # after which what was decoded is forgotten
_AT_ONCE = 0.5  # seconds of casework in one turn
_HUNT_EVERY = 30.0  # seconds at least; and so long that hunts take a twentieth of the time
_CORRELATE_EVERY = 1.0
_CORRELATED_KEPT = 10_000


class Detector:
    """Looks at batches in their order."""

    def __init__(
        self, ruleset: RuleSet, url: str, *, content: Path | None = None, baseline: Path | None = None
    ) -> None:
        self._rules = ruleset
        self._plain = RuleSet(tuple(r for r in ruleset.rules if not hunts.is_hunt(r) and not linking.is_correlation(r)))
        self._hunts = [rule for rule in ruleset.rules if hunts.is_hunt(rule)]
        self._correlated = any(map(linking.is_correlation, ruleset.rules))
        self._window = Window()
        self.casing = Casing(url, self._window, content=content, baseline=baseline)
        self._hits = Matches(ruleset.rules)  # of all rows of the window: what correlations ask
        self._decoder, self._decoded = Decoder(), 0
        self._joining = Joining(Limits())
        self._found: dict[str, Finding] = {}
        self._late: dict[str, Finding] = {}  # what hunts and correlations found
        self._hosts_at_once = 4
        self._explained: list[Explained] = []
        self._seen_together: dict[str, str] = {}
        self._changed_together: set[str] = set()
        self._hunted: dict[str, int] = defaultdict(int)
        self._at: dict[str, float] = {}
        self._hunt_every = _HUNT_EVERY
        self.refused: dict[str, str] = {}
        matching.compiled(self._plain.rules)

    @property
    def pending(self) -> int:
        """Findings that no case has yet."""
        return len(self._found) + len(self._late)

    def close(self) -> None:
        self.casing.close()

    def recall(self, seen: Mapping[str, Mapping[str, object]]) -> None:
        """Correlations that were found before, by what they are about: one that goes on is not found again."""
        self._seen_together.update({key: str(body.get("until", "")) for key, body in seen.items()})

    def to_recall(self) -> dict[str, Mapping[str, object]]:
        """Those that changed since this was last asked."""
        changed, self._changed_together = self._changed_together, set()
        return {key: {"until": self._seen_together[key]} for key in changed if key in self._seen_together}

    # --- rows

    def look(self, tables: Sequence[Table]) -> None:
        """Matches a batch's rows; what is found waits for `settle`."""
        for table in self._joining.add(tables):
            for start in range(0, len(table), _MOST_ROWS):
                self._look(Table(table.name, table.data.slice(start, _MOST_ROWS)))
        for name, first in self._window.trim().items():
            self._hits.forget(name, first)

    def _look(self, batch: Table) -> None:
        hidden = self._decoder.rows_of(batch)
        for rows in (batch, hidden) if hidden is not None else (batch,):
            place = self._window.add(rows)
            found = list(matching.match(self._plain, rows))
            self._hits.take(rows.name, place, found)
            self._judge(rows.name, place, found)
        self._decoded += len(batch)
        if self._decoded > _DECODER_ROWS:
            self._decoder, self._decoded = Decoder(), 0

    def _judge(self, table: str, place: int, found: Sequence[tuple[Rule, int]]) -> None:
        parts: dict[int, list[tuple[Rule, int]]] = defaultdict(list)
        for rule, row in found:
            parts[row // TOGETHER].append((rule, row))
        for matches in parts.values():
            hits = Matches(self._rules.rules)
            hits.take(table, place, matches)
            self._keep(judge(hits, self._window, self._decoder))

    def _keep(self, judged: Judged, *, late: bool = False) -> None:
        for finding in judged.findings:
            (self._late if late else self._found).setdefault(finding.id, finding)
        self._explained += judged.explained
        del self._explained[:-1000]

    def settle(self, sources: Sequence[SourceReport], *, last: bool = False) -> list[Saved]:
        """Makes cases of what was found first. A StoreError leaves it waiting, and a later call does it.

        Of hosts only so many at once that this takes about half a second: sources are not kept waiting. What rules
        found comes before what hunts and correlations found, for which `is_settled` does not wait: they find it again.
        """
        self._together(last)
        self._ask_hunts(last)
        waiting = self._found or self._late
        if not waiting:
            self._explained = []
            return self.casing.look_again(sources, last=last)
        begun = time.monotonic()
        hosts = set(islice(dict.fromkeys(finding.host for finding in waiting.values()), self._hosts_at_once))
        chosen = [finding for finding in waiting.values() if finding.host in hosts]
        saved = self.casing.keep(chosen, self._explained, sources)
        for finding in chosen:
            del waiting[finding.id]
        each = (time.monotonic() - begun) / max(1, len(hosts))
        self._hosts_at_once = max(2, min(50, int(_AT_ONCE / max(each, 0.001))))
        return saved

    @property
    def is_settled(self) -> bool:
        """Whether all that rules have found so far is in cases."""
        return not self._found

    # --- what needs more than a batch

    def _together(self, last: bool) -> None:
        """Correlations over the window; one that goes on is the same finding."""
        if not self._correlated or not (self._due("correlated", _CORRELATE_EVERY) or last):
            return
        found = correlated(Judged((), (), {}), self._rules.rules, self._hits, self._window).findings
        for finding in sorted(found, key=lambda f: (f.time is None, f.time)):
            key = f"{finding.rule_id}|{finding.host}|{sorted(finding.group.items())}"
            begins = min((m.time.isoformat() for m in finding.members if m.time), default="")
            ends = max((m.time.isoformat() for m in finding.members if m.time), default="")
            before = self._seen_together.pop(key, "")
            self._seen_together[key] = max(before, ends)
            if ends > before:
                self._changed_together.add(key)
            if not before or begins > before:
                self._late.setdefault(finding.id, finding)
        while len(self._seen_together) > _CORRELATED_KEPT:
            del self._seen_together[next(iter(self._seen_together))]

    def _ask_hunts(self, last: bool) -> None:
        """KQL hunts over the window, seldom: each asks all of it."""
        tables = {scope.table for rule in self._hunts for scope in rule.scopes}
        new = {name for name in tables if self._window.rows[name] > self._hunted[name]}
        if not new or not (self._due("hunts", self._hunt_every) or last):
            return
        from perilune.detection.kql import hunting  # imported late: DuckDB and SQLGlot take a quarter of a second

        begun = time.monotonic()
        held = {name for name in tables if self._window.rows[name] > self._window.first[name]}
        found, refused = hunting.run(self._hunts, {name: self._window.compact(name) for name in sorted(held)})
        self._hunted.update({name: self._window.rows[name] for name in tables})
        hits = Matches(self._rules.rules)
        for one in found:
            if one.rule.role is Role.DETECTION:
                hits.note(one.rule, (one.table, one.place + self._window.first[one.table]), one.evidence)
        self.refused |= {one.source: one.reason for one in refused}
        self._keep(judge(hits, self._window, self._decoder), late=True)
        self._hunt_every = max(_HUNT_EVERY, 20 * (time.monotonic() - begun))

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._at.get(what, -seconds) < seconds:
            return False
        self._at[what] = now
        return True
