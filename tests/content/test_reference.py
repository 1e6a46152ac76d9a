"""`docs/reference/rules.md` is generated: `python -m tests.content.test_reference` writes it, the test compares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perilune.cli import rule_checks
from perilune.detection.coverage import Covered
from perilune.model.rules import Role, Rule
from perilune.pipeline import load_rules
from tests.conftest import CHECKOUT
from tests.content.test_checklist import checklist

PAGE = CHECKOUT / "docs" / "reference" / "rules.md"
OPENING = """\
# Rules of the pack

Generated from the rules themselves. `perilune rules list` shows them with your own, `perilune rules coverage` counts
them (`--navigator FILE` writes an ATT&CK Navigator layer), `perilune rules explain` says why one does or does not hold.
Each stands in `src/perilune/content/sigma` beside the events that it must hit and miss.

*High* and *critical* are for what legitimate use hardly ever does; *low* and *informational* are facts for other
findings to stand on.
"""


def page() -> str:
    rules = sorted(load_rules().rules, key=lambda rule: rule.source)
    return (
        "\n".join([OPENING, *_coverage(rule_checks.covered(rules)), *_by_guide(rules), *_known(rules), *_lua()]) + "\n"
    )


def _coverage(rows: Iterable[Covered]) -> Iterator[str]:
    yield "## Coverage\n"
    yield f"| technique | name | rules | {' | '.join(rule_checks.LEVELS)} | tables |"
    yield "| --- | --- | --- |" + " --- |" * (len(rule_checks.LEVELS) + 1)
    for row in rows:
        levels = " | ".join(str(row.levels.get(level, "")) for level in rule_checks.LEVELS)
        yield f"| {row.technique} | {row.name} | {row.rules} | {levels} | {', '.join(sorted(row.tables))} |"


def _by_guide(rules: Iterable[Rule]) -> Iterator[str]:
    guides: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.role is Role.DETECTION and "guide" in rule.extra:
            guides.setdefault(rule.extra["guide"].upper(), []).append(rule)
    for technique in sorted(guides):
        yield f"\n## {technique}\n"
        yield "| level | rule | reads | looks the same |\n| --- | --- | --- | --- |"
        for rule in sorted(guides[technique], key=lambda rule: (-rule.level, rule.title)):
            tables = ", ".join(dict.fromkeys(scope.table for scope in rule.scopes))
            yield f"| {rule.level.word} | {rule.title} | {tables} | {'; '.join(rule.falsepositives)} |"


def _known(rules: Iterable[Rule]) -> Iterator[str]:
    yield "\n## Known uses\n\nThey explain a finding on the same event and lower its score; they never hide it.\n"
    yield "| known use | lowers by | what would fool it |\n| --- | --- | --- |"
    for rule in sorted((one for one in rules if one.role is Role.CONTEXT), key=lambda one: one.title):
        yield f"| {rule.title} | {rule.lowers} | {'; '.join(rule.falsepositives)} |"


def _lua() -> Iterator[str]:
    yield "\n## What is known of Lua, and the rules that find it"
    for family, items in checklist().items():
        yield f"\n**{family}**\n"
        for what, rules in items.items():
            yield f"- {what}: {', '.join(f'`{rule}`' for rule in rules)}"


def test_the_page_of_rules_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.content.test_reference"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
