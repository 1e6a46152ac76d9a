"""Alerts and incidents closed with what they were."""

from __future__ import annotations

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.connectors.cortex_xdr.alerts import Alerts
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Closing, Outcome
from tests.connectors.cortex_xdr.fake import Fake


def test_alerts_and_incidents_are_closed_in_the_vendors_words(cortex: CortexXdr, fake: Fake) -> None:
    assert cortex.alerts.close(["1", "2"], Closing.FALSE_POSITIVE, "nightly").outcome is Outcome.DONE
    assert fake.closed == {"1": "resolved_false_positive", "2": "resolved_false_positive"}
    assert cortex.alerts.close_incident("12", Closing.HANDLED, "x").outcome is Outcome.DONE
    assert fake.incidents["12"] == "resolved_threat_handled"
    assert cortex.alerts.close_incident("12", Closing.HANDLED, "x").outcome is Outcome.ALREADY


def test_what_cannot_be_closed_is_said(cortex: CortexXdr) -> None:
    with pytest.raises(UsageError, match="1 to 100"):
        cortex.alerts.close([], Closing.HANDLED, "x")
    with pytest.raises(UsageError, match=r"3\.x API only"):
        Alerts(cortex.api, 5).close(["1"], Closing.HANDLED, "x")


@pytest.mark.parametrize("fault", ["close", "half", "lost", 500])
def test_a_change_without_a_whole_answer_is_never_repeated(cortex: CortexXdr, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "/update_incident/", [fault]
    with pytest.raises(ConnectorError):
        cortex.alerts.close_incident("12", Closing.HANDLED, "x")
    assert sum("/update_incident/" in one.path for one in fake.vendor.asked) == 1
