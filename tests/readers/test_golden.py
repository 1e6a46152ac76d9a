"""Golden pairs: each input here and the rows that it must give. Anyone can add one.

After a change that is meant: `python -m tests.readers.golden`, and review the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.readers.reading import read

CHANGED = 1772539200  # 2026-03-03
FOLDER = Path(__file__).parent / "golden"
INPUTS = sorted(
    p for p in FOLDER.iterdir() if p.suffix in (".jsonl", ".json", ".csv", ".log", ".xml") and p.stem[-5:] != ".rows"
)


def expected(path: Path) -> Path:
    return FOLDER / f"{path.stem}.rows.json"


def rendered(path: Path) -> str:
    """The rows and the report as text; the input's folder is left out of them."""
    os.utime(path, (CHANGED, CHANGED))  # times without a year take that of the file
    done = read(path)
    report = done.report
    found = {
        "report": {
            "format": report.format,
            "reading": report.reading,
            "records": report.records,
            "rows": report.rows,
            "skipped": report.skipped,
            "problems": [[p.what, p.count, p.where] for p in report.problems],
        },
        "rows": [{"table": name, **row} for name, rows in sorted(done.rows.items()) for row in rows],
    }
    text = json.dumps(found, indent=1, ensure_ascii=False, default=str, sort_keys=True)
    return text.replace(json.dumps(str(path))[1:-1], path.name) + "\n"


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.name)
def test_golden(path: Path) -> None:
    assert rendered(path) == expected(path).read_text(encoding="utf-8")
