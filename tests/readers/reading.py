"""Reads files and bytes as the tests look at them: rows by table, and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perilune import readers
from perilune.model.sources import SourceReport
from perilune.readers.mappings import Mappings


@dataclass(slots=True)
class Reading:
    """What the readers gave."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reports: list[SourceReport] = field(default_factory=list)

    @property
    def report(self) -> SourceReport:
        """The only report."""
        (one,) = self.reports
        return one

    @property
    def problems(self) -> dict[str, int]:
        return {problem.what: problem.count for report in self.reports for problem in report.problems}

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.rows.items()}


def read(
    paths: Iterable[Path] | Path, limits: readers.Limits | None = None, mappings: Mappings | None = None
) -> Reading:
    """Everything under the paths; every report is checked against its file's rows, which come before it."""
    done = Reading()
    found: dict[str, Counter[str]] = {}
    for item in readers.read([paths] if isinstance(paths, Path) else paths, limits, mappings=mappings):
        if isinstance(item, SourceReport):
            assert dict(item.rows) == found.pop(item.path, {}), item
            assert all("\n" not in problem.what for problem in item.problems), item
            done.reports.append(item)
            continue
        assert item.data.schema.equals(item.data.select(item.data.column_names).schema)
        assert set(item.data.column_names) <= set(item.schema.columns)
        for name in item.data.column_names:
            assert item.data.schema.field(name).type == item.schema.arrow.field(name).type, name
        for path in item.values("XSourceFile"):
            found.setdefault(str(path), Counter())[item.name] += 1
        rows = [{k: v for k, v in row.items() if v is not None} for row in item.data.to_pylist()]
        done.rows.setdefault(item.name, []).extend(rows)
    assert not found, "rows of a file whose report came before them"
    return done


def read_bytes(folder: Path, data: bytes, limits: readers.Limits | None = None, name: str = "input") -> Reading:
    """One file of these bytes."""
    path = folder / name
    path.write_bytes(data)
    return read(path, limits)
