"""A closed case told to the product that raised its alerts, in the product's own words."""

from __future__ import annotations

from collections.abc import Sequence

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.connectors.defender import Defender
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Closing, Outcome, Receipt
from perilune.ports import Connector
from perilune.service.desk import Desk

CLOSINGS = {
    "handled": Closing.HANDLED,
    "false-positive": Closing.FALSE_POSITIVE,
    "duplicate": Closing.EXPECTED,
}


def close_alerts(connector: Connector, alerts: Sequence[str], closing: Closing, comment: str) -> dict[str, Receipt]:
    """What came of each alert; one that fails never stops the rest."""
    product = connector.connector if isinstance(connector, Desk) else connector
    if not isinstance(product, Defender | CortexXdr):
        raise UsageError(f"{connector.name} has no alerts to close", hint="defender and cortex_xdr have")
    found: dict[str, Receipt] = {}
    for one in alerts:
        try:
            if isinstance(product, Defender):
                found[one] = product.alerts.close(one, closing, comment)
            else:
                found[one] = product.alerts.close([one], closing, comment)
        except ConnectorError as error:
            found[one] = Receipt(Outcome.UNKNOWN, str(error), one)
    return found
