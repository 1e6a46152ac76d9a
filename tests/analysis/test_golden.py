"""Command lines and their trees, as the corpus says. `python -m tests.analysis.golden` writes the trees anew."""

from __future__ import annotations

from typing import Any

import pytest

from perilune.analysis.interpreters import INTERPRETERS
from tests.analysis import golden

CASES = [(path.stem, case) for path in golden.files() for case in golden.load(path)["cases"]]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}: {case['input'][:50]!r}" for name, case in CASES])
def test_the_tree_is_the_expected_one(name: str, case: dict[str, Any]) -> None:
    assert golden.tree_of(case) == case["tree"].rstrip("\n"), (
        "run: python -m tests.analysis.golden, and review the diff"
    )


def test_every_interpreter_has_five_cases_that_name_it() -> None:
    named: dict[str, int] = {}
    for path in golden.files():
        document = golden.load(path)
        row = document.get("interpreter")
        if row:
            named[row] = sum(f"[{row} " in case["tree"] for case in document["cases"])
    assert {row.name: named.get(row.name, 0) for row in INTERPRETERS if named.get(row.name, 0) < 5} == {}
