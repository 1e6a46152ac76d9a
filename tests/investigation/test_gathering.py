"""All facts of a case in one value: each kind found, bounded, what is beside the logs said."""

from __future__ import annotations

from datetime import time

from perilune.investigation.gathering import Around, gather
from perilune.investigation.scope import MAX_FACTS, Scope
from perilune.model.facts import Coverage, Fact, Kind, Source
from perilune.model.people import Hours, Person, Schedule
from tests.build import START, at, table
from tests.investigation.scopes import by_lua, scoped

PROGRAMS = {"T1059.011": r"lua[\d.]*"}
RUN_KEY = {
    "Timestamp": at(5), "ActionType": "RegistryValueSet", "RegistryValueName": "updater",
    "RegistryKey": r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run", "RegistryValueData": "lua.exe a.lua",
}  # fmt: skip


def test_kinds_are_found_by_their_finders_and_what_was_read_is_said() -> None:
    rows = table("DeviceRegistryEvents", RUN_KEY | by_lua())
    facts = gather(scoped(rows), Around(), programs=PROGRAMS)
    assert [fact.own for fact in facts.of(Kind.PERSISTENCE)] == [True]
    assert facts.of(Kind.USE)
    assert facts.has(Source.REGISTRY)
    assert not facts.has(Source.NETWORK)
    assert (facts.begin, facts.end) == (at(0), at(0))
    assert facts.of(Kind.BASELINE) == ()


def test_what_the_history_says_and_what_was_seen_elsewhere_come_along() -> None:
    def learned(scope: Scope) -> tuple[list[Fact], dict[Source, Coverage]]:
        return [Fact(Kind.BASELINE, "host", "never here", scope.host)], {Source.BASELINE: Coverage(30, 30)}

    elsewhere = [Fact(Kind.ELSEWHERE, "same hash", "on web-02", f"h{n}") for n in range(MAX_FACTS + 2)]
    facts = gather(scoped(), Around(learned=learned), programs=PROGRAMS, elsewhere=elsewhere)
    assert [fact.value for fact in facts.of(Kind.BASELINE)] == ["web-01"]
    assert facts.has(Source.BASELINE)
    assert len(facts.of(Kind.ELSEWHERE)) == MAX_FACTS
    assert facts.cut == {Kind.ELSEWHERE: 2}


def test_sources_beside_the_logs_count_only_where_they_could_speak_of_the_case() -> None:
    hours = (Hours(frozenset(range(7)), time(8), time(18), START.tzinfo),)  # type: ignore[arg-type]
    nobody = Schedule((Person("Ben", ("ben",), hours),))
    somebody = Schedule((Person("Ana", ("www-data",), hours),))
    bare = gather(scoped(), Around(schedule=nobody), programs=PROGRAMS)
    assert not {Source.SCHEDULE, Source.LISTS, Source.OTHER_HOSTS, Source.ASSETS} & set(bare.coverage)
    full = gather(scoped(), Around(schedule=somebody, bad_lists=9, hosts=4), programs=PROGRAMS)
    assert full.coverage[Source.LISTS].near == 9
    assert full.coverage[Source.OTHER_HOSTS].near == 3
    assert full.has(Source.SCHEDULE)
    assert full.of(Kind.HOURS)
