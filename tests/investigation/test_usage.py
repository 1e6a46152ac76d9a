"""Runs of the interpreter by the case and by others, and whether people were at work."""

# ruff: noqa: E501 - a row reads better whole

from __future__ import annotations

from datetime import time

from perilune.investigation.usage import find_hours, find_use
from perilune.model.people import Hours, Person, Schedule
from tests.build import START, finding, process
from tests.investigation.scopes import STARTS, scoped

DAY = 86_400


def test_runs_of_the_case_and_of_others_are_counted_apart_with_the_days_before() -> None:
    earlier = [process(9000 + n, 8000 + n, "/usr/bin/lua5.4", -n * DAY, f"lua5.4 job{n}") for n in (1, 2, 3)]
    scope = scoped(starts=(*earlier, *STARTS))
    mine = scope.processes[:0] + tuple(n for n in scope.processes if "/tmp/a.lua" in n.command_line)
    (own, others) = find_use(type(scope)(scope.host, scope.rows, scope.near, scope.own, mine, scope.findings, scope.begin, scope.end),
                             {"T1059.011": "lua[0-9.]*"})  # fmt: skip
    assert (own.value, own.own, others.value, others.own) == ("1", True, "3", False)
    assert {"outside", "days-before=3", "runs-before=3", "T1059.011"} <= set(others.tags)


def test_a_schedule_says_who_was_at_work() -> None:
    days = frozenset(range(7))
    at_work = Person("Ana", ("www-data",), (Hours(days, time(8), time(10), START.tzinfo),))  # type: ignore[arg-type]
    away = Person("Ana", ("www-data",), (Hours(days, time(20), time(22), START.tzinfo),))  # type: ignore[arg-type]
    for person, said in ((at_work, "yes"), (away, "no")):
        (fact,) = find_hours(scoped(findings=[finding()]), Schedule((person,)))
        assert fact.name == said
    assert not list(find_hours(scoped(findings=[finding()]), Schedule()))
    assert not list(find_hours(scoped(findings=[finding()]), None))
