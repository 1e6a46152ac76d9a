"""Counts of rules by technique: known uses left out, every technique of the list there."""

from __future__ import annotations

from perilune.detection import attack
from perilune.detection.coverage import cover
from perilune.model.rules import And, Level, Role, Rule, Scope


def rule(title: str, *tags: str, role: Role = Role.DETECTION, level: Level = Level.HIGH) -> Rule:
    scopes = (Scope("DeviceProcessEvents", And(())), Scope("XScriptEvents", And(())))
    extra = {"logsource": "linux/process_creation", "guide": "t1059.011"}
    return Rule(title, title, level, scopes, "test", title, tags=tags, role=role, extra=extra)


def test_every_technique_has_a_row() -> None:
    rows = cover((), {"T1059": "x", "T1059.011": "Lua", "T1105": "y"})
    assert [(row.technique, row.rules) for row in rows] == [("T1059", 0), ("T1059.011", 0)]


def test_rules_are_counted_by_level_table_and_log_source() -> None:
    rules = (
        rule("a", "attack.t1059.011", "attack.t1105"),
        rule("b", "attack.t1059.011", level=Level.LOW),
        rule("c", "attack.t1059.004"),
        rule("known", "attack.t1059.011", role=Role.CONTEXT),
    )
    unix, lua = cover(rules, {"T1059.011": "Lua", "T1059.004": "Unix Shell"})
    assert (lua.rules, dict(lua.levels), lua.titles, lua.guided) == (2, {"high": 1, "low": 1}, ("a", "b"), 2)
    assert dict(lua.tables) == {"DeviceProcessEvents": 2, "XScriptEvents": 2}
    assert dict(lua.sources) == {"linux/process_creation": 2}
    assert (unix.rules, unix.guided) == (1, 0)


def test_the_packaged_list_holds_all_of_t1059() -> None:
    known = attack.packaged()
    assert [name for name in known.names if name.startswith("T1059.")] == [f"T1059.{n:03}" for n in range(1, 14)]
    assert known.version.startswith("18")
