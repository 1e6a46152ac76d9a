"""Pages stay whole while cases come between."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from perilune.errors import UsageError
from perilune.model.case import Status
from perilune.model.rules import Level
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from perilune.store.queue import Wanted, age, count_cases, find_cases
from tests.build import at, case, finding


def test_a_case_that_comes_between_moves_no_page(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    store, database = CaseStore(url), Database(url)
    for number in range(6):
        store.save(case(finding(f"f{number}"), key=f"k{number}", score=50), at=at(0))
    first = find_cases(database, Wanted(), limit=4)
    store.save(case(finding("new"), key="new", score=99), at=at(1))
    second = find_cases(database, Wanted(), limit=4, after=first.after)
    assert [one.id for one in (*first.cases, *second.cases)] == ["C-6", "C-5", "C-4", "C-3", "C-2", "C-1"]
    assert second.after == ""
    assert count_cases(database) == {(Status.NEW, Level.HIGH): 7}


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".1", "-1.2", "1.2.3", "²." + "1", "1." + "9" * 20])
def test_a_wrong_cursor_is_said(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        find_cases(Database(f"sqlite:///{tmp_path / 'cases.db'}"), Wanted(), limit=4, after=cursor)


@pytest.mark.parametrize(("seconds", "words"), [(0, "now"), (125, "2 min"), (7300, "2 h"), (200_000, "2 d")])
def test_an_age_has_one_unit(seconds: int, words: str) -> None:
    assert age(at(0).isoformat(), at(seconds)) == words


@pytest.mark.parametrize("statuses", [(Status.NEW, Status.OPEN), (Status.NEW,), tuple(Status)])
def test_the_first_page_is_read_from_an_index_without_sorting(tmp_path: Path, statuses: tuple[Status, ...]) -> None:
    """Of 100,000 cases, 51 rows are looked at and not all."""
    database = Database(f"sqlite:///{tmp_path / 'cases.db'}")
    asked: list[str] = []
    given: list[object] = []

    def note(_c: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append(statement)
        given.append(parameters)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    find_cases(database, Wanted(statuses=statuses), limit=50)
    with database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}", given[0]).all()
    wanted = {2: "cases_active", 1: "cases_of_status", 3: "cases_by_score"}[len(statuses)]
    assert f"USING INDEX {wanted}" in plan[0][3]
    assert not any("ORDER BY" in row[3] for row in plan)
