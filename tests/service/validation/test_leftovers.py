"""What is left behind is seen from outside."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from perilune.service.netlink.control import Control
from perilune.service.netlink.rules import executions
from perilune.service.validation.leftovers import Machine, changes, files_left, files_of, load_machine
from tests.service.netlink.conftest import audit

BEFORE = Machine((("/etc/passwd", "a"), ("/etc/group", "b")), frozenset({b"rule"}), 0, 64)


def test_no_change_is_no_word() -> None:
    assert list(changes(BEFORE, BEFORE, alone=True)) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(BEFORE, accounts=(("/etc/passwd", "x"), ("/etc/group", "b"))), "/etc/passwd was changed meanwhile"),
        (replace(BEFORE, rules=frozenset({b"rule", b"more"})), "1 audit rules were added"),
        (replace(BEFORE, rules=frozenset()), "1 audit rules were taken away"),
        (replace(BEFORE, enabled=1), "the audit's state is another"),
    ],
)
def test_each_change_is_told(after: Machine, said: str) -> None:
    assert list(changes(BEFORE, after, alone=True)) == [said]


def test_the_audits_state_is_not_asked_while_others_record() -> None:
    assert list(changes(BEFORE, replace(BEFORE, enabled=1), alone=False)) == []


@pytest.mark.needs_root
def test_a_rule_of_anybody_is_seen(control: Control) -> None:
    rule = executions(64_299)[0].encode("not-perilunes")
    with audit(alone=True):
        before = load_machine()
        control.add(rule)
        try:
            assert "1 audit rules were added" in list(changes(before, load_machine(), alone=False))
        finally:
            control.remove(rule)


def test_a_file_that_was_made_and_is_there_is_left_and_a_broken_link_too(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    made = [str(tmp_path / name) for name in ("a", "gone", "link", "a")] + ["/proc/self/oom_score_adj", "/dev/null"]
    assert files_left(made) == [str(tmp_path / "a"), str(tmp_path / "link")]


def test_files_are_found_by_their_owner_three_folders_deep(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "d").touch()
    assert str(tmp_path / "b" / "c" / "d") in files_of(os.getuid(), [str(tmp_path)])
    assert files_of(4_000_000_000, [str(tmp_path)]) == []
