"""Findings -> cases: those that are new, with what was found and read around them; each finding once.

A case lists so many findings of one rule and host, and so many in all; further ones are counted in it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from perilune import history
from perilune.casework import investigate, reconsider
from perilune.model.case import Case
from perilune.model.findings import Explained, Finding, Judged
from perilune.model.sources import SourceReport
from perilune.store.cases import CaseStore, Outcome
from perilune.store.sightings import Sightings
from perilune.store.window import Window
from perilune.surroundings import Surroundings, load_surroundings
from perilune.triage.suppression import suppress

LISTED = 50  # findings of one rule that a case lists of one host; further ones are counted
MOST_OF_CASE = 100  # findings that it lists besides the first of each rule: every growth writes all of it
RECENT = 60  # findings of a host that a new one is seen together with
AGAIN = 60.0  # seconds after a finding at which its host's cases are looked at again
_AGAIN_EVERY = 1.0  # seconds between two such looks: each costs a tenth of one
_AGAIN_WAITING = 300  # hosts
_RECALLED = 200  # cases that a new watcher looks up to know what they list
_HOSTS = 5_000  # whose recent findings are kept
_FRESH = 60.0  # seconds that lists, suppressions, the history and what people said are used before they are read again
_TELLING = 20  # characters of a command line that two hosts seldom share by chance
_COUNT_EVERY = 60.0
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


class Casing:
    """Keeps findings in the case store."""

    def __init__(self, url: str, window: Window, *, content: Path | None = None, baseline: Path | None = None) -> None:
        self._url, self._window = url, window
        self._content, self._baseline = content, baseline
        self.cases: CaseStore | None = None
        self.sightings: Sightings | None = None
        self._recent: dict[str, deque[tuple[int, Finding]]] = {}
        self._by_command: dict[str, tuple[int, Finding]] = {}
        self._listed: Counter[tuple[str, str]] = Counter()
        self._case_of: dict[tuple[str, str], str] = {}
        self._known_cases: dict[str, _Known] = {}
        self._by_key: dict[str, str] = {}
        self._uncounted: dict[str, Counter[str]] = defaultdict(Counter)
        self._again: dict[str, float] = {}
        self._explained: Sequence[Explained] = ()
        self._at: dict[str, float] = {}
        self._beside: Surroundings | None = None
        self._past: history.Past | None = None
        self._said: Mapping[str, tuple[int, int]] = {}
        self.delays: list[float] = []
        self.findings = 0
        self.suppressed = 0

    def close(self) -> None:
        for one in (self.cases, self.sightings):
            if one is not None:
                one.close()

    def keep(
        self, found: Sequence[Finding], explained: Sequence[Explained], sources: Sequence[SourceReport]
    ) -> list[Saved]:
        """Makes cases of findings, or lets those grow that there are. After a StoreError it is asked the same again."""
        self._refresh()
        assert self.sightings is not None and self._beside is not None
        self._explained = explained
        today = datetime.now(UTC).date()
        kept, suppressed = suppress(tuple(found), self._beside.suppressions, today)
        known = self.sightings.known([finding.id for finding in kept])
        fresh = [finding for finding in kept if finding.id not in known]
        old = self._recalled([finding for finding in kept if finding.id in known], known)
        listed, counted = self._divided(fresh)
        saved = self._cased(old, listed, sources) if listed else []
        saved += self._counted(counted, sources)
        self._note_delays(fresh)
        self.findings += len(fresh)
        self.suppressed += sum(one.count for one in suppressed)
        self._remember([*old, *listed])
        self._explained = ()
        return saved

    def _note_delays(self, fresh: Sequence[Finding]) -> None:
        now = datetime.now(UTC)
        late = ((now - finding.time).total_seconds() for finding in fresh if finding.time is not None)
        self.delays += [seconds for seconds in late if 0 <= seconds < LIVE]

    def look_again(self, sources: Sequence[SourceReport], *, last: bool) -> list[Saved]:
        """What does not hang on a new finding: an older case seen with what came after it, counts that are noted."""
        if self._uncounted and (last or self._due("counts", _COUNT_EVERY)):
            self._note_counts()
        now = time.monotonic()
        host = next((host for host, when in self._again.items() if when <= now), None)
        if host is None or not self._due("again", _AGAIN_EVERY):
            return []
        del self._again[host]
        found = list(self._recently([host]))
        return [one for one in self._cased((), found, sources) if one.outcome is not Outcome.KNOWN] if found else []

    def _recalled(self, found: Sequence[Finding], cases: Mapping[str, str]) -> list[Finding]:
        """Those of the findings known before that a case lists; and how many it lists is known again."""
        assert self.cases is not None
        listed: set[str] = set()
        for case_id in list(dict.fromkeys(cases[finding.id] for finding in found))[-_RECALLED:]:
            case = self.cases.load(case_id)
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
        here = (f for f in known if f.host in hosts)
        around = {f.id: f for f in (*self._recently(hosts), *self._alike(listed, hosts), *here, *listed)}
        judged = Judged(tuple(around.values()), tuple(self._explained), {})
        assert self._beside is not None
        beside = replace(self._beside.around, learned=self._past.about(judged.findings) if self._past else None)
        cases, _ = investigate(judged, self._window, sources, beside, self._said)
        new = {finding.id for finding in listed}
        return [self._saved(case, new) for case in cases if any(finding.id in new for finding in case.findings)]

    def _saved(self, case: Case, new: set[str]) -> Saved:
        """Keeps a case with the new findings that it has room for; the rest are counted in it."""
        assert self.cases is not None
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
            stored, outcome = self.cases.load(known.id), Outcome.KNOWN
        else:
            stored, outcome = self.cases.save(case, at=at, who=WHO, weigh=lambda one: reconsider(one, said))
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
        assert self.cases is not None and self.sightings is not None
        held = Counter(self.sightings.known([finding.id for finding in case.findings]).values())
        number = held.most_common(1)[0][0] if held else self._by_key.get(case.key)
        if number is None:
            return None
        if number not in self._known_cases:
            self._know(self.cases.load(number), case.key)
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
        assert self.sightings is not None
        for one in self.sightings.claim(places) if places else ():
            self._uncounted[places[one]][rules[one]] += 1

    def _note_counts(self) -> None:
        """An entry for each case that has had more findings than it lists."""
        assert self.sightings is not None
        for case in list(self._uncounted):
            self.sightings.note(case, self._uncounted[case], at=datetime.now(UTC), who=WHO)
            del self._uncounted[case]

    def _remember(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            held = self._recent.pop(finding.host, None) or deque(maxlen=RECENT)
            held.append((self._window.rows[finding.event.table], finding))
            if command := _command(finding):
                self._by_command.pop(command, None)
                self._by_command[command] = self._window.rows[finding.event.table], finding
            self._recent[finding.host] = held  # the host that was last heard of is the last to be forgotten
            if finding.host not in self._again and len(self._again) < _AGAIN_WAITING:
                self._again[finding.host] = time.monotonic() + AGAIN
        while len(self._by_command) > _HOSTS:
            del self._by_command[next(iter(self._by_command))]
        while len(self._recent) > _HOSTS:
            host = next(iter(self._recent))
            del self._recent[host]
            for key in [key for key in self._listed if key[1] == host]:
                del self._listed[key]
                self._case_of.pop(key, None)

    def _alike(self, findings: Iterable[Finding], hosts: Collection[str]) -> Iterator[Finding]:
        """Of each command that findings are about, the last finding on another host: one intrusion is one case."""
        for command in dict.fromkeys(map(_command, findings)):
            place, other = self._by_command.get(command, (0, None))
            if other is not None and other.host not in hosts and place > self._window.first[other.event.table]:
                yield other

    def _recently(self, hosts: Iterable[str]) -> Iterator[Finding]:
        """What was found on these hosts before, as long as its rows are there to be looked at."""
        for host in hosts:
            for place, finding in self._recent.get(host, ()):
                if place > self._window.first[finding.event.table]:
                    yield finding

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._at.get(what, -seconds) < seconds:
            return False
        self._at[what] = now
        return True

    def _refresh(self) -> None:
        """The stores and what people keep in folders, read again now and then."""
        if self.cases is None or self.sightings is None:
            self.cases, self.sightings = CaseStore(self._url), Sightings(self._url)
        if self._beside is None or self._due("beside", _FRESH):
            self._beside = load_surroundings(self._content, datetime.now(UTC).date())
            self._past = history.load(self._baseline) if self._baseline else None
            self._said = self.cases.feedback()


def _first_of_rules(findings: Iterable[Finding]) -> list[Finding]:
    """The first finding of each rule."""
    return list({finding.rule_id: finding for finding in reversed(list(findings))}.values())


def _command(finding: Finding) -> str:
    """The command line that a finding is about, where it is long enough to tell something."""
    text = finding.row.get("ProcessCommandLine")
    return text if isinstance(text, str) and len(text) > _TELLING else ""
