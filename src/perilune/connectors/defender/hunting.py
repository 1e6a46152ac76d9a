"""Advanced hunting: the live tables, a span of time at a time, as rows that the readers know.

A query gives at most 100,000 rows: a span that has more is halved until it fits, so nothing is cut silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from perilune.connectors.defender.api import Api
from perilune.errors import ConnectorError, UsageError

MOST = 100_000
SHORTEST = timedelta(seconds=1)
KEPT = timedelta(days=30)
Row = Mapping[str, object]
_TABLE = re.compile(r"[A-Za-z]{1,64}")


class _Results(msgspec.Struct):
    Results: list[dict[str, object]]
    Schema: list[dict[str, object]] = []


@dataclass(frozen=True, slots=True)
class Hunting:
    """Queries of one tenant. `most` is how many rows one answer may hold."""

    api: Api
    most: int = MOST

    def run(self, kql: str) -> list[dict[str, object]]:
        return self.api.ask("/api/advancedqueries/run", {"Query": kql}, _Results).Results

    def rows(self, table: str, since: datetime, until: datetime) -> Iterator[Row]:
        """Every row of a table in a span of time, oldest span first, each with its table's name."""
        if not _TABLE.fullmatch(table):
            raise UsageError(f"{table!r} is no table")
        if since < datetime.now(UTC) - KEPT:
            raise UsageError("Defender's API looks back 30 days", hint="ask for less, or export from the portal")
        kql = f"{table} | where Timestamp >= datetime({_time(since)}) and Timestamp < datetime({_time(until)})"
        found = self.run(f"{kql} | take {self.most}")
        if len(found) < self.most:
            for row in found:
                yield {"Type": table, **row}
            return
        if until - since <= SHORTEST:
            raise ConnectorError(f"more than {self.most:,} rows in one second", where=table, hint="narrow the query")
        middle = since + (until - since) / 2
        yield from self.rows(table, since, middle)
        yield from self.rows(table, middle, until)


def _time(one: datetime) -> str:
    return one.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
