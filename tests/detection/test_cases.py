"""The specification as cases, through both matchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from perilune.detection import narrow
from perilune.model.rules import Rule
from perilune.model.tables import Table
from tests.detection.engines import Case, by_matcher, by_oracle, cases, table

Engine = Callable[[Sequence[Rule], Table], set[tuple[int, int]]]


@pytest.fixture(params=["oracle", "matcher", "matcher on large batches"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if request.param == "matcher on large batches":
        monkeypatch.setattr(narrow, "MAX_ROWS", 0)
    return by_oracle if request.param == "oracle" else by_matcher


@pytest.mark.parametrize("case", tuple(cases()), ids=lambda case: case.name)
def test_case(case: Case, engine: Engine) -> None:
    if case.refused is not None:
        assert [case.refused in refusal.reason for refusal in case.rules.refused] == [True], case.rules
        return
    assert not case.rules.refused
    rows = table(case.table, (*case.hits, *case.misses))
    found = {row for _, row in engine(case.rules.rules, rows)}
    assert found == set(range(len(case.hits)))
    for at, row in enumerate((*case.hits, *case.misses)):  # and each row on its own
        alone = engine(case.rules.rules, table(case.table, [row]))
        assert bool(alone) == (at < len(case.hits)), row
