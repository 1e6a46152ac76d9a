"""The history as it is built and asked: each event once, any order of builds, nothing half-written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perilune
from perilune import history, learning
from perilune.errors import StoreError
from perilune.model.answers import Said
from perilune.model.baseline import COUNTS
from perilune.model.facts import Fact, Kind, Source
from perilune.model.tables import Table
from perilune.store.baselines import INDEX, BaselineStore
from perilune.store.parquet import ParquetFolder
from perilune.triage import questions
from tests.build import table

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
Row = dict[str, Any]


def run(day: int, host: str = "web-01", script: str = "/opt/a.lua", n: int = 0) -> Row:
    return {
        "Timestamp": NOW - timedelta(days=day, seconds=n),
        "DeviceName": host,
        "ProcessId": 100 + n,
        "FileName": "lua5.4",
        "FolderPath": "/usr/bin/lua5.4",
        "ProcessCommandLine": f"lua5.4 {script}",
        "InitiatingProcessFileName": "cron",
        "XUser": "root",
        "XPlatform": "linux",
    }


def parquet(folder: Path, rows: Sequence[Row]) -> Path:
    with ParquetFolder(folder) as written:
        written.add(table("DeviceProcessEvents", *rows))
    return folder


def counts(folder: Path) -> Counter[tuple[object, ...]]:
    rows = BaselineStore(folder).select().to_pylist()
    return Counter({tuple(str(row[name]) for name in COUNTS.names if name != "runs"): row["runs"] for row in rows})


def test_an_event_counts_once(tmp_path: Path) -> None:
    logs = parquet(tmp_path / "logs", [run(1), run(1, n=1), run(2)])
    first = learning.build([logs], tmp_path / "h", workers=1, now=NOW)
    assert (first.events, first.runs, first.known, len(first.days)) == (3, 3, 0, 2)
    before = counts(tmp_path / "h")
    again = learning.build([logs], tmp_path / "h", workers=1, now=NOW)
    assert (again.runs, again.known, again.days) == (0, 3, ())
    more = parquet(tmp_path / "more", [run(1), run(1, n=2), run(1, n=2)])
    third = learning.build([more], tmp_path / "h", workers=1, now=NOW)
    assert (third.runs, third.known) == (1, 2)
    assert sum(counts(tmp_path / "h").values()) == sum(before.values()) * 4 // 3


def test_any_reader_s_events_are_the_same_events(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(
        "type=SYSCALL msg=audit(1795278909.1:7): arch=c000003e syscall=59 success=yes exit=0 ppid=7 pid=9 uid=0 "
        'comm="lua5.4" exe="/usr/bin/lua5.4" key="exec"\n'
        'type=EXECVE msg=audit(1795278909.1:7): argc=2 a0="lua5.4" a1="/tmp/x.lua"\n'
    )
    assert learning.build([log], tmp_path / "h", now=NOW).runs == 1
    with ParquetFolder(tmp_path / "converted") as written:
        from perilune import readers

        for item in readers.read([log]):
            if isinstance(item, Table):
                written.add(item)
    done = learning.build([tmp_path / "converted"], tmp_path / "h", workers=1, now=NOW)
    assert (done.runs, done.known) == (0, 1)


EVENTS = st.lists(
    st.builds(run, st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(["/x.lua", "/y.lua"]), st.integers(0, 3)),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, data=st.data())
def test_builds_in_any_portions_come_to_the_same(events: list[Row], data: st.DataObject, tmp_path: Path) -> None:
    here = tmp_path / str(len(list(tmp_path.iterdir())))
    here.mkdir()
    for number in range(data.draw(st.integers(1, 3))):
        some = data.draw(st.lists(st.sampled_from(events), max_size=8)) if events else []
        if some:
            learning.build([parquet(here / f"p{number}", some)], here / "bits", workers=1, now=NOW)
    for name in ("bits", "whole") if events else ():
        learning.build([parquet(here / f"all-{name}", events)], here / name, workers=1, now=NOW)
        if name == "whole":
            assert counts(here / "bits") == counts(here / "whole")
    if events:
        distinct = {(e["Timestamp"], e["DeviceName"], e["ProcessId"], e["ProcessCommandLine"]) for e in events}
        hosts = BaselineStore(here / "whole").select().to_pylist()
        assert sum(row["runs"] for row in hosts if row["facet"] == "host") == len(distinct)


def test_too_many_values_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perilune.investigation.counting.MAX_VALUES", 2)
    rows = [run(1, script=f"/opt/{name}.lua", n=n) for n, name in enumerate(["a", "a", "a", "b", "b", "c", "d"])]
    learning.build([parquet(tmp_path / "logs", rows)], tmp_path / "h", workers=1, now=NOW)
    kept = {row["value"]: row["runs"] for row in BaselineStore(tmp_path / "h").select().to_pylist()
            if row["facet"] == "script"}  # fmt: skip
    assert kept == {"/opt/a.lua": 3, "/opt/b.lua": 2, None: 2}


def test_old_days_are_closed_and_say_so(tmp_path: Path) -> None:
    logs = parquet(tmp_path / "logs", [run(1), run(100)])
    assert learning.build([logs], tmp_path / "h", workers=1, now=NOW).runs == 2
    again = learning.build([logs], tmp_path / "h", workers=1, now=NOW)
    assert (again.runs, again.known, again.closed) == (0, 1, 1)


def test_a_build_that_breaks_off_leaves_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learning.build([parquet(tmp_path / "logs", [run(1)])], tmp_path / "h", workers=1, now=NOW)
    before = counts(tmp_path / "h")
    monkeypatch.setattr(BaselineStore, "_replace", lambda self, index: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        learning.build([parquet(tmp_path / "more", [run(1, n=5)])], tmp_path / "h", workers=1, now=NOW)
    monkeypatch.undo()
    assert counts(tmp_path / "h") == before
    assert learning.build([tmp_path / "more"], tmp_path / "h", workers=1, now=NOW).runs == 1
    assert len(list((tmp_path / "h").glob("*.parquet"))) == 2, "what broke off is cleared away"


@pytest.mark.parametrize(
    ("text", "said"), [("{", "cannot be read"), ('{"version": 99}', "version 99"), ('{"days": 3}', "cannot be read")]
)
def test_a_damaged_history_says_so(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(StoreError, match=said):
        BaselineStore(tmp_path)


def test_only_one_build_writes(tmp_path: Path) -> None:
    with BaselineStore(tmp_path).lock(), pytest.raises(StoreError, match="another build"):
        learning.build([parquet(tmp_path / "logs", [run(1)])], tmp_path, workers=1, now=NOW)


def test_digests_of_a_day_are_kept_sorted(tmp_path: Path) -> None:
    store = BaselineStore(tmp_path)
    day = (NOW.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    with store.lock():
        store.write([(day, COUNTS.empty_table(), np.array([1, 5], np.uint64))], NOW)
    assert BaselineStore(tmp_path).seen(NOW.date()).tolist() == [1, 5]


def hunted(tmp_path: Path, days: int) -> list[tuple[str, str, tuple[str, ...]]]:
    usual = [run(day, script="/opt/a.lua", n=n) for day in range(1, days + 1) for n in range(2)]
    learning.build([parquet(tmp_path / "past", usual)], tmp_path / "h", workers=1, now=NOW) if usual else None
    attack = run(0) | {"ProcessCommandLine": "lua5.4 /dev/shm/.x.lua", "InitiatingProcessFileName": "nginx"}
    found = perilune.hunt([parquet(tmp_path / "now", [attack])], baseline=tmp_path / "h")
    (case,) = found.cases
    assert case.facts.has(Source.BASELINE) is (days >= 7)
    assert all("T1059.011" in fact.tags for fact in case.facts.of(Kind.BASELINE))
    return [(fact.name, fact.text, _said(fact)) for fact in case.facts.of(Kind.BASELINE)]


def _said(fact: Fact) -> tuple[str, ...]:
    """The tags of a fact but for the sub-techniques that ask about it."""
    return tuple(tag for tag in fact.tags if not tag.startswith("T1059"))


def test_a_history_of_one_interpreter_answers_nothing_about_another(tmp_path: Path) -> None:
    """Lua runs here every day; the Python that it starts never did, which makes Lua no less usual."""
    usual = [run(day) for day in range(1, 13)]
    learning.build([parquet(tmp_path / "past", usual)], tmp_path / "h", workers=1, now=NOW)
    lua = run(0) | {"ProcessCommandLine": "lua5.4 -e os.execute('python3 -c 1')", "ProcessCreationTime": NOW}
    python = run(0, n=1) | {
        "Timestamp": NOW + timedelta(seconds=1), "FileName": "python3", "FolderPath": "/usr/bin/python3",
        "ProcessCommandLine": "python3 -c import base64; exec(base64.b64decode('aWQ='))", "InitiatingProcessId": 100,
        "InitiatingProcessFileName": "lua5.4", "InitiatingProcessFolderPath": "/usr/bin/lua5.4",
        "InitiatingProcessCreationTime": NOW,
    }  # fmt: skip
    found = perilune.hunt([parquet(tmp_path / "now", [lua, python])], baseline=tmp_path / "h")
    (case,) = found.cases
    hosts = {fact.value: _said(fact) for fact in case.facts.of(Kind.BASELINE) if fact.name == "host"}
    assert hosts == {"lua": ("common", "usual"), "python": ("new", "unusual")}
    for technique, said in (("T1059.011", Said.NO), ("T1059.006", Said.YES)):
        about = (questions.topics()[technique],)
        answers = questions.ask(case.findings, (), case.facts, score=case.score, about=about)
        assert {one.said for one in answers if one.id.endswith("/host-usual")} == {said}


def test_the_sub_techniques_that_ask_about_an_interpreter() -> None:
    assert history.techniques_of("lua") == ("T1059", "T1059.011")
    assert {"T1059.005", "T1059.007"} <= set(history.techniques_of("wscript"))
    assert history.techniques_of("sh") == ("T1059", "T1059.004")


def test_a_hunt_says_what_is_new_here(tmp_path: Path) -> None:
    facts = {name: (text, tags) for name, text, tags in hunted(tmp_path, 12)}
    assert facts["script"] == (
        "lua with the script /dev/shm/.x.lua: never before on web-01, in 12 days of history", ("new", "unusual"),
    )  # fmt: skip
    assert facts["parent"][1] == ("new", "unusual")
    assert facts["host"][1] == ("common", "usual")
    assert facts["frequency"][1] == ("common",), "a usual number of runs clears nothing"
    assert facts["account"][1] == ("common", "usual")


def test_a_hunt_with_a_young_history_says_unknown(tmp_path: Path) -> None:
    facts = hunted(tmp_path, 3)
    assert facts
    assert all(tags == ("unknown",) for _, _, tags in facts)
    assert all("needs 7 days of history of web-01" in text for _, text, _ in facts)


def test_a_hunt_without_a_history_has_no_such_facts(tmp_path: Path) -> None:
    assert hunted(tmp_path, 0) == []


def test_the_overview_counts_hosts_and_days(tmp_path: Path) -> None:
    rows = [run(day, host=host) for day in (1, 2) for host in ("a", "b")]
    learning.build([parquet(tmp_path / "logs", rows)], tmp_path / "h", workers=1, now=NOW)
    found = history.overview(tmp_path / "h", host=None, interpreter="lua", limit=3)
    assert (len(found.days), found.hosts, found.runs, found.short, len(found.uses)) == (2, 2, 4, 2, 3)
    assert {(one.hosts, one.days, one.runs) for one in found.uses} == {(2, 2, 4)}
    assert history.overview(tmp_path / "h", host="A", interpreter=None, limit=9).runs == 2
    assert pa.types.is_date(COUNTS.field("day").type)


def test_resources_are_told_where_a_source_has_them(tmp_path: Path) -> None:
    usual = [run(day) | {"AdditionalFields": '{"cpu_percent": 3}'} for day in range(1, 10)]
    learning.build([parquet(tmp_path / "past", usual)], tmp_path / "h", workers=1, now=NOW)
    attack = run(0) | {"AdditionalFields": '{"cpu_percent": 390}', "ProcessCommandLine": "lua5.4 /dev/shm/.x.lua"}
    found = perilune.hunt([parquet(tmp_path / "now", [attack])], baseline=tmp_path / "h")
    (case,) = found.cases
    assert case.facts.has(Source.RESOURCES)
    (fact,) = [fact for fact in case.facts.of(Kind.BASELINE) if fact.name == "resources"]
    assert _said(fact) == ("new", "unusual")
    assert fact.text == "lua with CPU up to 512 %, or more: never before on web-01, in 9 days of history"


def test_a_damaged_history_is_said_before_anything_is_read(tmp_path: Path) -> None:
    learning.build([parquet(tmp_path / "logs", [run(1)])], tmp_path / "h", workers=1, now=NOW)
    for path in (tmp_path / "h").glob("counts-*"):
        path.write_bytes(b"PAR1 no more")
    with pytest.raises(StoreError, match="cannot be read"):
        perilune.hunt([tmp_path / "logs"], baseline=tmp_path / "h")
