"""A fake tenant and a connector to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perilune.connectors.defender import Defender, Secrets
from tests.connectors.defender.fake import SECRET, Fake
from tests.connectors.vendor import serving


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    with serving(made.vendor):
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def defender(fake: Fake, waits: list[float]) -> Defender:
    secrets = Secrets("tenant-1", "app-1", SECRET)
    return Defender(secrets, base=fake.vendor.url, login=fake.vendor.url, terminate_script="end.sh", sleep=waits.append)
