"""The simulated fleet, and its faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune.connectors.simulated import Fault, Simulated
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, Role, State
from tests.response.build import FILE, HOST, action


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_holds_after_it_was_done(kind: Kind) -> None:
    fleet = Simulated()
    one = action(kind, HOST)
    begun = fleet.check(one).state
    assert fleet.act(one, "R-1:1").outcome is Outcome.DONE
    assert fleet.check(one).state is State.HOLDS
    assert begun in (State.ABSENT, State.HOLDS)  # releasing what was never isolated holds from the start


def test_an_inverse_takes_it_back() -> None:
    fleet = Simulated()
    fleet.act(action(Kind.QUARANTINE_FILE, FILE), "R-1:1")
    assert fleet.check(action(Kind.RESTORE_FILE, FILE)).state is State.ABSENT
    fleet.act(action(Kind.RESTORE_FILE, FILE), "R-2:1")
    assert fleet.check(action(Kind.QUARANTINE_FILE, FILE)).state is State.ABSENT


def test_the_fleet_in_a_file_is_the_same_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    Simulated(path).act(action(), "R-1:1")
    other = Simulated(path)
    assert other.check(action()).state is State.HOLDS
    assert other.endpoints("web-01")[0].role is Role.WORKSTATION


def test_faults_come_as_often_as_they_were_ordered() -> None:
    fleet = Simulated()
    fleet.fleet.faults = [Fault("isolate-host", "fail"), Fault("isolate-host", "away"), Fault("*", "half")]
    assert fleet.check(action()).state is State.AWAY
    assert fleet.act(action(), "k").outcome is Outcome.FAILED
    assert fleet.act(action(), "k").outcome is Outcome.DONE  # an answer of success, and nothing happened
    assert fleet.check(action()).state is State.ABSENT
    assert fleet.act(action(), "another").outcome is Outcome.DONE  # under the same key it would do nothing
    assert fleet.check(action()).state is State.HOLDS


@pytest.mark.parametrize(("what", "state"), [("timeout", State.ABSENT), ("lost", State.HOLDS)])
def test_no_answer_may_mean_that_it_happened_or_not(what: str, state: State) -> None:
    fleet = Simulated()
    fleet.fleet.faults = [Fault("*", what)]
    with pytest.raises(ConnectorError):
        fleet.act(action(), "k")
    assert fleet.check(action()).state is state
