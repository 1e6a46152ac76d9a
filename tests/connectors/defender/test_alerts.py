"""Alerts closed with what they were, once, and seen to be closed."""

from __future__ import annotations

import pytest

from perilune.connectors.defender import Defender
from perilune.errors import ConnectorError
from perilune.model.actions import Closing, Outcome
from tests.connectors.defender.fake import Fake


@pytest.mark.parametrize(
    ("closing", "word"),
    [
        (Closing.HANDLED, "TruePositive"),
        (Closing.FALSE_POSITIVE, "FalsePositive"),
        (Closing.EXPECTED, "InformationalExpectedActivity"),
    ],
)
def test_an_alert_is_closed_as_what_it_was(defender: Defender, fake: Fake, closing: Closing, word: str) -> None:
    assert defender.alerts.close("da1", closing, "nightly report").outcome is Outcome.DONE
    assert (fake.alerts["da1"]["status"], fake.alerts["da1"]["classification"]) == ("Resolved", word)
    assert defender.alerts.close("da1", closing, "again").outcome is Outcome.ALREADY


def test_an_alert_that_is_not_there_is_said(defender: Defender) -> None:
    with pytest.raises(ConnectorError, match="404"):
        defender.alerts.close("da9", Closing.HANDLED, "x")


@pytest.mark.parametrize("fault", ["close", "half", 500])
def test_a_change_without_a_whole_answer_is_never_repeated(defender: Defender, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "PATCH", [fault]
    with pytest.raises(ConnectorError):
        defender.alerts.close("da1", Closing.HANDLED, "x")
    assert sum(one.method == "PATCH" for one in fake.vendor.asked) == 1
