"""Scripts of the library, run and polled."""

from __future__ import annotations

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Outcome
from tests.connectors.cortex_xdr.fake import Fake

VALUES = {"pid": "4242", "started": "1"}


def test_a_script_is_run_polled_and_its_output_read(cortex: CortexXdr, fake: Fake) -> None:
    receipt = cortex.scripts.start("uid-1", "e1", VALUES)
    assert (receipt.outcome, receipt.reference) == (Outcome.DONE, "800")
    fake.actions[800] = "COMPLETED_SUCCESSFULLY"
    assert cortex.scripts.wait("800", "e1").standard_output == "ended"


def test_other_parameters_are_refused_by_the_product(cortex: CortexXdr) -> None:
    assert cortex.scripts.start("uid-1", "e1", {"x": "1"}).outcome is Outcome.FAILED


@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "EXPIRED", "ABORTED"])
def test_an_end_that_is_no_success_is_said(cortex: CortexXdr, fake: Fake, state: str) -> None:
    cortex.scripts.start("uid-1", "e1", VALUES)
    fake.actions[800] = state
    with pytest.raises(ConnectorError, match=f"ended as {state}"):
        cortex.scripts.wait("800", "e1")
    fake.actions[800] = "COMPLETED_SUCCESSFULLY"
    with pytest.raises(ConnectorError, match="ended as"):
        cortex.scripts.wait("800", "another")


def test_polling_has_an_end(cortex: CortexXdr, waits: list[float]) -> None:
    cortex.scripts.start("uid-1", "e1", VALUES)
    with pytest.raises(ConnectorError, match="did not come to an end"):
        cortex.scripts.wait("800", "e1")
    assert len(waits) == 90
    with pytest.raises(UsageError, match="600 seconds"):
        cortex.scripts.start("uid-1", "e1", VALUES, timeout=601)
