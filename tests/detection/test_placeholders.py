"""Values of placeholders: from which files they come, what they make of a rule's digest, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune import pipeline
from perilune.detection import sigma
from perilune.detection.placeholders import Placeholders
from perilune.errors import RuleError

RULE = """
title: Not an administrator
logsource: {category: process_creation, product: windows}
detection: {s: {User|expand: '%admins%'}, condition: s}
"""


def values(given: str) -> str:
    return f"name: ours\nvars: {{admins: {given}}}\n"


def test_values_of_the_content_folder_reach_given_rules(tmp_path: Path) -> None:
    rules, content = tmp_path / "rules", tmp_path / "content"
    rules.mkdir()
    (content / "sigma").mkdir(parents=True)
    (rules / "rule.yml").write_text(RULE)
    (content / "sigma" / "values.yml").write_text(values("[alice]"))
    assert len(pipeline.load_rules([rules], pack=False).refused) == 1
    assert [rule.title for rule in pipeline.load_rules([rules], pack=False, content=content).rules] == [
        "Not an administrator"
    ]


def test_a_rule_with_other_values_is_another_rule() -> None:
    one, other = (sigma.parse(f"{values(given)}---{RULE}", "r.yml").rules[0] for given in ("[alice]", "[bob]"))
    plain = sigma.parse(RULE.replace("|expand", ""), "r.yml").rules[0]
    assert len({one.digest, other.digest, plain.digest}) == 3


def test_values_may_stand_after_the_rules_and_filters_use_them() -> None:
    text = f"""{RULE}---
title: Not on test hosts
logsource: {{category: process_creation}}
filter: {{rules: any, t: {{Computer|expand: '%tests%'}}, condition: not t}}
---
vars: {{admins: alice, tests: [t1, t2]}}
"""
    found = sigma.parse(text, "r.yml")
    assert not found.refused
    assert found.rules[0].digest.count("+") >= 2


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"vars": []}, "not a mapping"),
        ({"vars": {"a": []}}, "%a% are"),
        ({"vars": {"a": [["b"]]}}, "%a% are"),
        ({"vars": {"a": ["b"] * 10_001}}, "more than 10,000"),
        ({"vars": {"a": "b"}, "transformations": [{"type": "add_field_prefix"}]}, "not add_field_prefix"),
    ],
)
def test_refused_pipelines(document: dict[str, object], reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        Placeholders().learn(document)
