"""What a history says of a use: the least history, days instead of runs, and an intruder who repeats."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from perilune.investigation.baseline import BUSY, LEAST_DAYS, Accused, History, accusations, is_common_elsewhere, learn
from perilune.model.baseline import COUNTS, Facet, Learned, Standing, Use
from perilune.model.events import EventRef

TODAY = date(2026, 11, 20)
EVENT = EventRef("DeviceProcessEvents", "x.log", 1)


def use(days_ago: int = 0, **more: str) -> Use:
    when = datetime(TODAY.year, TODAY.month, TODAY.day, 9, tzinfo=UTC) - timedelta(days=days_ago)
    told = {"interpreter": "lua", "host": "a", "account": "dana", "parent": "sh", "script": "/x.lua", "shape": "p"}
    return Use(**(told | more), hour=f"{when:%a} 09", time=when, event=EVENT)


def history(uses: Iterable[Use], runs: int = 1) -> History:
    """Each use counted on its day, `runs` times."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    known: dict[str, set[date]] = {}
    for one in uses:
        known.setdefault(one.host, set()).add(one.time.date())
        for facet in [facet for facet in Facet if one.value(facet)]:
            key = (one.time.date(), facet.value, one.interpreter, one.host, one.value(facet))
            row = rows.setdefault(key, dict(zip(COUNTS.names, (*key, 0, one.time, one.time), strict=True)))
            row["runs"] = int(str(row["runs"])) + runs
    return History(pa.Table.from_pylist(list(rows.values()), schema=COUNTS), known)


def asked(held: History, *uses: Use, accused: Accused | None = None, today: int = 1, facet: str = "script") -> Learned:
    found = learn(uses or (use(),), held, accused or {}, today={"lua": today})
    return next(one for one in found if one.facet == facet)


@pytest.mark.parametrize(("days", "standing"), [(0, "unknown"), (LEAST_DAYS - 1, "unknown"), (LEAST_DAYS, "common")])
def test_a_short_history_knows_nothing(days: int, standing: str) -> None:
    one = asked(history(use(n) for n in range(1, days + 1)))
    assert one.standing.value == standing
    assert (f"it has {days}" in one.text) is (standing == "unknown")


def test_the_case_s_own_day_and_later_ones_do_not_count() -> None:
    others = [use(n, script="/y.lua") for n in range(1, 20)]
    assert asked(history([*others, use(0), use(-1), use(-2), use(-3)])).standing is Standing.NEW


def test_days_count_and_not_runs() -> None:
    others = [use(n, script="/y.lua") for n in range(1, 41)]
    once = asked(history([*others, use(5)], runs=100_000))
    assert (once.standing, once.days, once.runs) == (Standing.RARE, 1, BUSY)
    assert asked(history([*others, use(5), use(9), use(12)])).standing is Standing.COMMON


def test_what_an_intruder_repeats_does_not_become_usual() -> None:
    ordinary = [use(n, script="/y.lua") for n in range(1, 41)]
    repeated = [use(n) for n in range(1, 31)]
    held = history([*ordinary, *repeated])
    assert asked(held).standing is Standing.COMMON
    one = asked(held, accused=accusations(repeated))
    assert (one.standing, one.days) == (Standing.NEW, 0)
    assert "never before on a, in 40 days of history" in one.text


def test_new_here_may_be_at_home_elsewhere() -> None:
    fleet = [use(n, host=host) for n in range(1, 10) for host in "bcdef"]
    here = [use(n, script="/y.lua") for n in range(1, 10)]
    one = asked(history([*fleet, *here]))
    assert (one.standing, one.hosts, one.of_hosts) == (Standing.NEW, 5, 6)
    assert is_common_elsewhere(one)
    assert one.text.endswith("seen on 5 of 6 hosts")
    alone = asked(history([*(use(n, host=host, script="/z.lua") for n in range(1, 10) for host in "bcdef"), *here]))
    assert not is_common_elsewhere(alone)


def test_too_many_values_make_what_was_not_kept_unknown() -> None:
    others = [use(n, script="/y.lua") for n in range(1, 10)]
    rows = [{**dict.fromkeys(COUNTS.names), "day": TODAY - timedelta(days=3), "facet": "script", "interpreter": "lua",
             "host": "a", "runs": 4}]  # fmt: skip
    held = history(others)
    cut = History(pa.Table.from_pylist(rows, schema=COUNTS), {"a": {one.time.date() for one in others}})
    assert asked(held).standing is Standing.NEW
    assert asked(cut).standing is Standing.UNKNOWN
    assert "too many" in asked(cut).text


@pytest.mark.parametrize(
    ("hour", "standing"), [("09", "common"), ("10", "common"), ("08", "common"), ("11", "new"), ("03", "new")]
)
def test_an_hour_beside_a_usual_one_is_usual(hour: str, standing: str) -> None:
    one = use()
    late = Use(**{name: getattr(one, name) for name in ("interpreter", "host", "account", "parent", "script", "shape")},
               hour=f"Fri {hour}", time=one.time, event=EVENT)  # fmt: skip
    held = history([use(n) for n in range(1, 30)])
    assert asked(held, late, facet="hour").standing.value == standing


def test_few_runs_say_nothing_of_hours() -> None:
    assert asked(history([use(n) for n in range(1, 10)]), facet="hour").standing is Standing.UNKNOWN


@pytest.mark.parametrize(("today", "standing"), [(3, "common"), (10, "common"), (11, "new"), (4000, "new")])
def test_a_spike_is_far_above_every_day(today: int, standing: str) -> None:
    one = asked(history([use(n) for n in range(1, 30)]), today=today, facet="frequency")
    assert one.standing.value == standing
    assert f"ran {today:,} times" in one.text


def test_each_value_is_told_once() -> None:
    found = learn([use(), use(), use(script="/y.lua")], history([]), {}, today={})
    assert [one.value for one in found if one.facet == "script"] == ["/x.lua", "/y.lua"]
    assert learn([], history([]), {}, today={}) == []


@pytest.mark.parametrize(
    ("step", "standing"), [("up to 16 MiB", "common"), ("up to 32 MiB", "common"), ("up to 64 MiB", "new")]
)
def test_more_memory_than_ever_is_odd_and_less_is_not(step: str, standing: str) -> None:
    held = history(use(n, memory="up to 32 MiB") for n in range(1, 12))
    assert asked(held, use(memory=step), facet="memory").standing.value == standing


def test_without_figures_resources_are_unknown() -> None:
    one = asked(history(use(n) for n in range(1, 12)), use(cpu="up to 64 %"), facet="cpu")
    assert one.standing is Standing.UNKNOWN
    assert "cpu figures of lua here on 7 earlier days; it has 0" in one.text
