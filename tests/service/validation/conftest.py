"""Tests are run for real where the machine can be recorded; elsewhere they say why they are skipped."""

from __future__ import annotations

import pytest

from tests.service.netlink.conftest import control, why_not

__all__ = ["control"]


@pytest.fixture(autouse=True)
def possible(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_root") and (reason := why_not()):
        pytest.skip(reason)
