"""The pack passes every check of the house, and nothing lies beside it that belongs to no rule."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from perilune.cli import rule_checks

CONTENT = Path(str(files("perilune") / "content"))
FOLDERS = ("sigma", "known_hosts")


def test_the_pack_has_no_fault() -> None:
    found = rule_checks.lint((), house=True)
    assert found.rules >= 270
    assert [f"{fault.where}: {fault.lint}: {fault.what}" for fault in found.faults] == []


def test_no_file_of_events_is_left_without_its_rule() -> None:
    lost = [
        path.name
        for folder in FOLDERS
        for path in (CONTENT / folder).rglob("*.events.yml")
        if not path.with_name(path.name.replace(".events.yml", ".yml")).is_file()
    ]
    assert lost == [], "rename or delete the events together with their rule"


def test_every_sub_technique_has_rules_of_its_own() -> None:
    """Counted by the guide that their findings are worked with."""
    from perilune.pipeline import load_rules

    rows = {row.technique: row for row in rule_checks.covered(load_rules().rules)}
    assert sorted(rows)[1:] == [f"T1059.{number:03}" for number in range(1, 14)]
    few = {name: row.guided for name, row in rows.items() if name != "T1059" and row.guided < 8}
    assert few == {}
    assert rows["T1059.011"].guided >= 60
