"""A fake tenant and a connector to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perilune.connectors.cortex_xdr import CortexXdr, Key
from tests.connectors.cortex_xdr.fake import SECRET, Fake
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
def cortex(fake: Fake, waits: list[float]) -> CortexXdr:
    return CortexXdr(fake.vendor.url, Key("7", SECRET), sleep=waits.append)
