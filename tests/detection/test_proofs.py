"""Events beside a rule: read with their lines, refused by name, tried and explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune.detection import proofs, sigma
from perilune.errors import RuleError
from tests.detection.test_lint import CAREFUL, EVENTS

(RULE,) = sigma.parse(CAREFUL.replace("\\\\", "\\"), "mail_read.yml").rules


def written(folder: Path, text: str) -> tuple[proofs.Event, ...]:
    path = folder / "mail_read.events.yml"
    path.write_text(text, encoding="utf-8")
    return proofs.load(path)


def test_a_rule_that_does_what_its_events_say(tmp_path: Path) -> None:
    outcomes = list(proofs.try_out(RULE, written(tmp_path, EVENTS)))
    assert [(one.event.kind, one.event.number, one.held) for one in outcomes] == [
        ("hit", 1, True),
        ("hit", 2, True),
        ("miss", 1, False),
        ("miss", 2, False),
    ]
    assert all(one.right and one.why is None for one in outcomes)
    assert outcomes[2].event.where.endswith(":5")


def test_what_goes_wrong_is_explained(tmp_path: Path) -> None:
    swapped = EVENTS.replace("hit:", "x:").replace("miss:", "hit:").replace("x:", "miss:")
    outcomes = list(proofs.try_out(RULE, written(tmp_path, swapped)))
    assert not any(one.right for one in outcomes)
    assert all(one.why is not None and one.why.parts for one in outcomes)


@pytest.mark.parametrize(
    "text, message",
    [
        ("- a\n", "a mapping of `hit` and `miss`"),
        ("hits: []\n", "unknown kind of events 'hits'"),
        ("hit: 3\n", "`hit` is not a list"),
        ("hit:\n  - {table: Nothing, row: {}}\n", "unknown table 'Nothing'"),
        ("hit:\n  - {row: {}}\n", "an event has a `table` and a `row`"),
        ("hit:\n  - {table: DeviceProcessEvents, row: {Imagine: x}}\n", "DeviceProcessEvents has no column Imagine"),
        ("hit: [unclosed\n", "not valid YAML"),
    ],
)
def test_wrong_events_are_refused_by_name_and_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"mail_read\.events\.yml") as caught:
        written(tmp_path, text)
    assert message in str(caught.value)


def test_too_many_events_are_refused(tmp_path: Path) -> None:
    event = "  - {table: DeviceProcessEvents, row: {}}\n"
    with pytest.raises(RuleError, match="more than 1,000 events"):
        written(tmp_path, "hit:\n" + event * 1_001)
