"""Guides: one for each sub-technique, every query runs here, and no value can become a part of a query."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.detection.kql.running import open_session
from perilune.model.facts import Fact, Facts, Kind
from perilune.triage import guides
from tests.build import at, case, finding, process, table

TECHNIQUES = ["T1059", *(f"T1059.{number:03}" for number in range(1, 14))]
EVENTS = {
    "DeviceProcessEvents": table(
        "DeviceProcessEvents", process(1, 2, "/usr/bin/lua", AccountName="ana", DeviceName="web-01", SHA256="ab")
    ).data,
    "DeviceNetworkEvents": table(
        "DeviceNetworkEvents", {"Timestamp": at(0), "DeviceName": "web-01", "RemoteIP": "203.0.113.9"}
    ).data,
}
FACTS = Facts(
    found={
        Kind.CONNECTION: (Fact(Kind.CONNECTION, "Connection", "x", "203.0.113.9", own=True, tags=("public",)),),
        Kind.DOWNLOAD: (Fact(Kind.DOWNLOAD, "Address", "x", "http://203.0.113.9/a", own=True, tags=("public",)),),
    }
)  # fmt: skip


def about(technique: str, **more: object) -> object:
    row = {"DeviceName": "web-01", "SHA256": "ab" * 32}
    return case(finding(techniques=(technique,), row=row), facts=FACTS, hosts=("web-01",), **more)


def test_there_is_a_guide_for_each_sub_technique() -> None:
    assert sorted(guides.guides()) == TECHNIQUES


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_guide_is_whole_and_every_placeholder_has_a_value(technique: str) -> None:
    rendered = guides.render(about(technique))  # type: ignore[arg-type]
    assert rendered.technique == technique
    assert rendered.happened
    assert len(rendered.check) >= 5
    assert len(rendered.queries) >= 5
    assert len(rendered.contain) >= 4
    assert any(f"/{technique.replace('.', '/')}/" in link for link in rendered.references)
    texts = (*rendered.happened, *rendered.check, *rendered.contain, *(q.kql for q in rendered.queries))
    assert not [text for text in texts if guides.PLACEHOLDER.search(text)]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_query_runs_here(technique: str) -> None:
    with open_session(EVENTS) as session:
        for query in guides.render(about(technique)).queries:  # type: ignore[arg-type]
            session.run(query.kql, datetime(2026, 11, 22))


def test_a_query_for_which_the_case_has_no_value_is_left_out() -> None:
    bare = case(finding(row={}), facts=Facts(), hosts=("web-01",))
    titles = {query.title for query in guides.render(bare).queries}
    assert "Other hosts with the same files" not in titles
    assert "Every run of the interpreter on these hosts around the case" in titles


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters() | st.sampled_from("\"'\\|;()\n@`"), min_size=1, max_size=60))
def test_no_value_becomes_a_part_of_a_query(text: str) -> None:
    hostile = replace(about("T1059.011"), host=text, hosts=(text,), users=(text,))  # type: ignore[type-var]
    plain = guides.render(about("T1059.011")).queries  # type: ignore[arg-type]
    for query, usual in zip(guides.render(hostile).queries, plain, strict=False):  # type: ignore[arg-type]
        assert _outline(query.kql) == _outline(usual.kql)


def _outline(kql: str) -> str:
    """The query without its double-quoted strings: what is left must not depend on a case."""
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', kql)
