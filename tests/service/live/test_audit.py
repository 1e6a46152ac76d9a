"""The kernel's audit through a watcher that is killed: every execution that was reported is in the lake once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perilune.errors import UsageError
from perilune.service.live.addresses import Address, open_source
from tests.service.live import chaos


@pytest.mark.needs_root
def test_killed_while_programs_start(tmp_path: Path) -> None:
    if os.geteuid() != 0 or chaos.lua() is None:
        pytest.skip("needs root and a Lua interpreter: it reads the kernel's audit")
    found = chaos.run(tmp_path, 400, 2, 3)
    assert chaos.is_whole(found), found


def test_records_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records 'everything'"):
        open_source(Address("audit:?records=everything", tmp_path))
