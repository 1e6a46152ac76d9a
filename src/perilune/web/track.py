"""A run laid out for a page: its actions in stages, what came of each, the drawing, and the trail behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from textwrap import wrap

from perilune.model.actions import Action, Approval, Outcome, Plan, Request, Result
from perilune.report.text import shorten, visible
from perilune.response.kinds import KINDS, KindRow, openc2
from perilune.service.playbooks import library_of
from perilune.store.audit import Line
from perilune.store.runlist import Asked
from perilune.store.runs import Run

STATES = {  # what an action's state is called, and its sign
    "ahead": ("not begun", "○"),
    "waiting": ("waits for approval", "◷"),
    "running": ("under way", "◐"),
    "done": ("done", "✓"),
    "already": ("held before", "✓"),
    "refused": ("refused", "⊘"),
    "failed": ("failed", "✗"),
    "unknown": ("unknown", "?"),
}
_LINE = 20  # characters of a line in a box
_BOXES = 7  # of one stage; more are counted
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 172, 46, 44, 14, 12


@dataclass(frozen=True, slots=True)
class Act:
    """One action of a run with everything that is known of it."""

    action: Action
    row: KindRow
    state: str
    openc2: str
    requests: Sequence[Request] = ()
    result: Result | None = None
    began: str = ""
    ended: str = ""
    before: str = ""
    after: str = ""
    reference: str = ""
    reversible: bool = False

    @property
    def word(self) -> str:
        return STATES[self.state][0]

    @property
    def sign(self) -> str:
        return STATES[self.state][1]


@dataclass(frozen=True, slots=True)
class Stage:
    """Actions that one step of the playbook asks for, in order."""

    name: str
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """An action in the drawing."""

    x: int
    y: int
    state: str
    sign: str
    number: int
    lines: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    boxes: tuple[Box, ...]
    paths: tuple[str, ...]


def acts_of(
    plan: Plan, waiting: str, results: Mapping[int, Result], lines: Sequence[Line], asked: Sequence[Asked]
) -> list[Act]:
    """The plan's actions with what was recorded of them."""
    seen = _seen(asked)
    times = _times(lines)
    told = {n: r for line in lines if line.kind == "ended" for n, r in _told(line)}
    found = []
    for action in plan.actions:
        result = results.get(action.number) or told.get(action.number)
        before, after, reference = seen.get(action.key, ("", "", ""))
        began, ended = times.get(action.number, ("", ""))
        found.append(
            Act(
                action, KINDS[action.kind], _state(action, result, waiting, began, ended),
                openc2(action.kind, action.target.type), (), result, began, ended, before, after, reference,
                result is not None and result.outcome is Outcome.DONE and KINDS[action.kind].inverse is not None,
            )
        )  # fmt: skip
    return found


def _state(action: Action, result: Result | None, waiting: str, began: str, ended: str) -> str:
    if waiting.startswith(f"approval of action {action.number}:"):
        return "waiting"
    if result is not None and (ended or result.outcome is not Outcome.UNKNOWN):
        return result.outcome.value
    return "running" if began else "ahead"


def _seen(asked: Sequence[Asked]) -> dict[str, tuple[str, str, str]]:
    """By action: what was read before the act and after it, and the product's reference."""
    found: dict[str, tuple[str, str, str]] = {}
    for one in asked:
        kind, _, key = one.step.partition("|")
        before, after, reference = found.get(key, ("", "", ""))
        read = one.answer.get("observation")
        if kind == "Check" and isinstance(read, dict):
            words = f"{read.get('state')}: {read.get('detail') or 'no more was said'}"
            found[key] = (before, words, reference) if before else (words, after, reference)
        receipt = one.answer.get("receipt")
        if kind == "Do" and isinstance(receipt, dict):
            found[key] = (before, after, str(receipt.get("reference") or ""))
    return found


def _told(line: Line) -> Iterator[tuple[int, Result]]:
    """The end of an action that was never begun, such as one that somebody denied."""
    number, outcome = line.body.get("action"), line.body.get("outcome")
    if isinstance(number, int) and outcome in set(Outcome):
        yield number, Result(Outcome(str(outcome)), str(line.body.get("detail") or ""))


def _times(lines: Sequence[Line]) -> dict[int, tuple[str, str]]:
    """By action: when it was begun and ended."""
    found: dict[int, tuple[str, str]] = {}
    for line in lines:
        number = line.body.get("action")
        if not isinstance(number, int):
            continue
        began, ended = found.get(number, ("", ""))
        if line.kind == "intent":
            found[number] = (line.at, ended)
        elif line.kind == "ended":
            found[number] = (began or line.at, line.at)
    return found


def stages(plan: Plan, acts: Sequence[Act]) -> list[Stage]:
    """The acts by the step of the main playbook that they belong to."""
    if plan.undoes:
        return [Stage(f"Takes back {plan.undoes}" if n == 0 else "", (act,)) for n, act in enumerate(acts)]
    names = _names(plan)
    grouped = groupby(acts, key=lambda act: act.action.step.split("/")[0])
    return [Stage(names.get(step, "Step"), tuple(found)) for step, found in grouped]


def _names(plan: Plan) -> dict[str, str]:
    if not plan.documents:
        return {}
    main = library_of(plan.documents[:1])[plan.documents[0].id]
    return {key: step.name for key, step in main.workflow.items() if step.name}


def draw(found: Sequence[Stage]) -> Drawing:
    """Stages from left to right, their acts beneath each other, every act tied to those of the next stage."""
    tallest = max((min(len(stage.acts), _BOXES + 1) for stage in found), default=0)
    height = EDGE * 2 + tallest * HEIGHT + max(tallest - 1, 0) * DOWN
    columns = [_column(stage, EDGE + n * (WIDTH + ACROSS), height) for n, stage in enumerate(found)]
    paths = [path for left, right in pairwise(columns) for path in _ties(left, right, height // 2)]
    width = EDGE * 2 + len(found) * WIDTH + max(len(found) - 1, 0) * ACROSS
    return Drawing(width, height, tuple(box for column in columns for box in column), tuple(paths))


def _column(stage: Stage, x: int, height: int) -> list[Box]:
    shown = stage.acts if len(stage.acts) <= _BOXES + 1 else stage.acts[:_BOXES]
    count = len(shown) + (len(shown) < len(stage.acts))
    top = (height - count * HEIGHT - (count - 1) * DOWN) // 2
    boxes = [_box(act, x, top + n * (HEIGHT + DOWN)) for n, act in enumerate(shown)]
    if len(shown) < len(stage.acts):
        more = f"and {len(stage.acts) - len(shown)} more"
        rest = stage.acts[len(shown)].action.number
        boxes.append(Box(x, top + len(shown) * (HEIGHT + DOWN), "ahead", "…", rest, (more, "listed below"), more))
    return boxes


def _box(act: Act, x: int, y: int) -> Box:
    name = act.action.kind.value.replace("-", " ").capitalize()
    target = visible(act.action.target.value).replace("\\", "/").rstrip("/")
    last = target if len(target) <= _LINE else target.rsplit("/", 1)[-1]
    lines = (wrap(name, _LINE)[0], last if len(last) <= _LINE else last[: _LINE - 1] + "…")
    label = f"action {act.action.number}: {name}, {shorten(act.action.target.words, 200)}: {act.word}"
    return Box(x, y, act.state, act.sign, act.action.number, lines, label)


def _ties(left: Sequence[Box], right: Sequence[Box], middle: int) -> list[str]:
    """Lines from one stage to the next; where both hold several acts they meet half-way, so that none cross."""
    out = [(one.x + WIDTH, one.y + HEIGHT // 2) for one in left]
    into = [(one.x, one.y + HEIGHT // 2) for one in right]
    if len(left) > 1 and len(right) > 1:
        hub = (out[0][0] + ACROSS // 2, middle)
        return [*(_curve(one, hub) for one in out), *(_curve(hub, one) for one in into)]
    return [_curve(one, other) for one in out for other in into]


def _curve(one: tuple[int, int], other: tuple[int, int]) -> str:
    half = (one[0] + other[0]) // 2
    return f"M{one[0]} {one[1]} C{half} {one[1]} {half} {other[1]} {other[0]} {other[1]}"


def progress(acts: Sequence[Act]) -> tuple[int, int]:
    """How many actions came to an end, of how many."""
    return sum(act.state not in ("ahead", "waiting", "running") for act in acts), len(acts)


def undecided(run: Run, decisions: Sequence[Approval], now: datetime) -> list[Action]:
    """The actions that still need somebody's approval."""
    from perilune.store.runs import approval_of

    if run.status in ("finished", "cancelled"):
        return []
    return [
        action for action in run.plan.actions
        if action.approvers and approval_of(decisions, run.plan_hash, action, now)[0] is None
    ]  # fmt: skip
