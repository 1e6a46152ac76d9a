"""Drawings of playbooks: well-formed, each step once, hostile names harmless."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from perilune.response import cacao
from perilune.response.graph import draw_playbook
from perilune.service.playbooks import load_shelf
from tests.response.build import action_step, playbook

SHELF = load_shelf(None)


@pytest.mark.parametrize("book", SHELF.playbooks.values(), ids=lambda one: one.name)
def test_every_step_is_drawn_once_and_nothing_overlaps(book: cacao.Playbook) -> None:
    drawn = draw_playbook(book)
    root = ET.fromstring(drawn)
    boxes = [
        tuple(int(one.attrib[n]) for n in ("x", "y", "width", "height"))
        for one in root.findall("{http://www.w3.org/2000/svg}rect")
        if "x" in one.attrib
    ]
    assert len(boxes) == len(book.workflow)
    for number, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[number + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    assert not re.search(r"<script|href|onload", drawn)


def test_a_hostile_name_is_text() -> None:
    book = playbook(
        {
            "start:g": {"type": "start", "on_completion": "action:g"},
            "action:g": action_step("</text><script>x</script>", on_completion="end:g"),
            "end:g": {"type": "end"},
        }
    )
    assert "<script" not in draw_playbook(book)
