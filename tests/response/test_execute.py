"""What one action goes through, and that nothing outside the plan is done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from perilune.model.actions import Observation, Outcome, Receipt, Result, State
from perilune.response.execute import POLLS, WAITS, execute, run
from perilune.response.steps import Answer, Approve, Ask, Check, Decision, Do, Ended, Escalate, Pause, Step
from tests.response.build import action, subject
from tests.response.test_plan import plan

YES = Decision(True)
ABSENT, HOLDS = Observation(State.ABSENT), Observation(State.HOLDS)
PENDING, AWAY, UNKNOWN = (
    Observation(State.PENDING),
    Observation(State.AWAY, "off"),
    Observation(State.UNKNOWN, "timeout"),
)
DONE = Receipt(Outcome.DONE)


def played(answers: Sequence[Answer], **more: int) -> tuple[Result, list[str]]:
    """The result, and the names of what was asked; pauses and records need no answer."""
    acting = execute(action(**more))  # type: ignore[arg-type]
    asked: list[str] = []
    given = iter(answers)
    answer: Answer = None
    try:
        while True:
            step = acting.send(answer)
            asked.append(type(step).__name__)
            answer = None if isinstance(step, Pause | Escalate | Ended) else next(given)
    except StopIteration as end:
        return end.value, asked


def test_the_good_way_is_approve_look_do_look() -> None:
    result, asked = played([YES, ABSENT, DONE, HOLDS])
    assert result.outcome is Outcome.DONE
    assert asked == ["Approve", "Check", "Do", "Check", "Ended"]


def test_an_automatic_action_is_not_asked_about() -> None:
    assert played([ABSENT, DONE, HOLDS], approvers=0)[1][0] == "Check"


@pytest.mark.parametrize(
    ("answers", "outcome", "says"),
    [
        ([Decision(False, "denied by ana: no")], Outcome.REFUSED, "denied by ana"),
        ([YES, HOLDS], Outcome.ALREADY, ""),
        ([YES, UNKNOWN], Outcome.UNKNOWN, "nothing was sent"),
        ([YES, ABSENT, Receipt(Outcome.REFUSED, "expired")], Outcome.REFUSED, "expired"),
        ([YES, ABSENT, Receipt(Outcome.FAILED, "500")], Outcome.FAILED, "500"),
        ([YES, ABSENT, DONE, ABSENT], Outcome.FAILED, "does not hold"),
        ([YES, PENDING, PENDING, HOLDS], Outcome.DONE, ""),
        ([YES, ABSENT, DONE, *[PENDING] * (len(POLLS) + 1)], Outcome.UNKNOWN, "cannot be said"),
        ([YES, ABSENT, Receipt(Outcome.UNKNOWN, "lost"), HOLDS], Outcome.DONE, ""),
        ([YES, AWAY, AWAY, ABSENT, DONE, HOLDS], Outcome.DONE, ""),
        ([YES, *[AWAY] * (len(WAITS) + 1)], Outcome.FAILED, "did not come back"),
    ],
)
def test_every_way_ends_with_an_outcome_that_says_why(answers: list[Answer], outcome: Outcome, says: str) -> None:
    result, asked = played(answers)
    assert (result.outcome, says in result.detail) == (outcome, True)
    assert ("Escalate" in asked) == (outcome in (Outcome.FAILED, Outcome.UNKNOWN))
    assert asked[-1] == "Ended"


def test_a_pending_act_is_not_sent_a_second_time() -> None:
    assert "Do" not in played([YES, PENDING, HOLDS])[1]


def _drive(made, library, replies):  # type: ignore[no-untyped-def]
    running = run(made, library)
    done: list[str] = []
    state: dict[str, bool] = {}
    answer: Answer = None
    try:
        while True:
            step: Step = running.send(answer)
            answer = None
            match step:
                case Approve():
                    answer = YES
                case Check(one):
                    answer = HOLDS if state.get(one.key) else ABSENT
                case Do(one):
                    done.append(one.kind.value)
                    state[one.key] = True
                    answer = DONE
                case Ask():
                    answer = replies[step.question]
    except StopIteration as end:
        return end.value, done


def test_a_run_does_exactly_its_plan() -> None:
    from perilune.service.playbooks import library_of

    made = plan()
    results, done = _drive(made, library_of(made.documents), {})
    assert done == [one.kind.value for one in made.actions]
    assert {one.outcome for one in results.values()} == {Outcome.DONE}


def test_another_answer_than_was_assumed_leads_to_nothing_that_was_not_planned() -> None:
    from dataclasses import replace

    from perilune.service.playbooks import library_of

    unsure = replace(subject(), facts={"command-line": {"__verdict__": "suspicious"}, "related": {}})
    made = plan(unsure)
    question = "Is this activity malicious, or expected here?"
    results, done = _drive(made, library_of(made.documents), {question: "benign"})
    assert (results, done) == ({}, [])
