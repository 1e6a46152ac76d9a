"""Atomic tests run, recorded, hunted in, and weighed: which rule found which.

Each test's records become a log of their own, and all logs go through one hunt. So a finding belongs to the test whose
log holds its event; as each log has a host of its own, no test is found by what another did.
"""

from __future__ import annotations

import enum
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from perilune import pipeline
from perilune.errors import SensorError
from perilune.model.atomics import Atomic
from perilune.model.findings import Finding
from perilune.model.rules import Level
from perilune.service.netlink import Losses, Recording, connections, creations, executions, record
from perilune.service.validation import leftovers
from perilune.service.validation.atomics import RUNS
from perilune.service.validation.lab import Lab, Ran, open_lab, processes_of
from perilune.service.validation.telemetry import Told, by_session, made

TIMEOUT = 30.0  # seconds for one command
_MARK = "end-of-the-lab"
_PATIENCE = 20.0  # seconds for the last record


class State(enum.Enum):
    """What came of a test."""

    FOUND = "found"
    MISSED = "missed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Named:
    """A rule that held, with its level and techniques."""

    id: str
    title: str
    level: Level
    techniques: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One test and what came of it.

    reason     why it was not run, or what was odd
    rules      those that found it: of the test's own technique, at the level asked for or above
    others     further rules that held on its events
    events     lines of the audit that it left
    left       what it left behind: files that are still there after its clean-up, processes that still ran
    code       the command's exit code; None where it was not run or had to be ended
    """

    atomic: Atomic
    state: State
    reason: str = ""
    rules: tuple[Named, ...] = ()
    others: tuple[Named, ...] = ()
    events: int = 0
    left: tuple[str, ...] = ()
    code: int | None = None
    output: str = ""
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """All tests, and whether what was seen is all that there was.

    control  rules that held on a test that does nothing: what they find is the laboratory itself
    left     what is different on the machine, besides what single tests left
    whole    whether the audit's rules were in force from beginning to end
    """

    trials: tuple[Trial, ...]
    control: tuple[Named, ...]
    left: tuple[str, ...]
    losses: Losses
    whole: bool

    def count(self, state: State) -> int:
        return sum(trial.state is state for trial in self.trials)

    @property
    def is_clean(self) -> bool:
        return not self.left and not any(trial.left for trial in self.trials)

    @property
    def is_sound(self) -> bool:
        """Whether a test that was missed was really missed."""
        return self.whole and not self.losses and not self.control


Progress = Callable[[Atomic], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """How to judge: with which rules, from which level, and where to keep the recorded logs.

    root  whether tests that ask for it may run as root
    """

    least: Level = Level.LOW
    root: bool = False
    keep: Path | None = None
    rules: Sequence[str | Path] = ()
    content: Path | None = None
    cache: Path | None = None
    timeout: float = TIMEOUT


def validate(atomics: Sequence[Atomic], wish: Wish | None = None, progress: Progress | None = None) -> Validation:
    """Runs the tests and says which rule found each. Raises SensorError where this machine cannot be recorded."""
    wish = wish or Wish()
    before = leftovers.load_machine()
    with open_lab() as lab:
        recorded = _record(lab, atomics, wish, progress)
        trials = _left_behind(lab, recorded)
        stray = [f"file {path}" for path in leftovers.files_of(lab.user) if not _is_named(path, trials)]
    stray += leftovers.changes(before, leftovers.load_machine(), alone=leftovers.is_alone())
    with ExitStack() as stack:
        folder = wish.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = _hunt(trials, recorded, folder, wish)
    judged = tuple(_judge(trial, found, wish.least) for trial in trials)
    return Validation(judged, _named(found.get(CONTROL, ())), tuple(stray), recorded.losses, recorded.whole)


CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The tests as they ran, and what the audit told of each session."""

    trials: tuple[Trial, ...]
    control: int
    told: Mapping[int, Told]
    losses: Losses
    whole: bool


def _record(lab: Lab, atomics: Sequence[Atomic], wish: Wish, progress: Progress | None) -> Recorded:
    rules = [*executions(lab.user), *connections(lab.user), *creations(lab.user)]
    lines: list[str] = []
    trials: list[Trial] = []
    with record(rules) as recording:
        control = lab.run(":", lab.home(CONTROL), executor="sh").session
        for atomic in atomics:
            if progress is not None:
                progress(atomic)
            trials.append(_try(lab, atomic, wish))
            lines += _drain(recording)
        lines += _to_the_end(lab, recording)
        losses, whole = recording.losses(), recording.is_whole()
    return Recorded(tuple(trials), control, by_session(lines), losses, whole)


def _try(lab: Lab, atomic: Atomic, wish: Wish) -> Trial:
    home = lab.home(atomic.id)
    if reason := _why_not(lab, atomic, home, wish):
        return Trial(atomic, State.NOT_RUN, reason)
    ran = lab.run(atomic.command, home, executor=atomic.executor, root=atomic.elevation, timeout=wish.timeout)
    cleaned = _clean(lab, atomic, home, wish)
    left = [f"process {line}" for line in lab.end({ran.session, *((cleaned.session,) if cleaned else ())})]
    reason = "had to be ended: its time was over" if ran.code is None else ""
    if cleaned is not None and cleaned.code != 0:
        reason = "; ".join(filter(None, (reason, f"its clean-up ended with {cleaned.code}")))
    return Trial(
        atomic,
        State.MISSED,  # until a rule is found
        reason,
        left=tuple(left),
        code=ran.code,
        output=ran.output,
        session=ran.session,
    )


def _why_not(lab: Lab, atomic: Atomic, home: Path, wish: Wish) -> str:
    if "linux" not in atomic.platforms:
        return f"for {', '.join(atomic.platforms)}"
    if atomic.executor not in RUNS or atomic.checker not in RUNS:
        return f"its executor is {atomic.executor}"
    if atomic.elevation and not wish.root:
        return "asks for root: --allow-root"
    for dependency in atomic.dependencies:
        checked = lab.run(dependency.check, home, executor=atomic.checker, timeout=wish.timeout)
        if checked.code != 0:
            return f"needs {dependency.description}"
    return ""


def _clean(lab: Lab, atomic: Atomic, home: Path, wish: Wish) -> Ran | None:
    if not atomic.cleanup.strip():
        return None
    return lab.run(atomic.cleanup, home, executor=atomic.executor, root=atomic.elevation, timeout=wish.timeout)


def _drain(recording: Recording) -> list[str]:
    lines: list[str] = []
    while more := recording.read(0):
        lines += more
    return lines


def _to_the_end(lab: Lab, recording: Recording) -> list[str]:
    """Everything up to a last command, after which nothing of the tests can come."""
    lab.run(f"exec /bin/echo {_MARK}", lab.home(_MARK), executor="sh")
    lines: list[str] = []
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        lines += recording.read(0.5)
        if any(_MARK in line for line in lines):
            return lines + _drain(recording)
    raise SensorError("the audit fell silent", hint="another program may have switched it off: see `auditctl -s`")


def _left_behind(lab: Lab, recorded: Recorded) -> tuple[Trial, ...]:
    """The trials with the files that they made and that are still there."""
    found = []
    for trial in recorded.trials:
        told = recorded.told.get(trial.session or -1, Told())
        files = [f"file {path}" for path in leftovers.files_left(made(told.lines))]
        found.append(replace(trial, left=(*trial.left, *files), events=len(told.lines)))
    assert not processes_of(lab.sessions)
    return tuple(found)


def _is_named(path: str, trials: Iterable[Trial]) -> bool:
    return any(f"file {path}" in trial.left for trial in trials)


def _hunt(trials: Sequence[Trial], recorded: Recorded, folder: Path, wish: Wish) -> dict[str, list[Finding]]:
    """The findings of each test, by its id: the hunt that any log goes through."""
    folder.mkdir(parents=True, exist_ok=True)
    logs = {trial.atomic.id: trial.session for trial in trials if trial.session is not None}
    names: dict[str, str] = {}
    for name, session in {CONTROL: recorded.control, **logs}.items():
        path = folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', name)}.log"
        # a host of its own: what is correlated by host must not join the events of two tests
        lines = (f"node={name} {line}\n" for line in recorded.told.get(session, Told()).lines)
        path.write_text("".join(lines), encoding="utf-8")
        names[str(path)] = name
    hunted = pipeline.hunt(sorted(names), rules=wish.rules, content=wish.content, cache=wish.cache)
    hunted.spool.close()
    found: dict[str, list[Finding]] = {}
    for finding in hunted.findings:
        found.setdefault(names[finding.event.source], []).append(finding)
    return found


def _judge(trial: Trial, found: Mapping[str, list[Finding]], least: Level) -> Trial:
    if trial.state is State.NOT_RUN:
        return trial
    named = _named(found.get(trial.atomic.id, ()))
    rules = tuple(one for one in named if trial.atomic.technique in one.techniques and one.level >= least)
    others = tuple(one for one in named if one not in rules)
    reason = trial.reason if rules or trial.events else "; ".join(filter(None, (trial.reason, "left no records")))
    return replace(trial, state=State.FOUND if rules else State.MISSED, rules=rules, others=others, reason=reason)


def _named(findings: Iterable[Finding]) -> tuple[Named, ...]:
    """The rules of the findings, the highest level first."""
    rules = {one.rule_id: Named(one.rule_id, one.rule_title, one.level, one.techniques) for one in findings}
    return tuple(sorted(rules.values(), key=lambda rule: (-rule.level, rule.title)))
