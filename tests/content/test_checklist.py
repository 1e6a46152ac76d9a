"""Every observable of the Lua checklist is held by rules that exist."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import yaml

CONTENT = Path(str(files("perilune") / "content"))
CHECKLIST = Path(__file__).with_name("lua_checklist.yml")


def stems() -> set[str]:
    found = {path.stem for folder in ("sigma", "correlations") for path in (CONTENT / folder).rglob("*.yml")}
    return found | {path.stem for path in (CONTENT / "hunts").glob("*.kql")}


def checklist() -> dict[str, dict[str, list[str]]]:
    return yaml.safe_load(CHECKLIST.read_text(encoding="utf-8"))


def test_each_observable_has_rules_that_exist() -> None:
    known = stems()
    lost = [
        (what, rule)
        for items in checklist().values()
        for what, rules in items.items()
        for rule in rules
        if rule not in known
    ]
    assert lost == []
    assert all(rules for items in checklist().values() for rules in items.values())


def test_no_rule_of_lua_stands_outside_the_checklist() -> None:
    named = {rule for items in checklist().values() for rules in items.values() for rule in rules}
    own = {path.stem for path in (CONTENT / "sigma" / "lua").glob("*.yml") if not path.name.endswith(".events.yml")}
    assert own - named == set(), "say in the checklist what the rule is for"
