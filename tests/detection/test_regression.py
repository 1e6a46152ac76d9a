"""SigmaHQ's own regression records give as many matches as SigmaHQ says, or are named here with the cause."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perilune import readers
from perilune.detection import matching
from perilune.model.rules import RuleSet
from perilune.model.tables import Table

# By rule: what upstream states (1 where it states nothing), what the records hold, and why.
DOUBTFUL = {
    "0b9ad457-2554-44c1-82c2-d56a99c42377": (1, 3, "three of the five files are …\\AnyDesk\\user.conf and more"),
    "45e112d0-7759-4c2a-aa36-9f8fb79d3393": (1, 3, "all three values set are under ZoneMap\\Domains with zone 2"),
    "5bac7a56-da88-4c27-922e-c81e113b20cb": (1, 2, "both processes are named as the rule asks"),
    "7124aebe-4cd7-4ccb-8df0-6d6b93c96795": (1, 2, "both processes have lkd( in their command line"),
}


@pytest.mark.slow
def test_regression_records(data_dir: Path, loaded: RuleSet) -> None:
    rules = {rule.id: rule for rule in loaded.rules}
    wrong = []
    tests = sorted((data_dir / "sigma" / "regression").rglob("info.yml"))
    for info in tests:
        told = yaml.safe_load(info.read_text(encoding="utf-8"))
        rule = told["rule_metadata"][0]["id"]
        for test in told["regression_tests_info"]:
            stated = test.get("match_count", 1)
            expected = DOUBTFUL[rule][1] if rule in DOUBTFUL else stated
            found = _matches(info.parent / Path(test["path"]).name, RuleSet((rules[rule],)))
            if found != expected:
                wrong.append(f"{rule}: {found} instead of {expected} ({info.parent.name})")
    assert len(tests) >= 90
    assert not wrong


def _matches(path: Path, rules: RuleSet) -> int:
    tables = [item for item in readers.read([path]) if isinstance(item, Table)]
    return sum(1 for table in tables for _ in matching.match(rules, table))
