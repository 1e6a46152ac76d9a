"""The HTML report: whole, honest, and no place for what an attacker writes into a log."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import Environment, nodes

from perilune.model.findings import Reason
from perilune.report import html, text
from tests.report import cases

TAGS = frozenset(
    "html head meta link title style body a header main nav footer section div span p h1 h2 h3 h4 ul ol li dl dt dd "
    "table thead tbody tfoot tr th td details summary code b i mark time".split()
)
ATTRIBUTES = frozenset(
    "lang charset http-equiv content name rel href class id aria-label aria-labelledby aria-hidden tabindex scope "
    "colspan datetime value open data-label".split()
)


class Seen(HTMLParser):
    """Every tag, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def render(case: Any = cases.INTRUSION, **more: Any) -> str:
    return html.render(case, generated=cases.GENERATED, version=cases.VERSION, **more)


def words(page: str) -> str:
    return " ".join(" ".join(Seen(page).texts).split())


@pytest.mark.parametrize("poison", [*cases.POISONS, "".join(cases.POISONS)], ids=lambda poison: ascii(poison)[1:20])
def test_hostile_text_stays_text(poison: str) -> None:
    page = render(
        cases.hostile(poison), sources=cases.hostile_sources(poison), explained=cases.hostile_explained(poison)
    )
    seen = Seen(page)
    assert seen.tags <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert all(link.startswith(("#", "data:,")) for link in seen.links)
    assert len(seen.ids) == len(set(seen.ids))
    assert all(char.isprintable() or char == "\n" for char in page)
    assert not re.search(r"https?://|www\.[a-z]", words(page))
    page.encode("utf-8")


def test_rules_links_are_the_only_ones_that_lead_outside() -> None:
    outside = {link for link in Seen(render()).links if not link.startswith("#")} - {"data:,"}
    named = {finding.rule_link for finding in cases.FINDINGS} | {
        reference for finding in cases.FINDINGS for reference in finding.rule_references
    }
    assert outside <= named | {text.technique_page(technique) for technique in cases.INTRUSION.techniques}
    assert 'rel="noreferrer noopener"' in render()


def test_every_link_inside_the_page_has_its_target() -> None:
    seen = Seen(render(sources=cases.SOURCES))
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    page = render()
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "</" not in style[1]


def test_no_style_attribute_no_script_no_handler() -> None:
    seen = Seen(render(sources=cases.SOURCES, explained=cases.EXPLAINED))
    assert seen.attributes <= ATTRIBUTES
    assert seen.tags <= TAGS


def test_the_score_adds_up_before_the_readers_eyes() -> None:
    page = render()
    table = re.search(r'<table class="scores">.*?</table>', page, re.DOTALL)
    assert table
    points = [int(p.replace("−", "-")) for p in re.findall(r'class="points">([+−]?\d+)<', table[0])]
    assert sum(points[:-1]) == points[-1] == cases.INTRUSION.score


@pytest.mark.parametrize(
    ("score", "said"),
    [(100, "add up to 120; a score stays within 0 and 100"), (77, "but the reasons add up to 120")],
)
def test_a_score_that_its_reasons_do_not_add_up_to_says_so(score: int, said: str) -> None:
    case = replace(cases.INTRUSION, score=score, reasons=(Reason(90, "a"), Reason(30, "b")))
    assert said in words(render(case))


def test_every_finding_names_its_rules_author_and_licence() -> None:
    page = words(render())
    for finding in cases.FINDINGS:
        assert f"by {finding.rule_author}, {finding.rule_license}" in page
        assert finding.rule_title in page


def test_what_could_not_be_seen_is_said() -> None:
    page = words(render(sources=cases.SOURCES))
    assert "What we could not see: 3 files of 4 could not be read whole or have faults." in page
    assert "the file may not be read (permission denied)" in page
    assert "what could not be seen is unknown" in words(render())


def test_what_is_cut_is_counted() -> None:
    page = words(render())
    assert "3 more processes of this tree are left out." in page
    assert "128 more events are left out; events with findings were kept first." in page


def test_a_megabyte_of_command_line_makes_no_megabyte_of_report() -> None:
    big = "lua5.4 -e '" + "\u202e" * 1_000_000 + "'"
    node = replace(cases.TREE[8], command_line=big)
    entry = replace(cases.TIMELINE[9], summary=big)
    finding = replace(cases.FINDINGS[0], row={"ProcessCommandLine": big})
    case = replace(cases.INTRUSION, tree=(node,), timeline=(entry,), findings=(finding,))
    page = render(case)
    assert len(page) < 400_000
    assert "more characters" in page
    assert "1,000,012 characters, 4,000 of them in this file" in words(page)


def test_an_empty_case_is_a_page_too() -> None:
    page = words(render(cases.EMPTY))
    assert "No finding is kept with this case." in page
    assert "Nobody has written to this case yet." in page


def test_a_process_known_only_by_its_child_says_so() -> None:
    assert "(its start is not in the logs)" in words(render())


@pytest.mark.parametrize("name", ["case.html.j2", "case.md.j2", "lua.html.j2"])
def test_templates_leave_no_way_around_the_door(name: str) -> None:
    tree = Environment(autoescape=True).parse(html.template_text(name))
    assert not list(tree.find_all(nodes.Concat)), "text joined with ~ is not finalized"
    used = {node.name for node in tree.find_all(nodes.Filter)}
    assert not used & {"safe", "join", "format", "replace", "tojson", "xmlattr", "urlize", "indent"}
