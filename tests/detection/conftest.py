"""Real rules and real records, where the development data is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from perilune import readers
from perilune.detection import sigma
from perilune.model.rules import Rule, RuleSet
from perilune.model.tables import Table, concat


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: reads real data for more than ten seconds; run as every other test")


FOLDERS = ("rules", "rules-emerging-threats", "rules-threat-hunting", "rules-placeholder")


@pytest.fixture(scope="session")
def loaded(data_dir: Path) -> RuleSet:
    """All of SigmaHQ, with what was refused."""
    return sigma.load(data_dir / "sigma" / name for name in FOLDERS)


@pytest.fixture(scope="session")
def sigmahq(loaded: RuleSet) -> Sequence[Rule]:
    return loaded.rules


@pytest.fixture(scope="session")
def attack_samples(data_dir: Path) -> list[Table]:
    """The records of the attack samples, one table of each kind."""
    found: dict[str, list[Table]] = defaultdict(list)
    for item in readers.read([data_dir / "evtx" / "attack-samples"]):
        if isinstance(item, Table):
            found[item.name].append(item)
    return [concat(batches) for batches in found.values()]
