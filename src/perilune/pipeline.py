"""The story, one function per arrow: files -> tables -> matches -> findings -> cases.

Each room takes a value and returns a new one. Read `hunt` downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from perilune import asking, correlating, history, readers, reading, sweeping
from perilune.casework import investigate
from perilune.correlating import correlated
from perilune.decoding import Decoder
from perilune.detection import cache as compiled
from perilune.detection import linking, matching
from perilune.detection.kql import hunts
from perilune.detection.oracle import Explanation
from perilune.errors import UsageError
from perilune.judging import Hits, host_key, judge
from perilune.model.case import Case
from perilune.model.findings import Explained, Finding
from perilune.model.rules import Level, Refusal, Role, Rule, RuleSet
from perilune.model.sources import SourceReport
from perilune.model.suppression import Suppressed
from perilune.model.tables import EventRef, Table
from perilune.runners import local
from perilune.store.spool import Spool
from perilune.store.strewn import Strewn
from perilune.surroundings import load_surroundings
from perilune.triage.suppression import suppress
from perilune.triage.verdict import Feedback

if TYPE_CHECKING:
    from perilune.runners.spark import Cluster

Progress = Callable[[SourceReport], None]
PROCESSES = "processes"  # the runner that is this machine's own
SIGMA = ("sigma", "correlations", "known_hosts")  # the folders of Sigma files in a content folder


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt found and what it could see.

    cases      most urgent first
    findings   heaviest first
    explained  runs of an interpreter that a known host explains
    sources    what each file gave
    refused    rules that could not be evaluated, and why
    cut        by rule id, how many further matches were counted but not listed
    undecoded  events whose text was not decoded for the rules because the budget was used up
    unpaired   matched events that no correlation looked at because there were too many
    suppressed what each suppression of the content folder took out, and which have expired
    """

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    explained: tuple[Explained, ...]
    sources: tuple[SourceReport, ...]
    rules: int
    refused: tuple[Refusal, ...]
    cut: Mapping[str, int]
    undecoded: int
    unpaired: int
    spool: Spool = field(repr=False)
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The rows that were read, by table, as Arrow; only tables and columns that hold something."""
        return {name: self.spool.table(name).data for name in sorted(self.spool.rows) if self.spool.rows[name]}


def hunt(
    paths: Iterable[str | Path],
    *,
    rules: Iterable[str | Path] = (),
    pack: bool = True,
    content: Path | None = None,
    cache: Path | None = None,
    choice: Choice | None = None,
    limits: readers.Limits | None = None,
    jobs: int | None = 1,
    progress: Progress | None = None,
    feedback: Feedback | None = None,
    baseline: Path | None = None,
    today: date | None = None,
    runner: str | None = None,
) -> Hunt:
    """Reads logs and returns ranked cases.

    Args:
        paths: files and folders, of any supported format, archives included.
        rules: files and folders of Sigma rules and KQL hunts to use besides the pack.
        pack: whether to use the rules and known hosts that ship with Perilune.
        content: the user's own content folder, laid out as the packaged one.
        cache: a folder for compiled rules, which makes the next start fast.
        choice: which of the loaded rules to use.
        limits: budgets of the readers.
        jobs: processes that read, where there is much to read; None for one per core.
        progress: called with each file's report as it is done.
        feedback: by rule id, how often people called its cases true and false.
        baseline: the folder of a learned history, as `perilune baseline build` makes it.
        today: decides which suppressions have expired and how old an entry of a list is.
        runner: who matches what lies in Parquet: a Spark master, or `processes` of this machine, as many as `jobs`
            says; None for this process alone.
    """
    today = today or datetime.now(UTC).date()
    past = history.load(baseline) if baseline else None
    ruleset = select(load_rules(rules, pack=pack, content=content, cache=cache), choice or Choice())
    source = _Source(tuple(Path(p) for p in paths), limits, reading.Own(content), jobs, progress)
    with _detected(ruleset, source, runner) as seen:
        refused = _run_hunts(ruleset, seen)
        judged = correlated(judge(seen.hits, seen.spool, seen.decoder), ruleset.rules, seen.hits, seen.spool)
        beside = load_surroundings(content, today)
        kept, suppressed = suppress(judged.findings, beside.suppressions, today)
        judged = replace(judged, findings=kept)
        around = replace(beside.around, learned=past.about(judged.findings) if past else None)
        seen.spool.expect({host_key(finding.row, finding.event) for finding in judged.findings})
        cases, findings = investigate(judged, seen.spool, seen.sources, around, feedback)
    return Hunt(
        cases=cases,
        findings=findings,
        explained=judged.explained,
        sources=tuple(seen.sources),
        rules=sum(rule.role is Role.DETECTION for rule in ruleset.rules),
        refused=(*ruleset.refused, *refused, *beside.refused),
        cut=judged.cut,
        undecoded=seen.decoder.skipped,
        unpaired=judged.unpaired,
        spool=seen.spool,
        suppressed=suppressed,
    )


@dataclass(slots=True)
class Seen:
    """What was read and what the rules matched in it."""

    hits: Hits
    spool: Spool = field(default_factory=Spool)
    decoder: Decoder = field(default_factory=Decoder)
    sources: list[SourceReport] = field(default_factory=list)
    cluster: Cluster | None = None  # of whose workers it was, as long as it is open


@dataclass(frozen=True, slots=True)
class _Source:
    """What is to be read, and how."""

    paths: tuple[Path, ...]
    limits: readers.Limits | None
    own: reading.Own
    jobs: int | None
    progress: Progress | None

    def read(self, paths: Iterable[str | Path]) -> Iterator[Table | SourceReport]:
        return reading.read(paths, self.limits, own=self.own, jobs=self.jobs)


@contextmanager
def _detected(ruleset: RuleSet, source: _Source, runner: str | None) -> Iterator[Seen]:
    """What was read and matched, here or by the workers of a cluster, for as long as these can be asked for rows."""
    if runner is None:
        yield detect(ruleset, source.read(source.paths), source.progress)
        return
    with _workers(runner, source.jobs) as (run, cluster):
        spool = Strewn(run)
        seen = Seen(Hits(ruleset.rules), spool, cluster=cluster)
        found = sweeping.find(source.paths, source.limits or readers.Limits())
        _sweep(ruleset, found, seen, spool, run, source.progress)
        detect(ruleset, source.read(found.rest), source.progress, seen)
        try:
            yield seen
        finally:
            spool.release()
            seen.cluster = None


@contextmanager
def _workers(runner: str, jobs: int | None) -> Iterator[tuple[Any, Cluster | None]]:
    """What does a task's items, in their order; and the cluster, where it is one."""
    if runner == PROCESSES:
        yield partial(local.run, workers=jobs), None
        return
    from perilune.runners import spark  # late: only where it is asked for

    with spark.open_cluster(runner) as cluster:
        yield partial(spark.run, cluster), cluster


def _sweep(
    ruleset: RuleSet, found: sweeping.Found, seen: Seen, spool: Strewn, run: sweeping.Run, progress: Progress | None
) -> None:
    """The same as `detect` for what workers read: rows stay where they are, and their places are known beforehand."""
    rules = _on_batches(ruleset)
    starts = {share: spool.refer(share.name, share) for share in found.all}
    for item in chain(found.reports, sweeping.sweep(rules, found, run)):
        if isinstance(item, SourceReport):
            _note(seen, item, progress)
        elif isinstance(item, sweeping.Lost):
            spool.lose(item.share)
        else:
            matches = zip(item.rules.tolist(), item.rows.tolist(), strict=True)
            seen.hits.add(item.share.name, starts[item.share], ((rules.rules[n], row) for n, row in matches))
            if item.candidates is not None:
                _decode(rules, item.candidates, seen)


def detect(
    ruleset: RuleSet,
    items: Iterable[Table | SourceReport],
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Seen:
    """Matches every batch as it is read; small ones are gathered first."""
    seen = seen or Seen(Hits(ruleset.rules))
    rules = _on_batches(ruleset)
    gathering = matching.Gathering()
    for item in items:
        if isinstance(item, SourceReport):
            _note(seen, item, progress)
            continue
        for batch in gathering.add(item):
            _match(rules, batch, seen)
    for batch in gathering.rest():
        _match(rules, batch, seen)
    return seen


def _note(seen: Seen, report: SourceReport, progress: Progress | None) -> None:
    seen.sources.append(report)
    if progress is not None:
        progress(report)


def _match(rules: RuleSet, batch: Table, seen: Seen) -> None:
    seen.hits.add(batch.name, seen.spool.add(batch), matching.match(rules, batch))
    _decode(rules, batch, seen)


def _decode(rules: RuleSet, batch: Table, seen: Seen) -> None:
    """The second pass: rules see what was decoded as a script of its own."""
    hidden = seen.decoder.rows_of(batch)
    if hidden is not None:
        seen.hits.add(hidden.name, seen.spool.add(hidden), matching.match(rules, hidden))


def _on_batches(ruleset: RuleSet) -> RuleSet:
    return RuleSet(tuple(rule for rule in ruleset.rules if not _runs_at_the_end(rule)))


def _runs_at_the_end(rule: Rule) -> bool:
    """Hunts and correlations need all that was read."""
    return hunts.is_hunt(rule) or linking.is_correlation(rule)


def _run_hunts(ruleset: RuleSet, seen: Seen) -> tuple[Refusal, ...]:
    """Asks each KQL hunt over all that was read; its rows are matches like any other. Returns those that failed."""
    found, refused = asking.ask([rule for rule in ruleset.rules if hunts.is_hunt(rule)], seen.spool, seen.cluster)
    for one in found:
        seen.hits.note(one.rule, (one.table, one.place), one.evidence)
    return tuple(refused)


def load_rules(
    paths: Iterable[str | Path] = (), *, pack: bool = True, content: Path | None = None, cache: Path | None = None
) -> RuleSet:
    """The pack, the user's own content, and the given rules; a rule given twice counts once."""
    found: list[RuleSet] = []
    if pack:
        with as_file(files("perilune") / "content") as folder:
            sigma = [folder / name for name in SIGMA]
            found.append(_of_pack(compiled.load(sigma, cache), folder))
            found.append(_of_pack(hunts.load([folder / "hunts"]), folder))
    given = [Path(p) for p in paths]
    own = [folder for name in SIGMA if content is not None and (folder := content / name).is_dir()]
    # Together, as the user's filters and the values of placeholders are meant for all of them.
    found.append(compiled.load([*own, *(path for path in given if path.suffix != ".kql")], cache))
    found.append(hunts.load([*([content / "hunts"] if content is not None else []), *given]))
    unique = {rule.digest: rule for ruleset in found for rule in ruleset.rules}
    refused = tuple(refusal for ruleset in found for refusal in ruleset.refused)
    return linking.link(RuleSet(tuple(unique.values()), refused))


def _of_pack(ruleset: RuleSet, folder: Path) -> RuleSet:
    """The pack's rules, named by their place in it and not by where it happens to be installed."""
    rules = (replace(rule, source=rule.source.replace(f"{folder}/", "pack:")) for rule in ruleset.rules)
    return RuleSet(tuple(rules), ruleset.refused)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the loaded rules a hunt uses. Known uses are always used, unless they are excluded.

    least    rules of this level and above
    tags     rules with one of these tags, or with one below it (`t1059` takes `attack.t1059.011`); none: all
    exclude  not the rules with one of these ids, titles or tags
    """

    least: Level = Level.INFORMATIONAL
    tags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, rule: Rule) -> bool:
        names = {rule.id.lower(), rule.title.lower()}
        if any(name.lower() in names or _tagged(rule, name) for name in self.exclude):
            return False
        if rule.role is Role.CONTEXT:
            return True
        if rule.role is Role.PART:
            return False
        return rule.level >= self.least and (not self.tags or any(_tagged(rule, tag) for tag in self.tags))


def _tagged(rule: Rule, tag: str) -> bool:
    wanted = tag.lower().removeprefix("attack.")
    tags = (own.lower().removeprefix("attack.") for own in rule.tags)
    return any(own == wanted or own.startswith(f"{wanted}.") for own in tags)


def select(ruleset: RuleSet, choice: Choice) -> RuleSet:
    """The rules that a hunt uses; what its correlations need of the others are parts of these only."""
    chosen = {number for number, rule in enumerate(ruleset.rules) if choice.takes(rule)}
    parts = linking.needed(ruleset.rules, chosen)
    rules = (
        rule if number in chosen or rule.role is Role.CONTEXT else replace(rule, role=Role.PART)
        for number, rule in enumerate(ruleset.rules)
        if number in chosen or number in parts
    )
    return RuleSet(tuple(rules), ruleset.refused)


@dataclass(frozen=True, slots=True)
class RuleOnEvent:
    """Why a rule does or does not hold on one event."""

    rule: Rule
    event: EventRef
    why: Explanation


def explain(
    rule: str, events: Path, *, content: Path | None = None, record: int | None = None, limit: int = 5
) -> list[RuleOnEvent]:
    """Tries one rule on a log's events, test by test; events that it holds on come first.

    Args:
        rule: an id or a title of the pack or of the user's content, or a Sigma file.
        events: a log of any supported format.
        record: only the event at this record number.
        limit: at most so many events.
    """
    wanted, known = _named_rules(rule, content)
    found: list[RuleOnEvent] = []
    for one in [one for one in wanted if linking.is_correlation(one)]:
        tables = _tables(events, content)
        needed = linking.needed(known.rules, {known.rules.index(one)})
        parts = RuleSet(tuple(r for n, r in enumerate(known.rules) if n in needed or r is one))
        found += [RuleOnEvent(one, event, why) for event, why in correlating.explain(parts, one, tables, limit)]
    plain = [one for one in wanted if not linking.is_correlation(one)]
    return found or _explained(plain, _tables(events, content), record, limit)


def _tables(events: Path, content: Path | None) -> Iterable[Table]:
    return (item for item in reading.read([events], own=reading.Own(content)) if isinstance(item, Table))


def _explained(wanted: list[Rule], tables: Iterable[Table], record: int | None, limit: int) -> list[RuleOnEvent]:
    held: list[RuleOnEvent] = []
    not_held: list[RuleOnEvent] = []
    for item in tables:
        for index, row in enumerate(item.data.to_pylist()):
            if len(held) >= limit or (record is not None and row.get("XSourceRecord") != record):
                continue
            for one in wanted:
                if any(scope.table == item.name for scope in one.scopes):
                    why = matching.explain(one, item.name, row)
                    chosen = held if why.held else not_held
                    if len(chosen) < limit:
                        chosen.append(RuleOnEvent(one, item.ref(index), why))
    return [*held, *not_held][:limit]


def _named_rules(rule: str, content: Path | None) -> tuple[list[Rule], RuleSet]:
    """The rules that a name stands for, and all that were loaded with them."""
    if Path(rule).is_file():
        given = linking.link(compiled.load([Path(rule)], None))
        if given.refused:
            raise UsageError(given.refused[0].reason, where=given.refused[0].source)
        return list(given.rules), given
    known = load_rules(content=content)
    found = [one for one in known.rules if rule.lower() in (one.id.lower(), one.title.lower())]
    if not found:
        raise UsageError(f"there is no rule {rule!r}", hint="give a file, or an id from `perilune rules list --json`")
    return found, known
