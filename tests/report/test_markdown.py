"""The Markdown report, parsed as a ticket system would: hostile text is never markup."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from perilune.model.findings import Reason
from perilune.report import markdown
from tests.report import cases

BLOCKS = frozenset({"heading", "paragraph", "bullet_list", "list_item", "fence", "hr", "inline"})
INLINE = frozenset({"text", "code_inline", "strong", "softbreak", "link"})
HEADINGS = [
    "Verdict: unknown",
    "Escalation cannot be decided",
    "The runbook, answered",
    "Why it scores",
    "Findings",
    "Processes",
    "Timeline (UTC)",
    "Entities",
    "What was read",
]


def render(case: Any = cases.INTRUSION, **more: Any) -> str:
    return markdown.render(case, generated=cases.GENERATED, version=cases.VERSION, **more)


def kinds(tokens: list[Token]) -> set[str]:
    return {re.sub(r"_(open|close)$", "", token.type) for token in tokens}


def check(body: str) -> None:
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(body)
    assert kinds(tokens) <= BLOCKS
    inline = [child for token in tokens for child in token.children or ()]
    assert kinds(inline) <= INLINE
    for link in (token for token in inline if token.type == "link_open"):
        assert str(link.attrs["href"]).startswith("https://")
    prose = "\n".join(token.content for token in inline if token.type == "text")
    assert not re.search(r"[@#~$<>\[\]|]|https?:|www\.|:[a-z]\w*:", prose.replace("[.]", ""))
    titles = [
        tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"
    ]
    assert [title.split(" 6")[0] for title in titles] == HEADINGS


@pytest.mark.parametrize("poison", [*cases.POISONS, "".join(cases.POISONS)], ids=lambda poison: ascii(poison)[1:20])
def test_hostile_text_is_never_markup(poison: str) -> None:
    body = render(
        cases.hostile(poison), sources=cases.hostile_sources(poison), explained=cases.hostile_explained(poison)
    )
    check(body)
    assert all(char.isprintable() or char == "\n" for char in body)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters() | st.sampled_from("`*_[]()<>#-+.!|~&:@$\\ \n1www"), max_size=40))
def test_no_text_at_all_is_markup(poison: str) -> None:
    check(render(cases.hostile(poison), sources=cases.hostile_sources(poison)))


def test_a_huge_case_still_fits_a_ticket() -> None:
    big = "\u202e" * 5000
    case = replace(
        cases.INTRUSION,
        title=big,
        findings=tuple(replace(cases.FINDINGS[0], id=str(n), rule_title=big) for n in range(300)),
        tree=tuple(replace(node, command_line=big) for node in cases.TREE * 40),
        timeline=tuple(replace(entry, summary=big) for entry in cases.TIMELINE * 40),
    )
    body = render(case, sources=cases.SOURCES * 50)
    assert len(body) <= markdown.LIMIT
    assert "293 more findings with lower scores not written out here." in body


def test_sections_go_whole_when_even_the_least_is_too_long() -> None:
    case = replace(cases.INTRUSION, reasons=tuple(Reason(1, "\u202e" * 400) for _ in range(20)))
    body = render(case)
    assert len(body) <= markdown.LIMIT
    assert "## Why it scores" not in body
    assert "## Processes" in body
    assert "The other sections are too long for a ticket" in body


def test_the_rules_author_stands_with_each_finding() -> None:
    body = render()
    assert "by Thomas Patzke, Florian Roth (Nextron Systems), DRL-1.1" in body


def test_the_process_tree_keeps_its_shape() -> None:
    assert re.search(r"^▲     sh 8516 \[finding 2\]  sh -c 'curl", render(), re.MULTILINE)
