"""Alerts of a product's closed with the case, each for itself."""

from __future__ import annotations

import pytest

from perilune.connectors.cortex_xdr import CortexXdr, Key
from perilune.connectors.defender import Defender, Secrets
from perilune.connectors.simulated import Simulated
from perilune.errors import UsageError
from perilune.model.actions import Closing, Outcome
from perilune.service.closing import close_alerts
from tests.connectors.cortex_xdr import fake as cortex
from tests.connectors.defender import fake as defender
from tests.connectors.vendor import serving


def test_an_alert_that_fails_never_stops_the_rest() -> None:
    made = defender.Fake()
    with serving(made.vendor):
        secrets = Secrets("tenant-1", "app-1", defender.SECRET)
        product = Defender(secrets, base=made.vendor.url, login=made.vendor.url, sleep=lambda seconds: None)
        found = close_alerts(product, ["gone", "da1"], Closing.FALSE_POSITIVE, "nightly report")
    assert [one.outcome for one in found.values()] == [Outcome.UNKNOWN, Outcome.DONE]
    assert made.alerts["da1"]["classification"] == "FalsePositive"


def test_cortex_is_told_too() -> None:
    made = cortex.Fake()
    with serving(made.vendor):
        product = CortexXdr(made.vendor.url, Key("7", cortex.SECRET), sleep=lambda seconds: None)
        assert close_alerts(product, ["12"], Closing.HANDLED, "x")["12"].outcome is Outcome.DONE
    assert made.closed == {"12": "resolved_threat_handled"}


def test_a_connector_without_alerts_says_so() -> None:
    with pytest.raises(UsageError, match="no alerts"):
        close_alerts(Simulated(), ["1"], Closing.HANDLED, "x")
