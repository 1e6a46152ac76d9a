"""The cache gives back the same rules, notices every change, and trusts nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings

from perilune.detection import cache, encoding, matcher, sigma
from perilune.detection.matching import compiled
from perilune.detection.plan import join
from perilune.detection.shape import shape
from perilune.model.rules import Expr, Rule, RuleSet
from tests.detection import strategies
from tests.detection.engines import cases, table
from tests.detection.test_sigma import HIT, RULE


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE)
    (folder / "b.yml").write_text(RULE.replace("' -e '", "fieldref").replace("contains", "fieldref"))
    return folder


def parsed(folder: Path) -> RuleSet:
    return sigma.load([folder])


def hits(rules: RuleSet) -> list[int]:
    found, _ = matcher.match(compiled(tuple(rules.rules)), table("DeviceProcessEvents", [HIT]))
    return found.tolist()


def test_a_warm_load_is_the_cold_load(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = cache.load([rules], tmp_path / "cache")
    monkeypatch.setattr(sigma, "of_files", None)  # a warm load parses nothing
    warm = cache.load([rules], tmp_path / "cache")
    assert warm == cold
    assert [list(rule.scopes) for rule in warm.rules] == [list(rule.scopes) for rule in cold.rules]
    assert hits(warm) == hits(cold) == [0]
    assert warm.refused == cold.refused and len(warm.refused) == 1


def test_a_changed_rule_is_seen(rules: Path, tmp_path: Path) -> None:
    cache.load([rules], tmp_path / "cache")
    (rules / "a.yml").write_text(RULE.replace("' -e '", "nothing"))
    assert hits(cache.load([rules], tmp_path / "cache")) == []


def test_changed_code_is_seen(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.load([rules], tmp_path / "cache")
    monkeypatch.setattr(cache, "_code", lambda: b"another version")
    cache.load([rules], tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "forged", "directory"])
def test_a_damaged_cache_is_made_anew(rules: Path, tmp_path: Path, damage: str) -> None:
    cold = cache.load([rules], tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    raw = path.read_bytes()
    if damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        body = orjson.dumps({"tests": [], "rules": [[1, 2]], "refused": []})
        path.write_bytes(
            {
                "cut": raw[:-10],
                "flipped": raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
                "empty": b"",
                "foreign": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
                "forged": cache._MAGIC + cache.hashlib.blake2b(body).digest() + body,
            }[damage]
        )
    again = cache.load([rules], tmp_path / "cache")
    assert again == cold and hits(again) == [0]


def test_a_folder_that_cannot_be_written_only_costs_time(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert hits(cache.load([rules], tmp_path / "file")) == [0]
    assert hits(cache.load([rules], None)) == [0]


def test_old_sets_are_removed(rules: Path, tmp_path: Path) -> None:
    for number in range(cache.KEPT + 3):
        (rules / "c.yml").write_text(RULE.replace("Ann", f"Ann{number}"))
        cache.load([rules], tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == cache.KEPT


def test_every_case_survives_the_cache(tmp_path: Path) -> None:
    every = tuple(rule for case in cases() for rule in case.rules.rules)
    stored = cache._decoded(orjson.loads(orjson.dumps(cache._encoded(RuleSet(_with_shapes(every))))))
    assert [list(rule.scopes) for rule in stored.rules] == [list(rule.scopes) for rule in every]
    for case in cases():
        rows = table(case.table, (*case.hits, *case.misses))
        plans = (join([shape(rule) for rule in every]), join([rule.compiled for rule in stored.rules]))
        one, other = (matcher.match(plan, rows) for plan in plans)
        assert [found.tolist() for found in one] == [found.tolist() for found in other]


def _with_shapes(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(replace(rule, compiled=shape(rule)) for rule in rules)


@settings(max_examples=200, deadline=None)
@given(strategies.exprs)
def test_any_tree_survives_being_written(expr: Expr) -> None:
    assert encoding.decode(orjson.loads(encoding.key(expr))) == expr


@pytest.mark.parametrize(
    "text", ["null", "[]", '["&", 1]', '["t", ["a", "b"], [], false]', '["n", ["a","b",null], "x", 1]']
)
def test_what_was_not_written_by_us_is_refused(text: str) -> None:
    with pytest.raises(encoding.DecodeError):
        encoding.decode(orjson.loads(text))
