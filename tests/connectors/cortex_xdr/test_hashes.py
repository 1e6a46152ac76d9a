"""A block list that cannot be read: done only where the product confirms it."""

from __future__ import annotations

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, State, Target, TargetType
from perilune.response.execute import execute
from perilune.response.steps import Decision
from perilune.service.engine import Engine, Memory
from tests.connectors.cortex_xdr.fake import Fake
from tests.response.build import action

HASH = Target(TargetType.HASH, "AB" * 32)
BLOCK, RELEASE = action(Kind.BLOCK_INDICATOR, HASH), action(Kind.UNBLOCK_INDICATOR, HASH)


def outcome(cortex: CortexXdr) -> Outcome:
    """Through the engine: what a run would say."""
    engine, running = Engine(Memory(decisions={"default": Decision(True)}), cortex), execute(BLOCK)
    answer, number = None, 0
    try:
        while True:
            answer, number = engine.answer(number, running.send(answer)), number + 1  # type: ignore[arg-type,assignment]
    except StopIteration as end:
        found: Outcome = end.value.outcome
        return found


def test_an_addition_is_confirmed_by_asking_once_more(cortex: CortexXdr, fake: Fake) -> None:
    assert cortex.check(BLOCK).state is State.BLIND
    assert outcome(cortex) is Outcome.DONE
    assert fake.blocked == {"ab" * 32}
    cortex.act(RELEASE, "R-2:1")
    assert fake.blocked == set()


def test_an_answer_of_yes_is_no_proof(cortex: CortexXdr, fake: Fake) -> None:
    fake.forgetful = True
    assert outcome(cortex) is Outcome.UNKNOWN


def test_a_hash_that_was_listed_before_may_be_allowed_and_nobody_says(cortex: CortexXdr, fake: Fake) -> None:
    fake.allowed = {"ab" * 32}
    receipt = cortex.act(BLOCK, "R-1:1")
    assert receipt.outcome is Outcome.UNKNOWN
    assert "allow or the block list" in receipt.detail


def test_only_sha256_is_sent(cortex: CortexXdr, fake: Fake) -> None:
    short = action(Kind.BLOCK_INDICATOR, Target(TargetType.HASH, "ab" * 16))
    assert cortex.act(short, "R-1:1").outcome is Outcome.REFUSED
    assert fake.vendor.asked == []


@pytest.mark.parametrize("fault", ["close", "half", "lost", 500, 502])
def test_a_change_without_a_whole_answer_is_never_repeated(cortex: CortexXdr, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "/blocklist/", [fault]
    with pytest.raises(ConnectorError):
        cortex.act(BLOCK, "R-1:1")
    assert len(fake.vendor.asked) == 1
