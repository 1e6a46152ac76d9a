"""XQL: queries begun, polled, and read to their last row; the live datasets, a span of time at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from perilune.connectors.cortex_xdr.api import Api
from perilune.errors import ConnectorError, UsageError

INLINE = 1000  # rows above which the answer is a stream
MOST = 1_000_000
POLLS = 90
EVERY = 4.0
SHORTEST = timedelta(seconds=1)
Row = Mapping[str, object]
_DATASET = re.compile(r"[a-z][a-z0-9_]{0,127}")


class _Started(msgspec.Struct):
    reply: str


class _Data(msgspec.Struct):
    data: list[dict[str, object]] | None = None
    stream_id: str | None = None


class _Results(msgspec.Struct):
    status: str = ""
    number_of_results: int | None = None
    results: _Data | None = None


class _ResultsReply(msgspec.Struct):
    reply: _Results


@dataclass(frozen=True, slots=True)
class Xql:
    """Queries of one tenant."""

    api: Api
    most: int = MOST

    def run(self, query: str, since: datetime, until: datetime) -> list[dict[str, object]]:
        """All rows. An answer that has only part of them, because part of the query failed, is none."""
        frame = {"from": _ms(since), "to": _ms(until)}
        begun = self.api.ask("xql/start_xql_query", {"query": query, "tenants": [], "timeframe": frame}, _Started).reply
        asked = {"query_id": begun, "pending_flag": True, "limit": INLINE, "format": "json"}
        for _ in range(POLLS):
            found = self.api.ask("xql/get_query_results", asked, _ResultsReply).reply
            if found.status == "SUCCESS":
                return self._rows(found)
            if found.status != "PENDING":
                raise ConnectorError(f"the query ended as {found.status}", where=query[:100])
            self.api.sleep(EVERY)
        raise ConnectorError("the query did not come to an end", where=query[:100])

    def rows(self, dataset: str, since: datetime, until: datetime) -> Iterator[Row]:
        """Every row of a dataset in a span of time; a span with more than one answer holds is halved."""
        if not _DATASET.fullmatch(dataset):
            raise UsageError(f"{dataset!r} is no dataset")
        found = self.run(f"dataset = {dataset} | limit {self.most}", since, until)
        if len(found) < self.most:
            yield from found
            return
        if until - since <= SHORTEST:
            raise ConnectorError(f"more than {self.most:,} rows in one second", where=dataset)
        middle = since + (until - since) / 2
        yield from self.rows(dataset, since, middle)
        yield from self.rows(dataset, middle, until)

    def _rows(self, found: _Results) -> list[dict[str, object]]:
        given = found.results or _Data()
        if given.stream_id is None:
            return self._whole(given.data or [], found.number_of_results)
        data = {"stream_id": given.stream_id, "is_gzip_compressed": False}
        answer = self.api.post("xql/get_query_results_stream", data, changes=False)
        if answer.status != 200:
            raise ConnectorError(f"the rows cannot be read: {answer.status}", where="xql/get_query_results_stream")
        try:
            rows = msgspec.json.Decoder(dict[str, object]).decode_lines(answer.body)
        except msgspec.DecodeError as error:
            raise ConnectorError(f"the answer is not what is documented: {error}", where="xql stream") from error
        return self._whole(rows, found.number_of_results)

    def _whole(self, rows: list[dict[str, object]], promised: int | None) -> list[dict[str, object]]:
        if promised is not None and len(rows) < min(promised, self.most):
            raise ConnectorError(f"{len(rows):,} of {promised:,} rows came", where="xql")
        return rows


def literal(text: str) -> str:
    """Text inside an XQL string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ms(one: datetime) -> int:
    return int(one.astimezone(UTC).timestamp() * 1000)
