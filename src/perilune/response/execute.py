"""Carries out a plan, one question to the world at a time. Decides; whoever drives it touches.

Nothing that is not in the approved plan is ever done: where the walk comes to a step that the plan did not, because
somebody answered otherwise than was assumed, its actions are refused and a new plan is needed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from perilune.model.actions import Action, Observation, Outcome, Plan, Receipt, Result, State
from perilune.response.steps import (
    Answer,
    Approve,
    Check,
    Decision,
    Do,
    Ended,
    Escalate,
    Pause,
    Step,
    Tell,
)
from perilune.response.walk import Library, Order, World, walk

# Seconds between looks: whether an act that is under way holds (7 minutes), and whether a target is back (2 days).
POLLS = (1, 2, 4, 8, 15, 30, 60, 120, 180)
WAITS = (60, 120, 300, 900, 1800, *(3600,) * 47)

Running = Generator[Step, Answer, dict[int, Result]]
Acting = Generator[Step, Answer, Result]


def run(plan: Plan, library: Library) -> Running:
    """The whole plan; returns what came of each action by its number."""
    results: dict[int, Result] = {}
    if plan.undoes:
        for action in plan.actions:
            results[action.number] = yield from execute(action)
        return results

    def perform(order: Order) -> Generator[Step, Answer, Sequence[Result]]:
        return _perform(plan, results, order)

    yield from walk(World(library, plan.facts, plan.answers, perform), plan.documents[0].id, plan.inputs)
    return results


def _perform(plan: Plan, results: dict[int, Result], order: Order) -> Generator[Step, Answer, Sequence[Result]]:
    yield Tell("step", order.path, order.name)
    if order.path not in plan.steps:
        yield Tell("refused", order.path, f"{order.name}: not in the plan that was made; make a new plan")
        return [Result(Outcome.REFUSED, "not in the plan")]
    found: list[Result] = []
    for refusal in (one for one in plan.refusals if one.step == order.path):
        yield Tell("refused", order.path, f"{refusal.kind} {refusal.target.words}: {refusal.reason}")
        found.append(Result(Outcome.REFUSED, refusal.reason))
    for action in (one for one in plan.actions if one.step == order.path):
        if action.number not in results:
            results[action.number] = yield from execute(action)
        found.append(results[action.number])
    return found


def execute(action: Action) -> Acting:
    """One action: approved, looked at, done, seen to hold; whatever else is said and escalated."""
    result = yield from _attempt(action)
    if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        yield Escalate(action, result.detail)
    yield Ended(action, result)
    return result


def _attempt(action: Action) -> Acting:
    if action.approvers:
        decision = yield Approve(action)
        if not isinstance(decision, Decision) or not decision.granted:
            return Result(Outcome.REFUSED, decision.why if isinstance(decision, Decision) else "nobody decided")
    before = yield from _reachable(action)
    if before.state is State.HOLDS:
        return Result(Outcome.ALREADY, before.detail)
    if before.state is State.AWAY:
        return Result(Outcome.FAILED, f"the target did not come back: {before.detail}")
    if before.state is State.UNKNOWN:
        return Result(Outcome.UNKNOWN, f"nothing was sent, because its state cannot be read: {before.detail}")
    if before.state in (State.ABSENT, State.BLIND):
        receipt = yield Do(action)
        assert isinstance(receipt, Receipt)
        if receipt.outcome in (Outcome.REFUSED, Outcome.FAILED):
            return Result(receipt.outcome, receipt.detail)
        if before.state is State.BLIND:
            return _blind(receipt)
    return (yield from _verified(action))


def _blind(receipt: Receipt) -> Result:
    """Of what no call reads: done only where the product confirmed it in the act."""
    if receipt.confirmed:
        return Result(Outcome.DONE, receipt.detail)
    return Result(Outcome.UNKNOWN, f"it was sent, and no call reads whether it holds: {receipt.detail}")


def _reachable(action: Action) -> Generator[Step, Answer, Observation]:
    """The state before; a target that is away is waited for, visibly."""
    for seconds in (*WAITS, None):
        seen = yield Check(action)
        assert isinstance(seen, Observation)
        if seen.state is not State.AWAY or seconds is None:
            return seen
        yield Pause(seconds, f"{action.target.words} is away: {seen.detail}")
    raise AssertionError("the last wait returns")


def _verified(action: Action) -> Acting:
    """An answer of 200 is no proof: the state itself is read, until it holds or the time is over."""
    seen = Observation(State.UNKNOWN)
    for seconds in (*POLLS, None):
        answer = yield Check(action)
        assert isinstance(answer, Observation)
        seen = answer
        if seen.state is State.HOLDS:
            return Result(Outcome.DONE, seen.detail)
        if seen.state is State.ABSENT:
            return Result(Outcome.FAILED, f"it was sent and does not hold: {seen.detail}")
        if seconds is not None:
            yield Pause(seconds, f"{action.kind} of {action.target.words} is under way")
    return Result(Outcome.UNKNOWN, f"it was sent, and whether it holds cannot be said: {seen.detail or seen.state}")
