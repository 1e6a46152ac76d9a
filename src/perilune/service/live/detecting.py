"""Lake -> findings -> cases, by the functions of a hunt: what a batch matches is weighed with the newest rows.

A finding's id depends on its rule and its event alone, so a batch that is looked at again after a crash gives no
finding twice. A case lists so many findings of one rule and host; further ones are counted in it, each once.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from perilune import history
from perilune.casework import investigate, reconsider
from perilune.correlating import correlated
from perilune.decoding import Decoder
from perilune.detection import linking, matching
from perilune.detection.kql import hunts
from perilune.judging import judge
from perilune.model.case import Case
from perilune.model.findings import Explained, Finding, Judged
from perilune.model.rules import Role, RuleSet
from perilune.model.sources import SourceReport
from perilune.model.tables import Table
from perilune.ports import Limits
from perilune.readers.following import Joining
from perilune.service.live.matches import Matches
from perilune.store.cases import CaseStore, Outcome
from perilune.store.sightings import Sightings
from perilune.store.window import Window
from perilune.surroundings import Surroundings, load_surroundings
from perilune.triage.suppression import suppress

LISTED = 50  # findings of one rule that a case lists of one host; further ones are counted
MOST_OF_CASE = 100  # findings that it lists besides the first of each rule: every growth writes all of it
TOGETHER = 400  # rows matched together: no more than a hunt's limit for one rule can come of them
RECENT = 60  # findings of a host that a new one is seen together with
_RECALLED = 200  # cases that a new watcher looks up to know what they list
_HOSTS = 5_000  # whose recent findings are kept
_DECODER_ROWS = 50_000  # after which what was decoded is forgotten
_FRESH = 60.0  # seconds that lists, suppressions, the history and what people said are used before they are read again
_HUNT_EVERY = 30.0
_CORRELATE_EVERY = 1.0
_COUNT_EVERY = 60.0
AGAIN = (30.0, 300.0)  # seconds after a finding at which its host's cases are looked at again
_CORRELATED_KEPT = 10_000
LIVE = 600.0  # seconds; an event that is older was read late and says nothing of how fast this is
WHO = "perilune watch"


@dataclass(frozen=True, slots=True)
class Saved:
    """A case that new findings went into, and what became of it."""

    case: Case
    outcome: Outcome
    findings: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A stored case, as far as one must know whether it has room."""

    id: str
    size: int
    rules: frozenset[str]


@dataclass(slots=True)
class _Pending:
    """Findings that no case has yet."""

    listed: dict[str, Finding] = field(default_factory=dict)
    explained: list[Explained] = field(default_factory=list)


class Detector:
    """Looks at batches in their order."""

    def __init__(
        self, ruleset: RuleSet, url: str, *, content: Path | None = None, baseline: Path | None = None
    ) -> None:
        self._rules = ruleset
        self._plain = RuleSet(tuple(r for r in ruleset.rules if not hunts.is_hunt(r) and not linking.is_correlation(r)))
        self._hunts = [rule for rule in ruleset.rules if hunts.is_hunt(rule)]
        self._correlated = any(map(linking.is_correlation, ruleset.rules))
        self._url, self._content, self._baseline = url, content, baseline
        self._cases: CaseStore | None = None
        self._sightings: Sightings | None = None
        self._window = Window()
        self._hits = Matches(ruleset.rules)  # of all rows of the window: what correlations ask
        self._decoder, self._decoded = Decoder(), 0
        self._joining = Joining(Limits())
        self._recent: dict[str, deque[tuple[int, Finding]]] = {}
        self._listed: Counter[tuple[str, str]] = Counter()
        self._case_of: dict[tuple[str, str], str] = {}
        self._known_cases: dict[str, _Known] = {}
        self._by_key: dict[str, str] = {}
        self._uncounted: dict[str, Counter[str]] = defaultdict(Counter)
        self._again: dict[str, list[float]] = {}
        self._seen_together: dict[str, str] = {}
        self._changed_together: set[str] = set()
        self._pending = _Pending()
        self._at: dict[str, float] = defaultdict(float)
        self._hunted: dict[str, int] = defaultdict(int)
        self._beside: Surroundings | None = None
        self._past: history.Past | None = None
        self._said: Mapping[str, tuple[int, int]] = {}
        self._delays: list[float] = []
        self.findings = 0
        self.suppressed = 0
        self.refused: dict[str, str] = {}
        matching.compiled(self._plain.rules)

    def recall(self, seen: Mapping[str, Mapping[str, object]]) -> None:
        """Correlations that were found before, by what they are about: one that goes on is not found again."""
        self._seen_together.update({key: str(body.get("until", "")) for key, body in seen.items()})

    def to_recall(self) -> dict[str, Mapping[str, object]]:
        """Those that changed since this was last asked."""
        changed, self._changed_together = self._changed_together, set()
        return {key: {"until": self._seen_together[key]} for key in changed if key in self._seen_together}

    def delays(self) -> list[float]:
        """Seconds from each new finding's event to its case, since this was last asked; old events are not delayed."""
        found, self._delays = self._delays, []
        return found

    @property
    def pending(self) -> int:
        return len(self._pending.listed)

    def close(self) -> None:
        for one in (self._cases, self._sightings):
            if one is not None:
                one.close()

    # --- rows

    def look(self, tables: Sequence[Table]) -> None:
        """Matches a batch's rows; what is found waits for `settle`."""
        for table in self._joining.add(tables):
            for start in range(0, len(table), TOGETHER):
                self._look(Table(table.name, table.data.slice(start, TOGETHER)))
        for name, first in self._window.trim().items():
            self._hits.forget(name, first)

    def _look(self, batch: Table) -> None:
        hits = Matches(self._rules.rules)
        hidden = self._decoder.rows_of(batch)
        for rows in (batch, hidden) if hidden is not None else (batch,):
            place = self._window.add(rows)
            found = list(matching.match(self._plain, rows))
            hits.take(rows.name, place, found)
            self._hits.take(rows.name, place, found)
        self._keep(judge(hits, self._window, self._decoder))
        self._decoded += len(batch)
        if self._decoded > _DECODER_ROWS:
            self._decoder, self._decoded = Decoder(), 0

    def _keep(self, judged: Judged) -> None:
        for finding in judged.findings:
            self._pending.listed.setdefault(finding.id, finding)
        self._pending.explained += judged.explained
        del self._pending.explained[:-1000]

    # --- findings

    def settle(self, sources: Sequence[SourceReport], *, last: bool = False) -> list[Saved]:
        """Makes cases of what was found since. A StoreError leaves it waiting, and a later call does all of it."""
        self._together(last)
        self._ask_hunts(last)
        if self._uncounted and (last or self._due("counts", _COUNT_EVERY)):
            self._note_counts()
        again = self._due_again()
        if not self._pending.listed:
            self._pending.explained.clear()
            return self._looked_again(again, sources)
        self._refresh()
        assert self._cases is not None and self._sightings is not None and self._beside is not None
        today = datetime.now(UTC).date()
        kept, suppressed = suppress(tuple(self._pending.listed.values()), self._beside.suppressions, today)
        known = self._sightings.known([finding.id for finding in kept])
        fresh = [finding for finding in kept if finding.id not in known]
        old = self._recalled([finding for finding in kept if finding.id in known], known)
        listed, counted = self._divided(fresh)
        saved = self._cased(old, listed, sources) if listed else []
        saved += self._counted(counted, sources)
        self.findings += len(fresh)
        now = datetime.now(UTC)
        late = ((now - finding.time).total_seconds() for finding in fresh if finding.time is not None)
        self._delays += [seconds for seconds in late if 0 <= seconds < LIVE]
        self.suppressed += sum(one.count for one in suppressed)
        self._remember([*old, *listed])
        self._pending = _Pending()
        later = time.monotonic()
        self._again.update({f.host: [later + seconds for seconds in AGAIN] for f in listed})
        return saved + self._looked_again(again - {finding.host for finding in listed}, sources)

    def _due_again(self) -> set[str]:
        """The hosts whose cases are to be looked at again: what happened after the findings belongs to them."""
        now = time.monotonic()
        due = {host for host, times in self._again.items() if times[0] <= now}
        for host in due:
            self._again[host] = [when for when in self._again[host] if when > now]
            if not self._again[host]:
                del self._again[host]
        return due

    def _looked_again(self, hosts: set[str], sources: Sequence[SourceReport]) -> list[Saved]:
        """Cases with what has come since their findings, where that changes an answer."""
        found = list(self._recently(hosts))
        return [one for one in self._cased((), found, sources) if one.outcome is not Outcome.KNOWN] if found else []

    def _recalled(self, found: Sequence[Finding], cases: Mapping[str, str]) -> list[Finding]:
        """Those of the findings known before that a case lists; and how many it lists is known again."""
        assert self._cases is not None
        listed: set[str] = set()
        for case_id in list(dict.fromkeys(cases[finding.id] for finding in found))[-_RECALLED:]:
            case = self._cases.load(case_id)
            listed.update(finding.id for finding in case.findings)
            self._count_listed(case, case.findings)
        return [finding for finding in found if finding.id in listed]

    def _divided(self, fresh: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
        """Those that cases list, and those of rules that have filled theirs on a host."""
        listed: list[Finding] = []
        counted: list[Finding] = []
        now: Counter[tuple[str, str]] = Counter()
        for finding in fresh:
            key = (finding.rule_id, finding.host)
            now[key] += 1
            (listed if self._listed[key] + now[key] <= LISTED else counted).append(finding)
        return listed, counted

    def _cased(
        self, known: Sequence[Finding], listed: Sequence[Finding], sources: Sequence[SourceReport]
    ) -> list[Saved]:
        """The cases that new findings belong to, together with what was found on their hosts shortly before."""
        hosts = {finding.host for finding in listed}
        around = {f.id: f for f in (*self._recently(hosts), *(f for f in known if f.host in hosts), *listed)}
        judged = Judged(tuple(around.values()), tuple(self._pending.explained), {})
        assert self._beside is not None
        beside = replace(self._beside.around, learned=self._past.about(judged.findings) if self._past else None)
        cases, _ = investigate(judged, self._window, sources, beside, self._said)
        new = {finding.id for finding in listed}
        return [self._saved(case, new) for case in cases if any(finding.id in new for finding in case.findings)]

    def _saved(self, case: Case, new: set[str]) -> Saved:
        """Keeps a case with the new findings that it has room for; the rest are counted in it."""
        assert self._cases is not None
        known = self._stored(case)
        mine = sorted(
            (finding for finding in case.findings if finding.id in new),
            key=lambda f: (known is not None and f.rule_id in known.rules, -f.score, f.time is None, f.time),
        )
        fresh = {f.id for f in _first_of_rules(mine) if known is None or f.rule_id not in known.rules}
        room = max(len(fresh), MOST_OF_CASE - (known.size if known is not None else 0))
        over = {finding.id: finding.rule_id for finding in [f for f in mine if f.id not in fresh][room - len(fresh) :]}
        case = replace(case, findings=tuple(f for f in case.findings if f.id not in over))
        at, said = datetime.now(UTC), self._said
        if known is not None and len(over) == len(mine):
            stored, outcome = self._cases.load(known.id), Outcome.KNOWN
        else:
            stored, outcome = self._cases.save(case, at=at, who=WHO, weigh=lambda one: reconsider(one, said))
        self._know(stored, case.key)
        self._count_listed(stored, case.findings)
        self._claim(dict.fromkeys(over, stored.id), over)
        for finding in mine:
            if finding.id in over:
                self._case_of[finding.rule_id, finding.host] = stored.id
                self._listed[finding.rule_id, finding.host] = LISTED
        return Saved(stored, outcome, len(mine))

    def _stored(self, case: Case) -> _Known | None:
        """What is known of the stored case that these findings belong to, if there is one."""
        assert self._cases is not None and self._sightings is not None
        held = Counter(self._sightings.known([finding.id for finding in case.findings]).values())
        number = held.most_common(1)[0][0] if held else self._by_key.get(case.key)
        if number is None:
            return None
        if number not in self._known_cases:
            self._know(self._cases.load(number), case.key)
        return self._known_cases[number]

    def _know(self, stored: Case, key: str) -> None:
        rules = frozenset(finding.rule_id for finding in stored.findings)
        self._known_cases.pop(stored.id, None)
        self._known_cases[stored.id] = _Known(stored.id, len(stored.findings), rules)
        self._by_key[key] = stored.id
        for held in (self._known_cases, self._by_key):
            while len(held) > _HOSTS:
                del held[next(iter(held))]

    def _count_listed(self, stored: Case, found: Iterable[Finding]) -> None:
        counts = Counter((finding.rule_id, finding.host) for finding in stored.findings)
        for finding in found:
            key = (finding.rule_id, finding.host)
            self._case_of[key] = stored.id
            self._listed[key] = max(self._listed[key], counts[key])

    def _counted(self, counted: Sequence[Finding], sources: Sequence[SourceReport]) -> list[Saved]:
        """Notes further findings with the case that lists those before them."""
        by_case: dict[str, dict[str, str]] = defaultdict(dict)
        homeless: list[Finding] = []
        for finding in counted:
            case = self._case_of.get((finding.rule_id, finding.host))
            if case is None:
                homeless.append(finding)
            else:
                by_case[case][finding.id] = finding.rule_id
        for case, findings in by_case.items():
            self._claim(dict.fromkeys(findings, case), findings)
        return self._cased((), homeless, sources) if homeless else []

    def _claim(self, places: Mapping[str, str], rules: Mapping[str, str]) -> None:
        """Gives findings to cases that do not list them, and remembers to say how many of which rules."""
        assert self._sightings is not None
        for one in self._sightings.claim(places) if places else ():
            self._uncounted[places[one]][rules[one]] += 1

    def _note_counts(self) -> None:
        """An entry for each case that has had more findings than it lists."""
        assert self._sightings is not None
        for case in list(self._uncounted):
            self._sightings.note(case, self._uncounted[case], at=datetime.now(UTC), who=WHO)
            del self._uncounted[case]

    def _remember(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            held = self._recent.pop(finding.host, None) or deque(maxlen=RECENT)
            held.append((self._window.rows[finding.event.table], finding))
            self._recent[finding.host] = held  # the host that was last heard of is the last to be forgotten
        while len(self._recent) > _HOSTS:
            host = next(iter(self._recent))
            del self._recent[host]
            for key in [key for key in self._listed if key[1] == host]:
                del self._listed[key]
                self._case_of.pop(key, None)

    def _recently(self, hosts: Iterable[str]) -> Iterator[Finding]:
        """What was found on these hosts before, as long as its rows are there to be looked at."""
        for host in hosts:
            for place, finding in self._recent.get(host, ()):
                if place > self._window.first[finding.event.table]:
                    yield finding

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
                self._pending.listed.setdefault(finding.id, finding)
        while len(self._seen_together) > _CORRELATED_KEPT:
            del self._seen_together[next(iter(self._seen_together))]

    def _ask_hunts(self, last: bool) -> None:
        """KQL hunts over the window, seldom: each asks all of it."""
        tables = {scope.table for rule in self._hunts for scope in rule.scopes}
        new = {name for name in tables if self._window.rows[name] > self._hunted[name]}
        if not new or not (self._due("hunts", _HUNT_EVERY) or last):
            return
        from perilune.detection.kql import hunting  # imported late: DuckDB and SQLGlot take a quarter of a second

        held = {name for name in tables if self._window.rows[name] > self._window.first[name]}
        found, refused = hunting.run(self._hunts, {name: self._window.compact(name) for name in sorted(held)})
        self._hunted.update({name: self._window.rows[name] for name in tables})
        hits = Matches(self._rules.rules)
        for one in found:
            if one.rule.role is Role.DETECTION:
                hits.note(one.rule, (one.table, one.place + self._window.first[one.table]), one.evidence)
        self.refused |= {one.source: one.reason for one in refused}
        self._keep(judge(hits, self._window, self._decoder))

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if self._at[what] and now - self._at[what] < seconds:
            return False
        self._at[what] = now
        return True

    # --- what is beside the rows

    def _refresh(self) -> None:
        """The stores and what people keep in folders, read again now and then."""
        if self._cases is None or self._sightings is None:
            self._cases, self._sightings = CaseStore(self._url), Sightings(self._url)
        if self._beside is None or self._due("beside", _FRESH):
            self._beside = load_surroundings(self._content, datetime.now(UTC).date())
            self._past = history.load(self._baseline) if self._baseline else None
            self._said = self._cases.feedback()


def _first_of_rules(findings: Iterable[Finding]) -> list[Finding]:
    """The first finding of each rule."""
    return list({finding.rule_id: finding for finding in reversed(list(findings))}.values())
