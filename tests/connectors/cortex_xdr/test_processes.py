"""Processes ended by Cortex's own id of them, found from number and start."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, State, Target, TargetType
from tests.build import at
from tests.connectors.cortex_xdr.fake import Fake
from tests.response.build import action

PROCESS = Target(TargetType.PROCESS, "/usr/bin/lua", "web-01", 4242, at(0))
END, TREE = action(Kind.TERMINATE_PROCESS, PROCESS), action(Kind.TERMINATE_TREE, PROCESS)


def seen(instance: str, causality: str, seconds: float = 0) -> dict[str, object]:
    begun = at(0) + timedelta(seconds=seconds)
    return {
        "action_process_os_pid": 4242, "action_process_instance_id": instance, "action_process_causality_id": causality,
        "action_process_instance_execution_time": begun.timestamp() * 1000,
        "causality_actor_process_image_name": "sshd",
    }  # fmt: skip


@pytest.fixture
def known(fake: Fake) -> Fake:
    fake.processes = [seen("i1", "i1"), seen("old", "old", -200)]
    return fake


def asked(fake: Fake, call: str) -> list[dict[str, object]]:
    return [one.json()["request_data"] for one in fake.vendor.asked if f"/{call}/" in one.path]


def test_a_process_is_ended_by_its_instance_and_polled(cortex: CortexXdr, known: Fake) -> None:
    assert cortex.check(END).state is State.ABSENT
    receipt = cortex.act(END, "R-1:1")
    assert asked(known, "endpoints/terminate_process") == [{"agent_id": "e1", "instance_id": "i1"}]
    assert cortex.check(END).state is State.PENDING
    known.actions[int(receipt.reference)] = "COMPLETED_SUCCESSFULLY"
    assert cortex.check(END).state is State.HOLDS


@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "EXPIRED", "ABORTED", "COMPLETED_PARTIAL"])
def test_a_state_that_is_no_success_does_not_hold(cortex: CortexXdr, known: Fake, state: str) -> None:
    known.actions[int(cortex.act(END, "R-1:1").reference)] = state
    assert cortex.check(END).state is State.ABSENT


def test_another_worker_reads_the_end_from_the_telemetry(cortex: CortexXdr, known: Fake) -> None:
    known.ended = {"i1"}
    assert cortex.check(END).state is State.HOLDS


def test_a_tree_is_ended_only_where_its_chain_begins_with_it(cortex: CortexXdr, known: Fake) -> None:
    assert cortex.act(TREE, "R-1:1").outcome is Outcome.DONE
    assert asked(known, "endpoints/terminate_causality") == [{"agent_id": "e1", "causality_id": "i1"}]
    known.processes = [seen("i1", "c0")]
    receipt = cortex.act(TREE, "R-1:2")
    assert (receipt.outcome, "sshd" in receipt.detail) == (Outcome.REFUSED, True)
    assert len(asked(known, "endpoints/terminate_causality")) == 1


@pytest.mark.parametrize("rows", [[], [seen("i1", "i1", 60)], [seen("i1", "i1"), seen("i2", "i2")]])
def test_not_exactly_one_process_is_an_error_and_nothing_is_sent(
    cortex: CortexXdr, fake: Fake, rows: list[dict[str, object]]
) -> None:
    fake.processes = rows
    with pytest.raises(ConnectorError, match="processes in Cortex"):
        cortex.act(END, "R-1:1")
    assert asked(fake, "endpoints/terminate_process") == []


def test_a_process_without_a_start_is_never_looked_for(cortex: CortexXdr, fake: Fake) -> None:
    with pytest.raises(ConnectorError, match="number and its start"):
        cortex.act(action(Kind.TERMINATE_PROCESS, replace(PROCESS, started=None)), "R-1:1")


@pytest.mark.parametrize("fault", ["close", "half", "lost", 500, 502])
def test_a_change_without_a_whole_answer_is_never_repeated(cortex: CortexXdr, known: Fake, fault: int | str) -> None:
    known.vendor.only, known.vendor.faults = "/terminate_process/", [fault]
    with pytest.raises(ConnectorError):
        cortex.act(END, "R-1:1")
    assert len(asked(known, "endpoints/terminate_process")) == 1
