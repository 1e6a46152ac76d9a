"""What the pack as a whole says of a command: `cases/*.yml`, one command a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perilune import pipeline
from perilune.detection import oracle
from perilune.model.rules import Level, Role

CASES = [
    (kind, case)
    for path in sorted((Path(__file__).parent / "cases").glob("*.yml"))
    for kind, cases in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    for case in cases
]
COLUMNS = ("XPlatform", "FolderPath", "ProcessCommandLine", "InitiatingProcessFolderPath")


@pytest.fixture(scope="module")
def detections() -> list:
    return [rule for rule in pipeline.load_rules().rules if rule.role is Role.DETECTION]


def loudest(detections: list, values: list[str]) -> tuple[Level | None, list[str]]:
    row = dict(zip(COLUMNS, values, strict=True))
    held = [rule for rule in detections if oracle.rule_holds(rule, "DeviceProcessEvents", row)]
    return max((rule.level for rule in held), default=None), [rule.title for rule in held]


@pytest.mark.parametrize("case", [c for k, c in CASES if k == "accused"], ids=lambda c: f"{c[3]:.60}")
def test_abuse_is_accused(detections: list, case: list[str]) -> None:
    level, titles = loudest(detections, case[1:])
    assert level is not None, "no rule speaks of it"
    assert level >= Level[case[0].upper()], f"only {level.word}: {titles}"


@pytest.mark.parametrize("case", [c for k, c in CASES if k == "left"], ids=lambda c: f"{c[2]:.60}")
def test_ordinary_work_is_left_alone(detections: list, case: list[str]) -> None:
    level, titles = loudest(detections, case)
    assert level is None or level <= Level.LOW, f"{level.word}: {titles}"
