"""The engine with its deterministic twin: faults, waits, and acts that must not be doubled."""

from __future__ import annotations

import pytest

from perilune.connectors.simulated import Fault, Simulated
from perilune.model.actions import Action, Kind, Outcome, Receipt
from perilune.ports import look_again
from perilune.response.execute import run
from perilune.response.steps import Decision
from perilune.service.engine import Engine, Memory
from perilune.service.playbooks import library_of
from tests.response.build import action
from tests.response.test_plan import plan

YES = {"default": Decision(True)}


def drive(memory: Memory, fleet: Simulated) -> dict[int, Outcome] | str:
    made = plan()
    progress = Engine(memory, fleet, sleep=lambda seconds: None).drive(run(made, library_of(made.documents)))
    if progress.results is None:
        return progress.waiting
    return {number: one.outcome for number, one in progress.results.items()}


def calls(fleet: Simulated) -> list[str]:
    return [kind for kind, _, _ in fleet.fleet.calls]


def test_everything_approved_is_done_once() -> None:
    fleet = Simulated()
    assert set(drive(Memory(decisions=YES), fleet).values()) == {Outcome.DONE}  # type: ignore[union-attr]
    assert len(calls(fleet)) == len(set(calls(fleet))) == 7


def test_without_a_decision_the_run_waits_and_goes_on_where_it_stopped() -> None:
    fleet, memory = Simulated(), Memory(decisions={"isolate-host": Decision(True)})
    assert "approval of action 3: block-indicator" in str(drive(memory, fleet))
    assert calls(fleet) == ["isolate-host", "collect-evidence"]
    memory.decisions = YES
    drive(memory, fleet)
    assert len(calls(fleet)) == len(set(calls(fleet))) == 7


def test_a_denied_action_is_refused_and_the_rest_goes_on() -> None:
    fleet = Simulated()
    results = drive(Memory(decisions=YES | {"isolate-host": Decision(False, "no")}), fleet)
    assert results[1] is Outcome.REFUSED  # type: ignore[index]
    assert "isolate-host" not in calls(fleet)
    assert "terminate-tree" in calls(fleet)


@pytest.mark.parametrize(
    ("what", "outcome", "sent"),
    [("fail", Outcome.FAILED, 0), ("half", Outcome.FAILED, 1), ("refuse", Outcome.REFUSED, 0),
     ("lost", Outcome.DONE, 1), ("timeout", Outcome.FAILED, 0)],
)  # fmt: skip
def test_a_fault_gives_its_outcome_and_is_never_called_done(what: str, outcome: Outcome, sent: int) -> None:
    fleet = Simulated()
    fleet.fleet.faults = [Fault("isolate-host", what)]
    memory = Memory(decisions=YES)
    assert drive(memory, fleet)[1] is outcome  # type: ignore[index]
    assert calls(fleet).count("isolate-host") == sent
    escalated = [body["action"] for kind, body in memory.notes if kind == "escalate"]
    assert escalated == ([1] if outcome is Outcome.FAILED else [])


def test_a_host_that_is_away_is_waited_for() -> None:
    fleet, memory = Simulated(), Memory(decisions=YES)
    fleet.fleet.faults = [Fault("isolate-host", "away", times=3)]
    begun = memory.clock
    assert drive(memory, fleet)[1] is Outcome.DONE  # type: ignore[index]
    assert (memory.clock - begun).total_seconds() >= 60 + 120 + 300


def test_an_act_begun_before_a_crash_is_looked_at_before_it_is_sent_again() -> None:
    fleet, memory = Simulated(), Memory(decisions=YES)
    memory.begun["R-0:1"] = None
    fleet.fleet.marks["isolated host||web-01"] = True  # it had happened; only its end was never written
    engine = Engine(memory, fleet)
    assert engine._act(action()).outcome is Outcome.DONE
    assert calls(fleet) == []
    memory.begun["R-0:2"] = None
    assert engine._act(action(Kind.DISABLE_USER, number=2)).outcome is Outcome.DONE
    assert calls(fleet) == ["disable-user"]


def test_an_act_that_was_settled_before_a_crash_is_not_sent_again() -> None:
    """Killed between the end of an act and the answer that is kept of it, on a product that knows no keys."""
    fleet, memory = Simulated(remembers=False), Memory(decisions=YES)
    engine = Engine(memory, fleet)
    first = engine._act(action())
    fleet.fleet.marks.clear()  # whatever the product says by now
    assert engine._act(action()) == first
    assert calls(fleet) == ["isolate-host"]


class Late(Memory):
    """Leave ends at the look of this number."""

    looks = 0
    last = 1

    def fenced(self, action: Action) -> str:
        self.looks += 1
        return "the approval expired" if self.looks > self.last else ""


def test_leave_that_ends_while_the_connector_prepares_is_found_out_right_before_the_change() -> None:
    fleet, memory = Simulated(), Late(decisions=YES)
    receipt = Engine(memory, fleet)._act(action())
    assert (receipt.outcome, receipt.detail) == (Outcome.REFUSED, "the approval expired")
    assert calls(fleet) == []


def test_leave_that_ends_after_something_was_sent_is_unknown() -> None:
    class Twice(Simulated):
        def act(self, action: Action, key: str) -> Receipt:
            super().act(action, key)
            look_again()
            raise AssertionError("it was too late for this")

    memory = Late(decisions=YES)
    memory.last = 2
    assert Engine(memory, Twice())._act(action()).outcome is Outcome.UNKNOWN
