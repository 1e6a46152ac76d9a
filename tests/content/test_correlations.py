"""Each correlation of the pack holds on the cases that stand beside it, and on no others.

`<rule>.events.yml` has `hit:` and `miss:`, lists of cases; a case is a list of `{table, at, row}`, `at` in seconds.
They go through the real parser, matcher and correlator.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import pytest

from perilune import correlating
from perilune.detection import linking, proofs, sigma, stories
from perilune.detection.stories import Story
from perilune.model.rules import Role, Rule, RuleSet

FOLDER = Path(str(files("perilune") / "content" / "correlations"))
RULES = sorted(p for p in FOLDER.rglob("*.yml") if not p.name.endswith(".events.yml"))


@cache
def parsed(path: Path) -> RuleSet:
    found = linking.link(sigma.parse(path.read_text(encoding="utf-8"), path.name))
    assert not found.refused, found.refused
    return found


def correlation(path: Path) -> Rule:
    (one,) = [rule for rule in parsed(path).rules if linking.is_correlation(rule)]
    return one


@cache
def stories_of(path: Path) -> tuple[Story, ...]:
    return stories.load(proofs.beside(path))


def cases() -> Iterator[object]:
    for path in RULES:
        for story in stories_of(path):
            yield pytest.param(path, story, id=f"{path.stem}-{story.kind}-{story.number}")


@pytest.mark.parametrize(("path", "story"), list(cases()))
def test_a_correlation_does_what_its_cases_say(path: Path, story: Story) -> None:
    found = correlating.try_out(parsed(path), story.rows)
    assert {finding.rule_id for finding in found} == ({correlation(path).id} if story.kind == "hit" else set())
    for finding in found:
        assert finding.members
        assert finding.host in {member.host for member in finding.members}
        assert all(piece.value for piece in finding.evidence)


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_the_order_of_input_says_nothing(path: Path) -> None:
    for story in stories_of(path):
        mixed = list(story.rows)
        random.Random(1).shuffle(mixed)
        assert {f.id for f in correlating.try_out(parsed(path), story.rows)} == {
            f.id for f in correlating.try_out(parsed(path), mixed)
        }


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_a_correlation_is_written_as_the_house_asks(path: Path) -> None:
    one = correlation(path)
    assert UUID(one.id).version == 4
    assert 60 <= len(one.description) <= 500
    assert one.description.endswith(".")
    assert len(one.title) <= 80
    assert one.author == "Perilune authors"
    assert one.license == "Apache-2.0"
    assert one.references
    assert one.falsepositives
    assert any(t.startswith("T1059") for t in one.techniques)
    assert all(rule.role is Role.PART and rule.extra["name"] for rule in parsed(path).rules if rule is not one)
    kinds = [story.kind for story in stories_of(path)]
    assert kinds.count("hit") >= 1
    assert kinds.count("miss") >= 2


def test_the_pack_s_correlations_share_nothing() -> None:
    rules = [rule for path in RULES for rule in parsed(path).rules]
    names = [rule.extra["name"] for rule in rules if "name" in rule.extra]
    assert len(names) == len(set(names))
    assert len({rule.id for rule in rules}) == len(rules)
    assert len(RULES) >= 7
