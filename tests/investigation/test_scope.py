"""What is near a case, what its processes did, and how much of it is looked at."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perilune.investigation import scope as scopes
from perilune.investigation.scope import AFTER, BEFORE, MAX_FACTS, MAX_ROWS, bounded, coverage, find, fitting, owned
from perilune.model.events import EventRef
from perilune.model.facts import Coverage, Fact, Kind, Source
from tests.build import at, finding, table
from tests.investigation.scopes import by_lua, by_other, scoped

FILES = "DeviceFileEvents"


def _file(seconds: float, name: str, who: dict[str, object]) -> dict[str, object]:
    return {"Timestamp": at(seconds), "FileName": name, **who}


def test_rows_from_an_hour_before_to_four_after_are_near_and_so_are_those_without_a_time() -> None:
    edges = (-BEFORE.total_seconds(), AFTER.total_seconds())
    rows = [_file(edges[0] - 1, "too early", {}), _file(edges[0], "first", {}), _file(edges[1], "last", {}),
            _file(edges[1] + 1, "too late", {}), {"FileName": "timeless"}]  # fmt: skip
    near = scoped(table(FILES, *rows)).near[FILES]
    assert near.values("FileName") == ["first", "last", "timeless"]


def test_without_a_time_of_the_case_everything_is_near() -> None:
    scope = scoped(table(FILES, _file(-9e6, "old", {})), findings=[finding(seconds=None)])
    assert scope.begin is None
    assert scope.near[FILES].values("FileName") == ["old"]


def test_the_case_s_own_come_first_and_what_names_no_process_is_neither() -> None:
    rows = [
        _file(1, "a.tmp", by_other()),
        _file(2, "b.tmp", by_lua()),
        _file(3, "c.tmp", {}),
        _file(4, "d.txt", by_lua()),
    ]
    hits = find(scoped(table(FILES, *rows)), FILES, ["FileName", "FolderPath"], r"\.tmp$")
    assert [(hit.text("FileName"), hit.own) for hit in hits] == [("b.tmp", True), ("a.tmp", False), ("c.tmp", None)]
    assert hits[0].ref == EventRef(FILES, "test.log", 2)


def test_what_the_processes_did_is_theirs_alone() -> None:
    scope = scoped(table(FILES, _file(1, "a", by_other()), _file(2, "b", by_lua())))
    assert [hit.text("FileName") for hit in owned(scope, FILES)] == ["b"]
    assert owned(scope, "DeviceRegistryEvents") == []
    assert find(scope, "DeviceRegistryEvents", ["RegistryKey"], "x") == []


def test_many_rows_are_bounded_and_the_case_s_own_are_not_pushed_out() -> None:
    rows = [_file(1, f"{n}.tmp", by_other()) for n in range(MAX_ROWS + 50)] + [_file(2, "own.tmp", by_lua())]
    hits = find(scoped(table(FILES, *rows)), FILES, ["FileName"], "tmp")
    assert len(hits) == MAX_ROWS
    assert hits[0].text("FileName") == "own.tmp"


@pytest.mark.parametrize("pattern", [r"(?i)^A", r"b$", "nothing", "^$"])
def test_a_pattern_holds_on_the_same_rows_of_few_and_of_many(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = table(FILES, *({"FileName": name} for name in ("ab", "Ab", "", "b", None)))
    few = fitting(values, "FileName", pattern).to_pylist()
    monkeypatch.setattr(scopes, "_MANY", 0)
    assert fitting(values, "FileName", pattern).to_pylist() == few


def test_a_fact_is_kept_once_the_case_s_own_first_then_by_time() -> None:
    def one(n: int, own: bool | None) -> Fact:
        return Fact(Kind.CHANGE, "name", "text", f"v{n}", None, at(-n), "h", own)

    others = [one(n, False) for n in range(MAX_FACTS + 5)]
    kept, cut = bounded([*others, one(99, True), one(99, True)])
    assert (len(kept), cut) == (MAX_FACTS, 6)
    assert [fact.own for fact in kept].count(True) == 1
    assert [fact.time for fact in kept] == sorted(fact.time for fact in kept if fact.time)


def test_coverage_counts_what_was_logged_near_and_at_all_but_not_what_was_decoded() -> None:
    day = timedelta(days=1).total_seconds()
    scripts = table(
        "XScriptEvents",
        {"Timestamp": at(0), "ActionType": "PowerShellCommand", "XScriptText": "a"},
        {"Timestamp": at(0), "ActionType": "ScriptDecoded", "XScriptText": "b"},
    )
    found = coverage(scoped(table(FILES, _file(0, "a", {}), _file(-day, "b", {})), scripts))
    assert found[Source.FILES] == Coverage(1, 2, at(-day), at(0))
    assert (found[Source.SCRIPTS].near, found[Source.SCRIPTS].host) == (1, 1)
    assert found[Source.PROCESSES].near == 2
    assert Source.NETWORK not in found, "a source that is absent was not read"
