"""The example in `docs/how-to/add-a-rule.md` is a rule that works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from perilune.detection import oracle, sigma

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/add-a-rule.md"


def test_the_example_does_what_its_events_say() -> None:
    rule_text, events_text, *_ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    (rule,) = sigma.parse(rule_text, PAGE.name).rules
    events = yaml.safe_load(events_text)
    assert all(oracle.rule_holds(rule, e["table"], e["row"]) for e in events["hit"])
    assert not any(oracle.rule_holds(rule, e["table"], e["row"]) for e in events["miss"])
