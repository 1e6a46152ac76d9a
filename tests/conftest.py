"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """A folder of real logs and rules to develop against (`PERILUNE_DATA`, else beside the checkout)."""
    found = Path(os.environ.get("PERILUNE_DATA", CHECKOUT.parent / "shared" / "data"))
    if not found.is_dir():
        pytest.skip(f"no development data at {found}; set PERILUNE_DATA to a folder that has it")
    return found


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has its own case store and content folder, and no settings of the user's."""
    home = tmp_path / "perilune-home"
    monkeypatch.setenv("PERILUNE_HOME", str(home))
    return home
