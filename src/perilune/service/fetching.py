"""Live tables of a product, fetched into a file that the readers know: kept as evidence, then hunted in.

A file is whole or it is not there: it has another name until its last row is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.connectors.defender import Defender
from perilune.errors import UsageError
from perilune.ports import Connector
from perilune.service.desk import Desk

Row = Mapping[str, object]
MOST = 50_000_000


@dataclass(frozen=True, slots=True)
class Fetched:
    """A table in a file."""

    path: Path
    rows: int


def fetch_table(connector: Connector, table: str, since: datetime, until: datetime, folder: Path) -> Fetched:
    """Every row of the table in that span, as JSON lines that only their owner may read."""
    if since >= until:
        raise UsageError("the span of time is empty", hint="--since lies before --until")
    rows = _rows(connector, table, since, until)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{connector.name}-{table}-{since:%Y%m%dT%H%M%SZ}-{until:%Y%m%dT%H%M%SZ}.jsonl"
    part = folder / f".{name}.part"
    count = 0
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        for row in rows:
            count += 1
            if count > MOST:
                raise UsageError(f"more than {MOST:,} rows", hint="ask for a shorter span")
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    part.replace(folder / name)
    return Fetched(folder / name, count)


def _rows(connector: Connector, table: str, since: datetime, until: datetime) -> Iterator[Row]:
    """What the product behind the desk can be asked for."""
    product = connector.connector if isinstance(connector, Desk) else connector
    if isinstance(product, Defender):
        return product.hunting.rows(table, since, until)
    if isinstance(product, CortexXdr):
        return product.xql.rows(table, since, until)
    raise UsageError(f"{connector.name} has no tables to fetch", hint="defender and cortex_xdr have")
