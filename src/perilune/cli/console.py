"""What the command line prints: tables for people on stdout, progress and notes on stderr.

Colours only on a terminal and only without NO_COLOR; every text from a log goes through `visible` first, so
that it can neither move the cursor nor colour the screen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from perilune.model.rules import Level, Role
from perilune.model.sources import Reading
from perilune.report.text import (
    clock,
    finding_order,
    reason_sentence,
    severity_mark,
    severity_word,
    shorten,
    visible,
    when,
)

if TYPE_CHECKING:
    from perilune.detection.oracle import Explanation
    from perilune.model.case import Case, ProcessNode
    from perilune.model.findings import Explained, Finding
    from perilune.model.rules import Evidence, Rule
    from perilune.model.sources import SourceReport
    from perilune.model.suppression import Suppressed
    from perilune.pipeline import RuleOnEvent
    from perilune.store.cases import Summary

PIPE_WIDTH = 160  # where there is no terminal to ask
_piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
out = Console(highlight=False, width=PIPE_WIDTH if _piped else None)
err = Console(stderr=True, highlight=False)

STYLES = {
    Level.CRITICAL: "bold red",
    Level.HIGH: "red",
    Level.MEDIUM: "yellow",
    Level.LOW: "cyan",
    Level.INFORMATIONAL: "dim",
}
COMMAND_SHOWN = 400


def severity(level: Level) -> Text:
    return Text(f"{severity_mark(level)} {severity_word(level)}", style=STYLES[level])


def plain(text: str, limit: int = 200, style: str = "") -> Text:
    """Text from a log, made harmless."""
    return Text(visible(shorten(text, limit)), style=style)


# The queue's columns: heading, justify, may it wrap, and the narrowest terminal that has room for it.
_QUEUE = (
    ("Severity", "left", False, 0),
    ("Score", "right", False, 0),
    ("Case", "left", False, 0),
    ("What", "left", True, 0),
    ("Host", "left", True, 0),
    ("User", "left", True, 100),
    ("Technique", "left", False, 120),
    ("Findings", "right", False, 132),
    ("Last seen (UTC)", "left", False, 84),
)


def queue(cases: Sequence[Summary]) -> Table:
    """One line per case, most urgent first; narrow terminals get fewer columns, never empty ones."""
    chosen = [number for number, column in enumerate(_QUEUE) if out.width >= column[3]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number in chosen:
        name, justify, wraps, _ = _QUEUE[number]
        table.add_column(name, justify=justify, no_wrap=not wraps, min_width=12 if wraps else None, overflow="fold")  # type: ignore[arg-type]
    for case in cases:
        cells = _cells(case)
        table.add_row(*(cells[number] for number in chosen))
    return table


def _cells(case: Summary) -> tuple[Text | str, ...]:
    return (
        severity(case.level),
        str(case.score),
        case.id,
        plain(case.title, 80),
        plain(case.host, 60),
        plain(_some(case.users), 60),
        plain(_some(case.techniques), 60),
        str(case.findings),
        (case.last or "")[:16].replace("T", " "),
    )


_ROLES = {Role.CONTEXT: ("known use", "green"), Role.PART: ("part", "dim")}


def rule_table(rules: Sequence[Rule]) -> Table:
    """One line per rule, the most severe first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Level", "Technique", "Title", "Author", "Tables"):
        table.add_column(name, no_wrap=name in ("Level", "Technique"))
    for rule in sorted(rules, key=lambda rule: (rule.role.value, -rule.level, rule.title), reverse=False):
        level = severity(rule.level) if rule.role is Role.DETECTION else Text(*_ROLES[rule.role])
        tables = ", ".join(dict.fromkeys(scope.table for scope in rule.scopes))
        table.add_row(level, plain(_some(rule.techniques), 60), plain(rule.title, 100), plain(rule.author, 60), tables)
    return table


def summary_of(case: Case) -> Summary:
    """The queue's line for a case that was not stored."""
    from perilune.store.cases import Summary  # and with it the database, which only this command needs

    return Summary(
        id=case.id or "-",
        status=case.status,
        level=case.level,
        score=case.score,
        title=case.title,
        host=case.host,
        users=case.users,
        techniques=case.techniques,
        findings=len(case.findings) + sum(case.repeats.values()),
        first=case.first.isoformat() if case.first else None,
        last=case.last.isoformat() if case.last else None,
        updated="",
    )


def show_case(case: Case) -> None:
    """A case on the terminal: why, the findings with their evidence, the tree, the timeline."""
    head = Text.assemble(severity(case.level), f"  score {case.score}  ", (case.id, "bold"), "  ")
    out.print(head.append(visible(case.title), style="bold"))
    hosts = case.host + (f" and {len(case.hosts) - 1} more" if len(case.hosts) > 1 else "")
    out.print(Text(visible(f"{hosts}  {_some(case.users)}  {' '.join(case.techniques)}  {case.status}")))
    out.print(Text(f"{when(case.first)} to {when(case.last)}"), style="dim")
    out.print()
    out.print(plain(case.verdict.sentence if case.verdict else reason_sentence(case), 2000))
    for reason in case.reasons:
        out.print(Text(f"  {reason.points:+4}  ").append(visible(reason.text)))
    _show_triage(case)
    _heading(f"Findings ({len(case.findings)})")
    for same_rule in _by_rule(case.findings):
        _show_rule(same_rule)
    for rule_id, count in case.repeats.items():
        out.print(Text(f"  and {count:,} more matches of rule {visible(rule_id)}, counted and not listed"))
    _heading("Process tree")
    for node in case.tree:
        out.print(_tree_line(node), soft_wrap=True)
    if case.tree_cut:
        out.print(Text(f"  {case.tree_cut:,} more processes not shown"), style="dim")
    _heading("Timeline (UTC)")
    for entry in case.timeline:
        mark = "●" if entry.findings else " "
        line = Text(f" {mark} {clock(entry.time) if entry.time else 'unknown':12}  ", style="dim")
        out.print(line.append(plain(entry.summary, COMMAND_SHOWN, "" if entry.findings else "dim")))
    if case.timeline_cut:
        out.print(Text(f"   {case.timeline_cut:,} more events not shown"), style="dim")


def show_input(sources: Sequence[SourceReport]) -> None:
    """What was read and what was not, on stderr: one line per file that was not read in full."""
    for source in sources:
        if source.reading is not Reading.COMPLETE:
            line = f"{source.path}: {source.reading}: {_why_not(source)}"
            err.print(Text(visible(line), "yellow"), soft_wrap=True)
    err.print(Text(input_line(sources), style="dim"), soft_wrap=True)


def _why_not(source: SourceReport) -> str:
    faults = [
        problem.what
        + (f" ({problem.count:,} times)" if problem.count > 1 else "")
        + (f", first at {problem.where}" if problem.where else "")
        for problem in source.problems
    ] or [f"{count:,} × {reason}" for reason, count in source.skipped.items()]
    return "; ".join(faults) or "nothing could be read"


def input_line(sources: Sequence[SourceReport]) -> str:
    records = sum(source.records for source in sources)
    rows = sum(sum(source.rows.values()) for source in sources)
    skipped = sum(sum(source.skipped.values()) for source in sources)
    incomplete = sum(source.reading is not Reading.COMPLETE for source in sources)
    line = f"Read {len(sources):,} files, {records:,} records, {rows:,} rows"
    if skipped:
        line += f"; {skipped:,} records skipped (see --json)"
    if incomplete:
        line += f"; {incomplete:,} files not read in full"
    return line + "."


def show_explained(explained: Sequence[Explained]) -> None:
    """Known hosts of an interpreter, each once with its count."""
    if not explained:
        return
    counts: dict[str, int] = {}
    for one in explained:
        counts[one.context.title] = counts.get(one.context.title, 0) + 1
    listed = ", ".join(f"{title} ×{count}" for title, count in sorted(counts.items()))
    out.print(Text(visible(f"Explained as known uses: {listed}"), style="dim"))


def show_suppressed(suppressed: Sequence[Suppressed]) -> None:
    """What was suppressed, by whom, why and until when; and which suppressions no longer hold."""
    for done in suppressed:
        one = done.suppression
        if done.expired:
            line = f"Suppression {one.id} of {one.owner} expired on {one.expires} and was not used: {one.reason}"
            out.print(plain(line, 400, "yellow"))
        elif done.count:
            noun = "finding" if done.count == 1 else "findings"
            line = f"Suppressed: {done.count:,} {noun} by {one.id} ({one.owner}, until {one.expires}): {one.reason}"
            out.print(plain(line, 400, "dim"))


def _show_triage(case: Case) -> None:
    """The verdict, the escalation with its criteria, and the answers: those that accuse, then the open ones."""
    if case.verdict is None or case.escalation is None:
        return
    _heading(f"Verdict: {case.verdict.word} ({case.verdict.confidence} confidence)")
    for reason in case.verdict.why:
        out.print(plain(f"  {reason}", 400))
    _heading(
        {"yes": "Escalate to Tier 2", "no": "Keep with Tier 1", "unknown": "Escalation cannot be decided"}[
            case.escalation.said
        ]
    )
    for one in case.escalation.criteria:
        out.print(Text(f"  {one.said:8}", _TONES[one.said]).append_text(plain(one.text, 200)))
        out.print(_under(shorten(one.why, 300), "dim"))
    _heading(f"The runbook ({len(case.answers)} questions)")
    part = ""
    for answer in case.answers:
        if answer.part != part:
            part = answer.part
            out.print(Text(f"  {part.value}", "bold"))
        tone = "bold red" if answer.speaks_for_abuse else "yellow" if answer.said == "unknown" else ""
        out.print(Text(f"  {answer.said:8}", tone).append_text(plain(answer.text, 200)))
        out.print(_under(shorten(answer.sentence, 300), "dim"))


_TONES = {"yes": "bold red", "no": "", "unknown": "yellow"}


def _by_rule(findings: Sequence[Finding]) -> list[list[Finding]]:
    rules: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=finding_order):
        rules.setdefault(finding.rule_id, []).append(finding)
    return list(rules.values())


def _show_rule(findings: Sequence[Finding]) -> None:
    """What one rule found in the case: its evidence on the first event, and when it held again."""
    first = findings[0]
    line = Text("  ").append_text(severity(first.level)).append(f"  {first.score:3}  ")
    out.print(line.append(visible(first.rule_title), style="bold"))
    author = f"by {first.rule_author}" if first.rule_author else "author unknown"
    out.print(_under(f"{author}, rule {first.rule_id}", "dim"))
    out.print(_under(f"{when(first.time)}, {first.event.source} record {first.event.record}", "dim"))
    for field, pieces in _by_field(first.evidence).items():
        tests = "; ".join(shorten(piece.test, 64) for piece in pieces)
        out.print(_under(f"{field} {shorten(tests, 600)}"))
        out.print(_under(f"  {shorten(pieces[0].value, COMMAND_SHOWN)}", "italic"))
    for reason in first.reasons[1:]:
        out.print(_under(f"{reason.points:+}  {reason.text}", "green"))
    if again := findings[1:]:
        times = ", ".join(clock(finding.time) for finding in again[:5] if finding.time)
        more = ", …" if len(again) > 5 else ""
        out.print(_under(f"and {len(again):,} more: {times}{more}", "dim"))


def _under(text: str, style: str = "") -> Padding:
    return Padding(plain(text, 2000, style), (0, 0, 0, 8))


def _by_field(evidence: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    fields: dict[str, list[Evidence]] = {}
    for piece in evidence:
        fields.setdefault(piece.field, []).append(piece)
    return fields


def _tree_line(node: ProcessNode) -> Text:
    mark = "▶ " if node.findings else "  "
    line = Text("  " + "│ " * node.depth + mark, style="dim")
    line.append(visible(node.name or node.path or "?"), style="bold red" if node.findings else "bold")
    line.append(f" {node.pid if node.pid is not None else '?'} ", style="dim")
    line.append(plain(node.command_line or node.path, COMMAND_SHOWN))
    if node.event is None:
        line.append("  (its start was not recorded)", style="dim italic")
    return line


def explanation(one: RuleOnEvent) -> Tree:
    """A rule's tree of tests on one event, each held or not with the value it was tried on."""
    verdict = "holds" if one.why.held else "does not hold"
    where = f"{one.event.table}, {one.event.source} record {one.event.record}"
    root = Tree(plain(f"{one.rule.title}: {verdict} on {where}", 400, "bold"))
    for part in one.why.parts:
        branch(root, part)
    return root


def branch(tree: Tree, node: Explanation) -> None:
    """Adds one test of a rule, and those below it."""
    text = Text("✓ ", "green") if node.held else Text("✗ ", "red")
    text.append(visible(node.test))
    if node.value is not None:
        text.append(visible(f"   value: {shorten(node.value, COMMAND_SHOWN)}"), style="dim")
    under = tree.add(text)
    for part in node.parts:
        branch(under, part)


def _heading(text: str) -> None:
    out.print()
    out.print(Text(text, style="bold underline"))


def _some(names: Sequence[str], most: int = 2) -> str:
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def note(text: str) -> None:
    err.print(Text(visible(text)), soft_wrap=True)
