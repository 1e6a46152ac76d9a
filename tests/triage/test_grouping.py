from perilune.model.findings import Member
from perilune.model.tables import EventRef
from perilune.triage.grouping import group
from tests.build import at, finding


def ids(cases: list[list[object]]) -> list[list[str]]:
    return [[f.id for f in case] for case in cases]  # type: ignore[attr-defined]


def test_one_tree_is_one_case_over_users_and_hours() -> None:
    found = [finding("a", user="www-data"), finding("b", seconds=7200, user="root")]
    assert ids(group(found, {"a": "sh", "b": "sh"})) == [["a", "b"]]


def test_a_tree_silent_for_longer_than_its_window_starts_a_new_case() -> None:
    found = [finding("a"), finding("b", seconds=5 * 3600)]
    assert ids(group(found, {"a": "sh", "b": "sh"})) == [["a"], ["b"]]


def test_trees_of_one_user_close_in_time_are_one_case() -> None:
    found = [finding("a"), finding("b", seconds=600)]
    assert ids(group(found, {"a": "x", "b": "y"})) == [["a", "b"]]


def test_users_and_hosts_keep_cases_apart() -> None:
    found = [finding("a"), finding("b", seconds=1, user="ana"), finding("c", seconds=2, host="db-01")]
    assert ids(group(found, {})) == [["a"], ["b"], ["c"]]


def test_findings_without_a_time_do_not_break_the_order() -> None:
    assert ids(group([finding("a"), finding("b", seconds=None)], {})) == [["b", "a"]]


def test_many_findings_are_grouped_in_linear_time() -> None:
    found = [finding(f"f{n:05}", seconds=n) for n in range(20_000)]
    assert len(group(found, {f.id: "sh" for f in found})) == 1


def test_a_correlation_is_one_story_with_the_findings_on_its_events() -> None:
    event = EventRef("DeviceNetworkEvents", "flow.log", 7)
    member = Member("r", "Rule", event, at(50_000), "web-01", "203.0.113.9")
    found = [
        finding("a", members=(member,), seconds=90_000),
        finding("b", seconds=50_000, user="root", event=event),
        finding("c", seconds=50_000, user="ana", event=EventRef("DeviceNetworkEvents", "flow.log", 8)),
    ]
    assert sorted(ids(group(found, {}))) == [["b", "a"], ["c"]]
