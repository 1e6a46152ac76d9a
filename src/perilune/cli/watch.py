"""`perilune watch`: live sources in, cases out as they arise."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from perilune.cli.hunt import LEVELS
from perilune.cli.main import EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from perilune.model.rules import Level
    from perilune.service.live.casing import Saved
    from perilune.service.live.sources import Source
    from perilune.service.live.status import Status
    from perilune.service.live.watcher import Watcher
    from perilune.settings import Settings

QUIET_TOO_LONG = 3600  # seconds without a row after which a source is coloured


@click.command(short_help="Follow live sources, and make cases of what is found in them.")
@click.argument("sources", nargs=-1)
@click.option("--lake", type=click.Path(path_type=Path, file_okay=False), help="Where rows are kept.  [default: lake]")
@click.option(
    "--rules",
    "-r",
    "rule_paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder of Sigma rules to use besides the pack (repeatable).",
)
@click.option("--no-pack", is_flag=True, help="Use only the rules given with --rules.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="informational",
    show_default=True,
    help="Use only rules of this level and above.",
)
@click.option(
    "--show",
    type=click.Choice(LEVELS),
    default="low",
    show_default=True,
    help="Print only cases of this severity and above.",
)
@click.option(
    "--from",
    "begin",
    type=click.Choice(["start", "end"]),
    default="start",
    show_default=True,
    help="Where a file begins to be read that was never read before.",
)
@click.option("--once", is_flag=True, help="Read what is there, then end.")
@click.option(
    "--batch",
    type=click.IntRange(100, 100_000),
    default=5_000,
    show_default=True,
    help="Rows taken in one turn, at most.",
)
@click.option(
    "--delay",
    type=click.FloatRange(0.01, 60),
    default=0.25,
    show_default=True,
    help="Seconds between turns when nothing is waiting.",
)
@click.option(
    "--keep-days", type=click.IntRange(0), default=0, help="Days of rows that the lake keeps.  [default: all]"
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, file_okay=False),
    help="The history that is asked and that learns as rows come; else the setting's.",
)
@click.option("--status", "ask", is_flag=True, help="Say how the watcher of the lake is doing, and end.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines as things happen; one object with --status.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def watch(
    sources: tuple[str, ...], lake: Path | None, rule_paths: tuple[Path, ...], no_pack: bool, level: str, show: str,
    begin: str, once: bool, batch: int, delay: float, keep_days: int, baseline: Path | None, ask: bool, as_json: bool,
    quiet: bool,
) -> int:  # fmt: skip
    """Follow SOURCES until stopped (Ctrl-C), keep their rows in the lake, and make cases of what is found.

    A source is a file or folder of logs that grow (rotation is followed), `audit:` (programs that start on this
    machine, as root), `syslog+udp://HOST:PORT`, `syslog+tcp://…`, `syslog+tls://…`, `http://HOST:PORT` (Splunk HEC
    and Elasticsearch bulk) or `kafka://BROKER/TOPIC`.

    Killed at any moment and started again it goes on where it was: no row is kept twice, no finding is made twice.
    """
    from perilune import settings
    from perilune.model.rules import Level

    configured = settings.load()
    folder = lake or configured.home / "lake"
    if ask:
        return show_status(folder, as_json=as_json)
    if not sources:
        raise UsageError("nothing to follow", hint="give files or folders, or see `perilune watch --help`")
    _allow_many_files()
    stop = Event()
    teller = _Teller(Level[show.upper()], as_json=as_json)
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        watcher = _watcher(stack, configured, folder, sources, rule_paths, no_pack=no_pack, level=level, once=once,
                           begin=begin, batch=batch, delay=delay, keep_days=keep_days, baseline=baseline,
                           tell=teller.case)  # fmt: skip
        if not quiet:
            _say(f"watching {', '.join(sources)}; rows go to {folder} (Ctrl-C stops)")
        watcher.run(stop)
        return teller.end(watcher, folder, quiet=quiet)


def _watcher(
    stack: ExitStack, configured: Settings, folder: Path, names: Sequence[str], rule_paths: Sequence[Path], *,
    no_pack: bool, level: str, once: bool, begin: str, batch: int, delay: float, keep_days: int,
    baseline: Path | None, tell: Callable[[Saved], None],
) -> Watcher:  # fmt: skip
    """Everything that a watcher is made of, each closed at the end."""
    from perilune import pipeline, readers
    from perilune.model.rules import Level
    from perilune.service.live.addresses import Address, open_source
    from perilune.service.live.detecting import Detector
    from perilune.service.live.taking import PATIENCE, Taker
    from perilune.service.live.watcher import Options, Watcher
    from perilune.store.events import EventLake

    content = configured.content if configured.content.is_dir() else None
    rules = pipeline.load_rules(
        [*rule_paths, *configured.rules], pack=not no_pack, content=content, cache=configured.cache
    )
    event_lake = stack.enter_context(EventLake(folder))
    found = [open_source(Address(name, folder, once, begin == "end")) for name in dict.fromkeys(names)]
    own, packaged = readers.tools(content)
    taker = Taker(event_lake, found, packaged, own, patience=0.2 if once else PATIENCE)
    past = baseline or configured.baseline_folder
    detector = Detector(
        pipeline.select(rules, pipeline.Choice(Level[level.upper()])),
        configured.store_url, content=content, baseline=past,
    )  # fmt: skip
    stack.callback(detector.close)
    for source in found:
        stack.callback(_stopped(source))
        source.start()
    options = Options(batch, delay, once, keep_days, baseline=past, content=content)
    return Watcher(event_lake, taker, detector, options, tell)


def _allow_many_files() -> None:
    """Each file that is followed stays open: as many as this process may have."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _stopped(source: Source) -> Callable[[], None]:
    return source.stop


@contextmanager
def _signals(stop: Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the watch in order; the second is a plain interrupt."""

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Prints a line for each case that is new or has grown."""

    def __init__(self, least: Level, *, as_json: bool) -> None:
        self._least = least
        self._as_json = as_json

    def case(self, saved: Saved) -> None:
        from perilune.store.cases import Outcome

        if saved.case.level < self._least or saved.outcome not in (Outcome.NEW, Outcome.GROWN):
            return
        if self._as_json:
            from perilune.cli import output

            self._line({"type": "case", "outcome": saved.outcome.value, "added": saved.findings,
                        "at": datetime.now(UTC), "case": output.case_object(saved.case, whole=False)})  # fmt: skip
            return
        from perilune.cli import console

        console.out.print(_arrival(saved), soft_wrap=True)

    def end(self, watcher: Watcher, folder: Path, *, quiet: bool) -> int:
        """What came of it all."""
        from perilune.service.live import status

        told = status.load(folder)
        if self._as_json:
            self._line({"type": "end", **status_object(told)})
        elif not quiet:
            rows = sum(tally.rows for tally in watcher.taker.tallies.values())
            counts = watcher.counts()
            _say(f"stopped: {rows:,} rows, {counts['findings']:,} new findings, {counts['cases']:,} new cases")
            for line in _worries(told):
                _say(line)
        return EXIT_PARTIAL if any(_worries(told)) else EXIT_NOTHING

    def _line(self, one: dict[str, object]) -> None:
        from perilune.cli import output

        sys.stdout.buffer.write(output.dump(one, indent=False) + b"\n")
        sys.stdout.buffer.flush()


def _arrival(saved: Saved) -> Text:
    """The line of a case that is new, or that more was found for."""
    from rich.text import Text

    from perilune.cli import console
    from perilune.store.cases import Outcome

    case = saved.case
    more = "" if saved.outcome is Outcome.NEW else f"  +{saved.findings:,}"
    parts = (
        f"{datetime.now():%H:%M:%S}  ", console.severity(case.level), f"  {case.score:>3}  {case.id}{more}  ",
        console.plain(case.title, 80), "  on ", console.plain(case.host, 60),
        "  by " if case.users else "", console.plain(", ".join(case.users[:2]), 60),
    )  # fmt: skip
    return Text.assemble(*parts)


def show_status(folder: Path, *, as_json: bool) -> int:
    """How the watcher of a lake is doing: 0 where all is well."""
    from perilune.cli import output
    from perilune.service.live import status

    told = status.load(folder)
    if as_json:
        sys.stdout.buffer.write(output.dump(status_object(told)) + b"\n")
    else:
        for line in _status_lines(told, folder):
            click.echo(line)
    return EXIT_PARTIAL if any(_worries(told)) else EXIT_NOTHING


def status_object(told: Status) -> dict[str, object]:
    """The status as `--json` gives it."""
    from perilune import __version__

    return {
        "perilune": __version__,
        "state": told.state,
        "watcher": dict(told.watcher),
        "sources": [{"name": name, **source} for name, source in told.sources.items()],
    }


def _status_lines(told: Status, folder: Path) -> Iterator[str]:
    from perilune.report.text import visible

    if told.state == "never":
        yield f"no watcher has written {folder}"
        return
    said = told.watcher
    yield f"{told.state}: process {said.get('process')}, last word {_ago(said.get('at'))}, {said.get('memory_mb')} MB"
    counts = f"{said.get('findings', 0):,} findings, {said.get('cases', 0):,} new cases"
    yield f"{counts} since it began {_ago(said.get('since'))}"
    if said.get("delay_p50") is not None:
        yield f"from event to case: half within {said['delay_p50']} s, 95 of 100 within {said['delay_p95']} s"
    for name, source in told.sources.items():
        yield visible(
            f"{name}: {source.get('doing')}, {source.get('rows', 0):,} rows, "
            f"{source.get('behind_bytes', 0):,} bytes behind, last row {_ago(source.get('last'))}"
        )
    for line in _worries(told):
        yield visible(line)


def _worries(told: Status) -> Iterator[str]:
    """What somebody should look at."""
    if told.state == "silent":
        yield f"the watcher ended without a word {_ago(told.watcher.get('at'))}"
    problems = told.watcher.get("problems")
    for what, problem in problems.items() if isinstance(problems, dict) else ():
        yield f"{what}: {problem}"
    if waiting := told.watcher.get("not_looked_at"):
        yield f"{waiting:,} rows are in the lake and were not looked at yet"
    for name, source in told.sources.items():
        if source.get("problem"):
            yield f"{name}: {source['problem']}"
        for kind in ("lost", "faults"):
            counts = source.get(kind)
            for what, count in counts.items() if isinstance(counts, dict) else ():
                yield f"{name}: {kind}: {count:,} x {what}"


def _ago(when: object) -> str:
    if not isinstance(when, float | int):
        return "never"
    seconds = max(0, int(time.time() - when))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60:,} min ago" if seconds < 7200 else f"{seconds // 3600:,} h ago"


def _say(text: str) -> None:
    from perilune.report.text import visible

    click.echo(f"perilune: {visible(text)}", err=True)
