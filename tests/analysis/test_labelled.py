"""The labelled lines of `lines/`: how often the analysis is right on them may not get worse."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.analysis import labelled

# Measured 96.7 % and 89.6 %; the floors leave room for a line or two in each part.
FLOORS = {False: 0.95, True: 0.88}
HIGH_PER_1000 = 5
MEDIUM_OF_BENIGN = 0.08


@pytest.mark.parametrize("held_out", [False, True])
def test_attacks_are_at_medium_or_above(held_out: bool) -> None:
    hits, total = labelled.share_at(
        [one for one in labelled.load("attack") if one.held_out is held_out], labelled.MEDIUM
    )
    assert hits / total >= FLOORS[held_out]


def test_harmless_lines_are_hardly_ever_high_and_seldom_medium() -> None:
    lines = labelled.load("benign")
    assert labelled.share_at(lines, labelled.HIGH)[0] * 1000 <= HIGH_PER_1000 * len(lines)
    assert labelled.share_at(lines, labelled.MEDIUM)[0] <= MEDIUM_OF_BENIGN * len(lines)


def test_every_sub_technique_has_twenty_lines_and_no_line_stands_twice() -> None:
    attacks = labelled.load("attack")
    counts = Counter(one.group for one in attacks)
    assert [n for n in range(1, 14) if counts[f"T1059.{n:03}"] < 20] == []
    everything = [one.text for one in (*attacks, *labelled.load("benign"))]
    assert len(everything) == len(set(everything))


def test_about_a_third_is_held_out() -> None:
    for name in ("attack", "benign"):
        lines = labelled.load(name)
        assert 0.28 <= sum(one.held_out for one in lines) / len(lines) <= 0.38
