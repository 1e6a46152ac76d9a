"""Rules as the kernel takes them, and as it tells them again."""

from __future__ import annotations

import platform

import pytest

from perilune.errors import SensorError
from perilune.service.netlink.control import Control
from perilune.service.netlink.rules import connections, creations, executions, key_of
from tests.service.netlink.conftest import LOGIN

EVERY = [*executions(LOGIN), *connections(LOGIN), *creations(LOGIN)] if platform.system() == "Linux" else []


@pytest.mark.needs_root
@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: f"{rule.abi.token:x}-{rule.calls[0]}-{len(rule.fields)}")
def test_the_kernel_takes_a_rule_lists_it_and_lets_it_go(control: Control, rule: object) -> None:
    data = rule.encode("perilune-test")  # type: ignore[attr-defined]
    control.add(data)
    try:
        assert data in control.rules()
        with pytest.raises(SensorError, match="there already"):
            control.add(data)
    finally:
        assert control.remove(data)
    assert data not in control.rules()
    assert not control.remove(data)


def test_a_key_is_found_behind_the_numbers_and_nowhere_else() -> None:
    assert key_of(executions(1)[0].encode("a-key")) == "a-key"
    assert key_of(b"") == ""
    assert key_of(b"\xff" * 1040) == ""


def test_a_machine_without_a_table_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "sparc64")
    with pytest.raises(SensorError, match="no table of system calls for sparc64"):
        executions()
