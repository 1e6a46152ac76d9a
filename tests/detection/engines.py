"""Reads the YAML cases, and runs a rule through both matchers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import yaml

from perilune.detection import matcher, oracle, sigma
from perilune.detection.plan import join
from perilune.detection.shape import shape
from perilune.model.rules import Rule, RuleSet
from perilune.model.tables import COLUMNS, Table

FOLDER = Path(__file__).parent / "cases"
PROCESSES = {"category": "process_creation", "product": "windows"}
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    rules: RuleSet
    table: str
    hits: tuple[Row, ...]
    misses: tuple[Row, ...]
    refused: str | None


def cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.yml")):
        for given in yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]:
            yield _case(path, given)


def _case(path: Path, given: Mapping[str, object]) -> Case:
    rule = {
        "title": given["name"],
        "logsource": given.get("logsource", PROCESSES),
        "detection": given["detection"],
    }
    documents = [rule, {"name": "values", "vars": given["vars"]}] if "vars" in given else [rule]
    return Case(
        name=f"{path.stem}: {given['name']}",
        rules=sigma.parse(yaml.safe_dump_all(documents, allow_unicode=True), str(path)),
        table=str(given.get("table", "DeviceProcessEvents")),
        hits=tuple(given.get("hits", ())),
        misses=tuple(given.get("misses", ())),
        refused=given.get("refused"),
    )


def table(name: str, rows: Sequence[Row]) -> Table:
    """Rows as a table; columns that no row has are absent from it."""
    columns = sorted({column for row in rows for column in row})
    data = {c: pa.array([_aware(row.get(c)) for row in rows], COLUMNS[c]) for c in columns}
    return Table(name, pa.table(data) if data else pa.table({"XSourceRecord": pa.nulls(len(rows), pa.int64())}))


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def by_oracle(rules: Sequence[Rule], rows: Table) -> set[tuple[int, int]]:
    found = enumerate(rows.data.to_pylist())
    return {(at, row) for row, values in found for at, r in enumerate(rules) if oracle.rule_holds(r, rows.name, values)}


def by_matcher(rules: Sequence[Rule], rows: Table) -> set[tuple[int, int]]:
    found, where = matcher.match(join([shape(rule) for rule in rules]), rows)
    pairs = list(zip(found.tolist(), where.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)), "a hit is reported once"
    assert pairs == sorted(pairs), "hits are ordered"
    return set(pairs)
