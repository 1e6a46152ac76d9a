"""A finding's analysis in the reports: what matters first, all inside a budget, whatever is left out counted."""

from __future__ import annotations

from dataclasses import replace

from perilune.model.analysis import Analysis, Layer
from perilune.report import analysed, html, markdown
from tests.report import cases

FOUND = cases.analysis_of("lua -e 'x'", "x", "203.0.113.9", "noted")


def test_nothing_to_say_is_not_said() -> None:
    assert analysed.lay_out(None, 5, 5) is None
    plain = Analysis((Layer(0, "given", None, 0, 2, "ls"),), (), (), (), (), 4, FOUND.level)
    assert analysed.lay_out(plain, 5, 5) is None


def test_layers_say_how_they_were_won_and_bytes_are_hex() -> None:
    told = analysed.lay_out(FOUND, 5, 5)
    assert told is not None
    assert [one.how for one in told.layers] == [
        "argument of layer 0, lua", "xor of layer 1, partial, noted, 5 bytes",
        "secure-string of layer 1, failed, noted",
    ]  # fmt: skip
    assert told.layers[1].text == "7f 45 4c 46 02"
    assert [one.id for one in told.capabilities] == ["reverse-shell"]  # what speaks for harmlessness is a reason only


def test_the_middle_is_left_out_and_counted() -> None:
    many = tuple(Layer(n, "base64", n - 1 if n else None, 0, 1, f"text {n}") for n in range(30))
    told = analysed.lay_out(replace(FOUND, layers=many, indicators=FOUND.indicators * 9), 4, 3)
    assert told is not None
    assert [one.number for one in told.layers] == [1, 2, 28, 29]
    assert (told.layers_cut, told.indicators_cut) == (25, 6)


def test_an_indicator_says_its_list_entry_and_age() -> None:
    assert analysed.about(FOUND.indicators[0]) == "ipv4; reserved; listed: corp.json (noted, 51 days old)"


def test_both_reports_show_it() -> None:
    given = {"generated": cases.GENERATED, "version": cases.VERSION}
    page = html.render(cases.INTRUSION, **given)  # type: ignore[arg-type]
    assert "What its text does" in page
    assert "Gives somebody at the other end of the network a shell" in page
    assert "corp.json (Botnet, seen by the partner, 51 days old)" in page
    text = markdown.render(cases.INTRUSION, **given)  # type: ignore[arg-type]
    assert "- **What its text does:** High, score 89 of 100" in text
    assert "**Layer 1:** argument of layer 0, lua" in text
