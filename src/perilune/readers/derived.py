"""Rows that follow from other rows: scripts that Defender quotes, programs that Windows Installer put in.

The row stays where it is; what it says besides becomes a row of another table too, with the same place in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.sources import SourceReport
from perilune.model.tables import COLUMNS, TABLES, Table
from perilune.readers.parquet import MARK

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rows of one table whose `column` holds one of `values` give a row of another."""

    table: str
    column: str
    values: tuple[str, ...]
    into: str
    make: Callable[[Row], Row | None]


def with_derived(items: Iterable[Table | SourceReport]) -> Iterator[Table | SourceReport]:
    """The same, with what follows from each Table behind it, and with that in the reports."""
    counts: dict[str, Counter[str]] = {}
    for item in items:
        if isinstance(item, SourceReport):
            more = counts.pop(item.path, None)
            yield replace(item, rows=_sum(item.rows, more)) if more else item
            continue
        yield item
        for made in _derived(item):
            yield made
            for path in made.values("XSourceFile"):
                counts.setdefault(str(path), Counter())[made.name] += 1


def _sum(rows: Mapping[str, int], more: Counter[str]) -> dict[str, int]:
    return {name: rows.get(name, 0) + more.get(name, 0) for name in (*rows, *(n for n in more if n not in rows))}


def _derived(table: Table) -> Iterator[Table]:
    if MARK in (table.data.schema.metadata or {}):
        return  # what follows from them was derived when they were written, and lies beside them
    for rule in _RULES:
        if rule.table != table.name or not table.has(rule.column):
            continue
        meant = pc.is_in(table.column(rule.column), pa.array(rule.values))
        if pc.any(meant).as_py():
            rows = [row for one in table.data.filter(meant).to_pylist() if (row := _made(rule, one))]
            if rows:
                yield Table(rule.into, _table(rule.into, rows))


def _made(rule: _Rule, row: Row) -> Row | None:
    made = rule.make(row)
    known = TABLES[rule.into].columns
    return {**{k: v for k, v in row.items() if k in known and k != "AdditionalFields"}, **made} if made else None


def _table(name: str, rows: Sequence[Row]) -> pa.Table:
    names = [column for column in TABLES[name].columns if any(row.get(column) is not None for row in rows)]
    return pa.table({column: pa.array([row.get(column) for row in rows], COLUMNS[column]) for column in names})


def _more(row: Row) -> Row:
    text = row.get("AdditionalFields")
    try:
        found = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _quoted_script(row: Row) -> Row | None:
    """What Defender saw of a script: a cmdlet, a whole script, or what AMSI was given."""
    more = _more(row)
    text = next((more[name] for name in ("ScriptContent", "Command", "Description", "Content") if more.get(name)), None)
    if not isinstance(text, str):
        return None
    language = {"PowerShellCommand": "powershell"}.get(str(row.get("ActionType")))
    return {"XScriptText": text, "XScriptLanguage": language}


def _installed(row: Row) -> Row | None:
    """Windows Installer's words for what it did: 1033 with fields a line each, 11707 as a sentence."""
    change = _MSI.get(row.get("XEventId") if isinstance(row.get("XEventId"), int) else None)
    lines = str(_more(row).get("Data") or "").splitlines()
    if change is None or not lines:
        return None
    if row.get("XEventId") in (11707, 11724):
        name = lines[0].removeprefix("Product: ").partition(" -- ")[0]
        return {"ActionType": change, "SoftwareName": name or None, "XPackageManager": "msi"}
    vendor = lines[4] if len(lines) > 4 and lines[4] != "(NULL)" else None
    version = lines[1] if len(lines) > 1 else None
    return {"ActionType": change, "SoftwareName": lines[0], "SoftwareVersion": version, "SoftwareVendor": vendor,
            "XPackageManager": "msi"}  # fmt: skip


_MSI: Mapping[object, str] = {
    1033: "SoftwareInstalled",
    11707: "SoftwareInstalled",
    1034: "SoftwareRemoved",
    11724: "SoftwareRemoved",
}

_RULES = (
    _Rule("DeviceEvents", "ActionType", ("AmsiScriptDetection", "PowerShellCommand", "ScriptContent"), "XScriptEvents",
          _quoted_script),
    _Rule("XLogEvents", "XProvider", ("MsiInstaller",), "XInventoryEvents", _installed),
)  # fmt: skip
