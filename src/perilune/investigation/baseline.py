"""What a learned history says of a case: is this interpreter, account, parent, script usual here. Pure.

The rules, in the order in which they are applied:

- only days before the case's own day count, and of these only days on which no finding of this run accuses the same
  value: what an intruder repeats does not become usual;
- a host with fewer than `LEAST_DAYS` such days has no history yet, and the answer is unknown;
- usual is what was seen on several days (`LEAST_TIMES`, and one day in twenty), however often on each;
- a value that was never seen where too many different ones were to be kept is unknown, not new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median

import pyarrow as pa

from perilune.model.baseline import CPU_STEPS, MEMORY_STEPS, Facet, Learned, Standing, Use

LEAST_DAYS = 7  # of history before a host's uses are called anything
LEAST_TIMES = 3  # days on which a use was seen, to be called usual
SHARE = 20  # and one day in so many
LEAST_HOSTS = 5  # with a history, before the fleet is spoken of
BUSY = 50  # runs of one day that are counted at most
HOUR_RUNS = 20  # runs of an interpreter on a host before its hours are spoken of
MOST_USES = 500  # of one case that are looked at
STEPS = {Facet.CPU: CPU_STEPS, Facet.MEMORY: MEMORY_STEPS}

Accused = Mapping[tuple[str, str, str, str], Collection[date]]  # (facet, interpreter, host, value) -> days


@dataclass(frozen=True, slots=True)
class _Seen:
    """A value on one host: by day, its runs."""

    days: dict[date, int] = field(default_factory=dict)


class History:
    """The part of a history that a case asks about, ready to be asked.

    days_of   by host, all days on which the history knows anything of it
    """

    def __init__(self, counts: pa.Table, days_of: Mapping[str, Collection[date]]) -> None:
        self._days_of = days_of
        self._seen: dict[tuple[str, str, str, str | None], _Seen] = defaultdict(_Seen)
        self._hosts: dict[tuple[str, str, str | None], set[str]] = defaultdict(set)
        for facet, interpreter, host, value, day, runs in _rows(counts):
            self._seen[facet, interpreter, host, value].days[day] = runs
            self._hosts[facet, interpreter, value].add(host)

    def days(self, host: str, before: date) -> list[date]:
        """The days of a host's history before a day."""
        return sorted(day for day in self._days_of.get(host, ()) if day < before)

    def runs(self, facet: Facet, use: Use, value: str | None, before: date, accused: Accused) -> dict[date, int]:
        """By day, the runs with a value on the use's host, as far as they count."""
        key = (facet.value, use.interpreter, use.host, value)
        found = self._seen[key].days if key in self._seen else {}
        ours = accused.get((facet.value, use.interpreter, use.host, value or ""), ())
        return {day: runs for day, runs in found.items() if day < before and day not in ours}

    def hosts(self, facet: Facet, use: Use, value: str, before: date, accused: Accused) -> list[str]:
        """The hosts that saw a value before; for the host itself, those that ran the interpreter."""
        names = (facet.value, use.interpreter)
        known = self._hosts.get((*names, value), set())
        found = []
        for host in sorted(known):
            days = self._seen[(*names, host, value)].days
            if any(day < before and day not in accused.get((*names, host, value), ()) for day in days):
                found.append(host)
        return found

    def fleet(self, before: date) -> int:
        """How many hosts have a history long enough to speak."""
        return sum(len(self.days(host, before)) >= LEAST_DAYS for host in self._days_of)


def _rows(counts: pa.Table) -> Iterator[tuple[str, str, str, str | None, date, int]]:
    names = ("facet", "interpreter", "host", "value", "day", "runs")
    columns = [counts.column(name).to_pylist() for name in names]
    for facet, interpreter, host, value, day, runs in zip(*columns, strict=True):
        # of the facet `host` the value is one for all hosts, so that the fleet is asked as of any other value
        yield facet, interpreter, host, "" if facet == Facet.HOST.value else value, day, runs


def learn(uses: Iterable[Use], history: History, accused: Accused, *, today: Mapping[str, int]) -> list[Learned]:
    """What the history says of each side of a case's uses; the same value once.

    today: by interpreter, its runs on the case's host on the day on which the case begins.
    """
    chosen = sorted(uses, key=lambda use: use.time)[:MOST_USES]
    if not chosen:
        return []
    before = chosen[0].time.date()
    once: dict[tuple[str, str, str, str], Learned] = {}
    for use in chosen:
        for facet in Facet:
            value = use.value(facet)
            key = (facet.value, use.interpreter, use.host, value)
            if value and key not in once:
                once[key] = _learned(facet, value, use, history, before, accused)
    for interpreter in dict.fromkeys(use.interpreter for use in chosen):
        use = next(use for use in chosen if use.interpreter == interpreter)
        once["frequency", interpreter, use.host, ""] = _frequency(use, history, before, accused, today)
    return list(once.values())


def _learned(facet: Facet, value: str, use: Use, history: History, before: date, accused: Accused) -> Learned:
    days = history.days(use.host, before)
    asked = "" if facet is Facet.HOST else value
    seen = history.runs(facet, use, asked, before, accused)
    hosts = history.hosts(facet, use, asked, before, accused)
    base = Learned(
        facet=facet.value, value=value, interpreter=use.interpreter, host=use.host, standing=Standing.UNKNOWN, text="",
        days=len(seen), runs=sum(min(runs, BUSY) for runs in seen.values()), hosts=len(hosts),
        of_hosts=history.fleet(before), history=len(days), first=min(seen, default=None), last=max(seen, default=None),
        event=use.event, time=use.time,
    )  # fmt: skip
    if len(days) < LEAST_DAYS:
        return _with(base, Standing.UNKNOWN, needs=_too_short(use, len(days), before))
    if facet is Facet.HOUR:
        return _hour(base, use, history, before, accused)
    if facet in STEPS:
        return _as_much(base, facet, use, history, before, accused)
    if not seen and history.runs(facet, use, None, before, accused):
        return _with(base, Standing.UNKNOWN, needs=f"more than a day's {facet.value}s that are kept: it had too many")
    return _with(base, _standing(len(seen), len(days)))


def _standing(seen: int, history: int) -> Standing:
    if not seen:
        return Standing.NEW
    return Standing.COMMON if seen >= max(LEAST_TIMES, -(-history // SHARE)) else Standing.RARE


def _too_short(use: Use, days: int, before: date) -> str:
    return f"{LEAST_DAYS} days of history of {use.host} before {before}; it has {days}"


def _hour(base: Learned, use: Use, history: History, before: date, accused: Accused) -> Learned:
    """Hours need many runs to mean something; an hour beside, on the same kind of day, is the same habit."""
    weekend = use.hour[:3] in ("Sat", "Sun")
    at = int(use.hour[4:])
    near: dict[date, int] = {}
    runs = 0
    for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"):
        for hour in range(24):
            found = history.runs(Facet.HOUR, use, f"{day} {hour:02}", before, accused)
            runs += sum(min(count, BUSY) for count in found.values())
            if (day in ("Sat", "Sun")) is weekend and min((hour - at) % 24, (at - hour) % 24) <= 1:
                near |= found
    if runs < HOUR_RUNS or (weekend and base.history < 2 * LEAST_DAYS):
        return _with(base, Standing.UNKNOWN, needs=f"{HOUR_RUNS} earlier runs of {use.interpreter} here; it has {runs}")
    found_days = Standing.NEW if not near else Standing.COMMON if len(near) >= LEAST_TIMES else Standing.RARE
    return _with(base, found_days, days=len(near), runs=sum(near.values()))


def _as_much(base: Learned, facet: Facet, use: Use, history: History, before: date, accused: Accused) -> Learned:
    """Whether as much of a resource, or more, was used before."""
    steps = STEPS[facet]
    seen: dict[date, int] = {}
    figures: dict[date, int] = {}
    for step in steps:
        found = history.runs(facet, use, step, before, accused)
        figures |= found
        if steps.index(step) >= steps.index(base.value):
            seen |= found
    if len(figures) < LEAST_DAYS:
        needs = f"{facet} figures of {use.interpreter} here on {LEAST_DAYS} earlier days; it has {len(figures)}"
        return _with(base, Standing.UNKNOWN, needs=needs)
    standing = Standing.NEW if not seen else Standing.COMMON if len(seen) >= LEAST_TIMES else Standing.RARE
    return _with(base, standing, days=len(seen), runs=sum(min(runs, BUSY) for runs in seen.values()))


def _frequency(use: Use, history: History, before: date, accused: Accused, today: Mapping[str, int]) -> Learned:
    """The runs of the case's first day against the days before, days without one counted as such."""
    days = history.days(use.host, before)
    seen = history.runs(Facet.HOST, use, "", before, accused)
    now = today.get(use.interpreter, 0)
    base = Learned(
        "frequency", str(now), use.interpreter, use.host, Standing.UNKNOWN, "", len(seen), sum(seen.values()),
        history=len(days), event=use.event, time=use.time,
    )  # fmt: skip
    if len(days) < LEAST_DAYS:
        return _with(base, Standing.UNKNOWN, needs=_too_short(use, len(days), before))
    counts = [seen.get(day, 0) for day in days]
    usual = median(counts)
    spread = 1.4826 * median(abs(count - usual) for count in counts)
    spike = now > max(10, usual + 6 * spread, 2 * max(counts))
    text = f"{use.interpreter} ran {now:,} times on {use.host} on {before}"
    text += f"; usual are {usual:g} a day, at most {max(counts):,}, in {len(days):,} days of history"
    return _with(base, Standing.NEW if spike else Standing.COMMON, text=text)


def _with(base: Learned, standing: Standing, **more: object) -> Learned:
    from dataclasses import replace

    found = replace(base, standing=standing, **more)  # type: ignore[arg-type]
    return found if found.text else replace(found, text=_words(found))


_SAID = {
    "host": "{interpreter}", "account": "{interpreter} as {value}", "parent": "{interpreter} from {value}",
    "script": "{interpreter} with the script {value}", "shape": "{interpreter} with arguments like `{value}`",
    "cpu": "{interpreter} with CPU {value}, or more", "memory": "{interpreter} with memory {value}, or more",
    "hour": "{interpreter} at this hour ({value}:00 UTC)", "frequency": "{interpreter} this often",
}  # fmt: skip


def _words(one: Learned) -> str:
    what = _SAID[one.facet].format(interpreter=one.interpreter, value=one.value)
    if one.standing is Standing.UNKNOWN:
        return f"{what}: unknown (needs {one.needs})"
    fleet = ""
    if one.of_hosts >= LEAST_HOSTS and one.facet not in ("hour", "frequency", "cpu", "memory"):
        fleet = f"; seen on {one.hosts:,} of {one.of_hosts:,} hosts"
    if one.standing is Standing.NEW:
        return f"{what}: never before on {one.host}, in {one.history:,} days of history{fleet}"
    often = f"on {one.days:,} of {one.history:,} earlier days on {one.host}, {one.runs:,} runs"
    since = f" (first {one.first}, last {one.last})" if one.first else ""
    return f"{what}: {'rare' if one.standing is Standing.RARE else 'usual'}, {often}{since}{fleet}"


def is_common_elsewhere(one: Learned) -> bool:
    """Whether what is new here is at home on a good part of the other hosts."""
    return one.of_hosts >= LEAST_HOSTS and one.hosts * 4 >= one.of_hosts


def accusations(uses: Iterable[Use]) -> dict[tuple[str, str, str, str], set[date]]:
    """The days on which findings accuse each value."""
    found: dict[tuple[str, str, str, str], set[date]] = defaultdict(set)
    for use in uses:
        for facet in Facet:
            value = "" if facet is Facet.HOST else use.value(facet)
            found[facet.value, use.interpreter, use.host, value].add(use.time.date())
    return dict(found)


def span(days: Sequence[date]) -> timedelta:
    """From the first to the last day, both counted."""
    return days[-1] - days[0] + timedelta(days=1) if days else timedelta(0)
