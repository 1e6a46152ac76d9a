"""A case as the body of a ticket: Jira's wiki markup, and plain text for ServiceNow.

Templates to paste or to send; nothing is sent here. What a log says stands in blocks that no markup ends, or has every
sign of markup escaped; addresses are defanged, so that no ticket system makes links of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from perilune.model.answers import Said
from perilune.model.case import Case
from perilune.report.text import counted, defang, reason_sentence, shorten, span, technique_name, visible, when

JIRA_MOST = 32_000  # a description takes 32,767 characters
SERVICENOW_MOST = 4_000  # the length of a task's description as it is delivered
_FINDINGS = 10
_ANSWERS = 12
_COMMANDS = 5

Safe = Callable[[str, int], str]

_WIKI = re.compile(r"([\\{}\[\]()*_\-+^~?!|#@:;&%<>])")
_CODE_TAG = re.compile(r"\[(/?)code", re.IGNORECASE)


def jira(case: Case) -> str:
    """Wiki markup, as the descriptions of Jira take it."""
    lines = [f"h2. {_wiki(case.title, 200)}", _wiki(_sentence(case), 1_200), ""]
    lines += [f"* *{name}:* {_wiki(value, 400)}" for name, value in _facts(case)]
    lines += ["", "h3. Findings", *(f"# {line}" for line in _findings(case, _wiki))]
    for command in _command_lines(case):
        lines += ["{noformat}", _unformatted(command, 1_500), "{noformat}"]
    if answers := list(_answers(case, _wiki)):
        lines += ["h3. Answers of the runbook", *(f"* {line}" for line in answers)]
    return _fit(lines, JIRA_MOST)


def servicenow(case: Case) -> str:
    """Plain text, short enough for a description."""
    lines = [_plain(case.title, 160), "", _plain(_sentence(case), 700), ""]
    lines += [f"{name}: {_plain(value, 200)}" for name, value in _facts(case)]
    lines += ["", "Findings:", *(f"- {line}" for line in _findings(case, _plain))]
    lines += ["", "Command lines:", *(f"  {_plain(one, 400)}" for one in _command_lines(case))]
    if answers := list(_answers(case, _plain)):
        lines += ["", "Answers of the runbook:", *(f"- {line}" for line in answers)]
    return _fit(lines, SERVICENOW_MOST)


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    yield "Case", case.id or "not stored"
    yield "Severity", f"{case.level.word}, score {case.score} of 100"
    if case.verdict:
        yield "Verdict", f"{case.verdict.word} ({case.verdict.confidence} confidence)"
    if case.escalation:
        yield "Escalation", case.escalation.sentence
    yield "Hosts", ", ".join(case.hosts or (case.host,)) or "unknown"
    yield "Users", ", ".join(case.users) or "unknown"
    yield "Techniques", ", ".join(f"{one} {technique_name(one)}".strip() for one in case.techniques) or "none"
    yield "Seen", span(case.first, case.last)


def _findings(case: Case, safe: Safe) -> Iterator[str]:
    titles: dict[str, int] = {}
    for one in case.findings:
        titles[one.rule_title] = titles.get(one.rule_title, 0) + 1
    for title, count in list(titles.items())[:_FINDINGS]:
        first = next(one for one in case.findings if one.rule_title == title)
        credit = f", by {first.rule_author}" if first.rule_author else ""
        yield safe(f"{first.level.word} ({count} times): {title}{credit}; first {when(first.time)}", 400)
    if len(titles) > _FINDINGS:
        yield safe(f"and {counted(len(titles) - _FINDINGS, 'more rule')}", 100)


def _command_lines(case: Case) -> list[str]:
    seen = dict.fromkeys(str(one.row.get("ProcessCommandLine") or "") for one in case.findings)
    return [one for one in seen if one][:_COMMANDS]


def _answers(case: Case, safe: Safe) -> Iterator[str]:
    telling = [one for one in case.answers if one.speaks_for_abuse or one.said is Said.UNKNOWN]
    for one in telling[:_ANSWERS]:
        yield safe(f"{one.said.value}: {one.text} {one.sentence}", 500)
    if len(telling) > _ANSWERS:
        yield safe(f"and {counted(len(telling) - _ANSWERS, 'more answer')}", 100)


def _sentence(case: Case) -> str:
    return case.verdict.sentence if case.verdict else reason_sentence(case)


def _line(text: str, most: int) -> str:
    return visible(defang(shorten(text, most))).strip()


def _wiki(text: str, most: int) -> str:
    """Every sign of Jira's markup escaped, macros, links, mentions and emoticons among them."""
    return _WIKI.sub(r"\\\1", _line(text, most))


def _unformatted(text: str, most: int) -> str:
    """For a block of `{noformat}`: in it only its own end means anything."""
    return _line(text, most).replace("{noformat", "{ noformat").replace("{NOFORMAT", "{ NOFORMAT")


def _plain(text: str, most: int) -> str:
    """ServiceNow's journals run what stands between `[code]` and `[/code]` as HTML; such a tag is broken."""
    return _CODE_TAG.sub(r"[ \1code", _line(text, most))


def _fit(lines: list[str], most: int) -> str:
    """As many whole lines as fit; what was left out is said. An open block is closed."""
    ending = "\nMore than fits a ticket was left out; the full report has it.\n"
    text = ""
    for number, line in enumerate(lines):
        if len(text) + len(line) + len(ending) + 16 > most and number < len(lines):
            closing = "{noformat}\n" if text.count("{noformat}\n") % 2 else ""
            return text + closing + ending
        text += line + "\n"
    return text
