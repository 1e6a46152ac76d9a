"""The tables that a query may name, as its compiler sees them: declared columns, and which of them hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perilune.detection.kql.elsewhere import NAMES, columns_of
from perilune.detection.kql.kinds import Kind
from perilune.model.tables import BOOL, COLUMNS, LONG, TABLES, TEXTS, TIME, TableSchema

_KINDS = {LONG: Kind.LONG, BOOL: Kind.BOOL, TIME: Kind.DATETIME, TEXTS: Kind.DYNAMIC}

# Sentinel's names for what Defender's tables hold under another name, or always hold.
ALIASES = {"TimeGenerated": "Timestamp"}
# Hidden columns that lead a result's row back to its event, where that is asked for.
ROW, TABLE = "$row", "$table"
LINEAGE = (ROW, TABLE)
SENTINEL_CONSTANTS = ("TenantId", "SourceSystem", "_ResourceId", "_SubscriptionId")


@dataclass(frozen=True, slots=True)
class Source:
    """One table that can be named.

    columns  in their declared order
    filled   those that the data have; the others are null in every row
    whole    those of the filled that have no null
    lists    those of the filled that are lists in Arrow
    """

    name: str
    columns: tuple[tuple[str, Kind], ...]
    filled: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Catalog:
    sources: Mapping[str, Source] = field(default_factory=dict)

    def get(self, name: str) -> Source | None:
        return self.sources.get(name)


def declared(schema: TableSchema) -> tuple[tuple[str, Kind], ...]:
    return tuple((name, _KINDS.get(COLUMNS[name], Kind.STRING)) for name in schema.columns)


def standard(*, filled: bool = False) -> Catalog:
    """The advanced-hunting tables without data: what a query can be checked against.

    Args:
        filled: as if all columns held something, so that `union *` and `search` mean every table.
    """
    ours = {
        name: Source(name, declared(schema), frozenset(schema.columns) if filled else frozenset())
        for name, schema in TABLES.items()
    }
    return Catalog({name: Source(name, columns_of(name)) for name in NAMES} | ours)
