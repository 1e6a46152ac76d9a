"""Documented one-line cases, and whole queries: `cases/*.yml` and `queries.yml`, which anyone can extend by a line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from perilune.detection.kql.running import Session
from perilune.querying import plain_rows
from tests.detection.kql.build import NOW, as_set, rows_of, session

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.yml"))
QUERIES = yaml.safe_load((HERE / "queries.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def one() -> Iterator[Session]:
    with session() as opened:
        yield opened


def cases() -> Iterator[object]:
    for path in CASES:
        for expression, value in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield pytest.param(expression, value, id=f"{path.stem}: {expression}")


@pytest.mark.parametrize("expression, value", list(cases()))
def test_an_expression_has_its_documented_value(one: Session, expression: str, value: object) -> None:
    found = next(plain_rows(one.run(f"print x = {expression}", NOW)))["x"]
    if isinstance(value, float) and isinstance(found, float):
        assert found == pytest.approx(value, nan_ok=True)
    else:
        assert found == value
        assert isinstance(found, bool) == isinstance(value, bool)


def test_there_are_at_least_four_hundred_cases() -> None:
    assert len(list(cases())) >= 400


@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case["query"][:90])
def test_a_query_gives_its_rows(one: Session, case: dict) -> None:
    result = one.run(case["query"], NOW)
    assert [name for name, _ in result.columns] == case["columns"]
    found, wanted = rows_of(result), case["rows"]
    if any(word in case["query"] for word in ("sort by", "order by", "| top ")) and "mv-apply" not in case["query"]:
        assert as_text(found) == as_text(wanted)
    else:
        assert as_set(_rounded(found)) == as_set(_rounded(wanted))


def as_text(rows: list[list[object]]) -> list[str]:
    return [str(row) for row in _rounded(rows)]


def _rounded(rows: list[list[object]]) -> list[list[object]]:
    return [[_round(value) for value in row] for row in rows]


def _round(value: object) -> object:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else float(f"{value:.10g}")
    return value
