"""JSON in every arrangement, whole and damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.model.sources import Reading as State
from perilune.readers import Limits
from tests.readers.reading import Reading, read_bytes

ROW: dict[str, Any] = {
    "Timestamp": "2026-03-02T08:15:30.1234567Z",
    "DeviceName": "ws1",
    "ActionType": "ProcessCreated",
    "FileName": "lua.exe",
    "ProcessCommandLine": "lua.exe -e x",
    "ProcessId": 7,
}


def line(**more: object) -> bytes:
    return json.dumps({**ROW, **more}).encode()


HUB = {"category": "AdvancedHunting-DeviceProcessEvents", "properties": ROW}
ARRANGED = {
    "one object": json.dumps(ROW),
    "one object, indented": json.dumps(ROW, indent=2),
    "lines": "\n".join([json.dumps(ROW)] * 3),
    "lines with CRLF and gaps": "\r\n\r\n".join([json.dumps(ROW)] * 3) + "\r\n",
    "array on one line": json.dumps([ROW] * 3),
    "array, indented": json.dumps([ROW] * 3, indent=2),
    "array, a row a line": "[\n" + ",\n".join([json.dumps(ROW)] * 3) + "\n]",
    "objects in a row": json.dumps(ROW) * 3,
    "indented objects in a row": "\n".join([json.dumps(ROW, indent=1)] * 3),
    "results": json.dumps({"schema": [{"name": "a"}], "results": [ROW] * 3}),
    "results, indented": json.dumps({"Stats": {"x": 1}, "Schema": [], "Results": [ROW] * 3}, indent=2),
    "odata": json.dumps({"@odata.context": "x", "schema": [], "results": [ROW] * 3}),
    "event hub": json.dumps({"records": [HUB] * 3}),
    "event hub lines": "\n".join([json.dumps({"records": [HUB]})] * 3),
    "lists of rows, a line each": "\n".join([json.dumps([ROW])] * 3),
}  # fmt: skip


@pytest.mark.parametrize("how", ARRANGED)
def test_every_arrangement_gives_the_same_rows(tmp_path: Path, how: str) -> None:
    done = read_bytes(tmp_path, ARRANGED[how].encode())
    rows = done.rows["DeviceProcessEvents"]
    assert len(rows) == (1 if how.startswith("one object") else 3)
    assert done.report.reading is State.COMPLETE
    assert done.report.records == len(rows)
    assert {row["ProcessCommandLine"] for row in rows} == {"lua.exe -e x"}


@pytest.mark.parametrize("how", ARRANGED)
@pytest.mark.parametrize("cut", [0.35, 0.9])
def test_cut_off_anywhere_gives_what_is_whole(tmp_path: Path, how: str, cut: float) -> None:
    text = ARRANGED[how]
    done = read_bytes(tmp_path, text[: int(len(text) * cut)].encode())
    assert done.report.reading in (State.PARTIAL, State.UNREADABLE)
    assert sum(done.counts.values()) <= 2
    assert len(done.report.problems) <= 2


def test_one_bad_line_is_one_problem(tmp_path: Path) -> None:
    lines = [
        line(),
        b'{"a": ',
        line(),
        b"\xff\xfe",
        b"",
        line(ProcessCommandLine="\ud800 -e"),
        b"[1, 2]",
        b"17",
        line(),
    ]
    done = read_bytes(tmp_path, b"\n".join(lines))
    assert done.counts == {"DeviceProcessEvents": 4}
    assert done.problems == {
        "line that is not JSON": 2,
        "line that is not strict JSON; what could not be decoded was replaced": 1,
        "value that is no record": 3,
    }
    assert done.report.problems[0].where.startswith("line 2: ")
    assert [row["XSourceRecord"] for row in done.rows["DeviceProcessEvents"]] == [1, 3, 6, 9]


def test_a_damaged_first_line_does_not_hide_the_rest(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, b'{"Timestamp": "20\n' + b"\n".join([line()] * 5))
    assert done.counts == {"DeviceProcessEvents": 5}
    assert done.problems == {"line that is not JSON": 1}


def test_a_broken_row_in_an_array_does_not_end_it(tmp_path: Path) -> None:
    text = "[\n" + ",\n".join([json.dumps(ROW), '{"a": tru}', json.dumps(ROW), json.dumps(ROW)]) + "\n]"
    done = read_bytes(tmp_path, text.encode())
    assert done.counts == {"DeviceProcessEvents": 3}
    assert done.problems == {"value that is not JSON": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":"' + b"x" * 3_000_000,
        b"[" + b"9" * 3_000_000,
        line()[:-1] + b',"AdditionalFields":' + b"[" * 900 + b"]" * 900 + b"}",
        line()[:-1] + b',"ProcessId":' + b"9" * 5000 + b"}",
        b'{"records": [' * 50_000,
        b'{"records": [{"records": [{"records": [{"records": [{"records": [{"records": [1]}]}]}]}]}]}',
    ],
    ids=[
        "deep array",
        "deep object",
        "long token",
        "long number",
        "deep field",
        "long integer",
        "envelopes",
        "matryoshka",
    ],
)
def test_hostile_documents_give_a_line(tmp_path: Path, data: bytes) -> None:
    done = read_bytes(tmp_path, data, replace(Limits(), max_record_bytes=1 << 20))
    assert len(done.report.problems) + len(done.report.skipped) + sum(done.counts.values()) >= 1


def test_a_line_over_its_budget_is_left_out(tmp_path: Path) -> None:
    long = b'{"a": "' + b"x" * 5_000_000 + b'"}'
    done = read_bytes(tmp_path, b"\n".join([line(), long, line(), long]), replace(Limits(), max_line_bytes=1_000_000))
    assert done.counts == {"DeviceProcessEvents": 2}
    assert done.problems == {"line longer than 1,000,000 bytes": 2}
    assert done.rows["DeviceProcessEvents"][1]["XSourceRecord"] == 3


def test_batches_are_bounded(tmp_path: Path) -> None:
    from perilune import readers

    path = tmp_path / "many.jsonl"
    path.write_bytes(b"\n".join(line(ReportId=n) for n in range(5000)))
    sizes = [len(item) for item in readers.read([path], replace(Limits(), batch_rows=700)) if hasattr(item, "data")]
    assert sum(sizes) == 5000
    assert max(sizes) <= 700


def test_records_of_no_known_product_are_told_by_their_names(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, b'{"b": 1, "a": 2}\n{"c": 3}\n')
    assert done.report.reading is State.UNKNOWN
    assert done.report.skipped == {"record of an unknown kind (the first has a, b)": 2}


def test_kinds_of_problems_are_bounded(tmp_path: Path) -> None:
    rows = [{**ROW, f"Column{n}": n} for n in range(200)]
    done = read_bytes(tmp_path, "\n".join(map(json.dumps, rows)).encode())
    assert len(done.report.skipped) <= 51
    assert sum(done.report.skipped.values()) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        [*ROW, "records", "results", "properties", "category", "Event", "System", "EventData", "Provider", "EventID",
         "#attributes", "#text", "Data", "UserData", "tables", "columns", "rows", "Type", "AdditionalFields", "name"]
    ), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.lists(JSON, min_size=1, max_size=6), st.sampled_from([None, 1]))
def test_any_json_gives_rows_and_counted_problems(tmp_path: Path, records: list[Any], indent: int | None) -> None:
    text = "\n".join(json.dumps(record, indent=indent) for record in records)
    done = read_bytes(tmp_path, b'{"Event": 1}\n' + text.encode("utf-8", "surrogatepass"))
    assert not any("reader failed" in what for what in done.problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_in_the_middle_do_no_harm(tmp_path: Path, noise: bytes, at: int) -> None:
    text = ARRANGED["event hub lines"].encode()
    done = read_bytes(tmp_path, text[:at] + noise + text[at:])
    assert not any("reader failed" in what for what in done.problems)


# --- the way over columns


PLAIN = st.dictionaries(
    st.sampled_from(["DeviceId", "FolderPath", "AccountName", "AccountDomain", "ReportId", "IsProcessRemoteSession",
                     "TimeGenerated", "Type", "MD5", "ProcessCreationTime",
                     "InitiatingProcessFolderPath", "AdditionalFields"]),
    st.none() | st.text(max_size=8) | st.integers(-(2**64), 2**64) | st.booleans() | st.floats(allow_nan=False)
    | st.sampled_from(["2026-03-02T08:15:30Z", "0001-01-01T00:00:00Z", "[]", "{}", "DeviceEvents", "/bin/x", "7", "-"])
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def both_ways(folder: Path, records: list[dict[str, Any]]) -> tuple[Reading, Reading]:
    """The same lines read as fast as it goes, and over a dictionary per record and an object per value."""
    data = b"\n".join(json.dumps(record).encode() for record in records) + b"\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perilune.readers.columnar._FEW", 1)
        fast = read_bytes(folder, data)
        patch.setattr("perilune.readers.columnar._learn", lambda *_: None)
        patch.setattr("perilune.readers.fields.narrow", list)
        slow = read_bytes(folder, data)
    return fast, slow


def same(done: Reading) -> tuple[object, ...]:
    """What must not depend on the way; which of several kinds is put into a table first is no part of it."""
    one = done.report
    rows = {table: sorted(rows, key=lambda row: row["XSourceRecord"]) for table, rows in done.rows.items()}
    return rows, done.problems, one.reading, one.records, one.rows, one.skipped


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(PLAIN, st.lists(PLAIN, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_columns_and_objects_give_the_same(
    tmp_path: Path, first: dict[str, Any], others: list[dict[str, Any]], alike: bool, enveloped: bool
) -> None:
    rows = [{**ROW, **first}, *({**ROW, **first, **(other if not alike else {})} for other in others)]
    fast, slow = both_ways(tmp_path, [{**HUB, "properties": row} for row in rows] if enveloped else rows)
    assert same(fast) == same(slow)


EVENT_VALUES = (
    st.none() | st.text(max_size=8) | st.integers(-(2**64), 2**64) | st.booleans() | st.floats(allow_nan=False)
    | st.sampled_from(["2026-03-02 08:15:30.123", "-", "0x3e7", r"C:\x\lua.exe", r"NT AUTHORITY\SYSTEM", "12",
                       "SHA1=AA,MD5=BB,IMPHASH=CC", "{747F3D96-51d0-5F93-0000-001036A15B00}", "true", "S-1-16-12288"])
    | st.lists(st.text(max_size=3), max_size=2) | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)  # fmt: skip
EVENT_NAMES = st.sampled_from(
    "UtcTime ProcessGuid ProcessId Image User Hashes LogonId IntegrityLevel ParentImage CommandLine RuleName Initiated "
    "TargetObject EventType Details DestinationPort SubjectUserName SubjectDomainName TargetUserName Data Other".split()
)
EVENT_DATA = st.dictionaries(EVENT_NAMES, EVENT_VALUES, max_size=8)


def windows_event(kind: Any, data: dict[str, Any], time: object) -> dict[str, Any]:
    provider, event_id = kind
    system = {
        "Provider": {"#attributes": {"Name": provider}},
        "EventID": event_id,
        "TimeCreated": {"#attributes": {"SystemTime": time}},
        "Computer": "ws1",
        "Channel": "c",
        "Level": 4,
        "Correlation": None,
    }
    return {"Event": {"#attributes": {"xmlns": "x"}, "System": system, "EventData": data}}


KINDS = st.sampled_from(
    [("Microsoft-Windows-Sysmon", n) for n in (1, 3, 7, 10, 11, 13, 22)]
    + [("Microsoft-Windows-Security-Auditing", n) for n in (4688, 4624)]
    + [("Microsoft-Windows-Security-Auditing", {"#attributes": {"Qualifiers": 0}, "#text": 4688})]
)
MOMENTS = st.sampled_from(["2026-03-02T08:15:30.123456Z", "2026-03-02T08:15:30Z", "yesterday", "", None, 5])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(KINDS, EVENT_DATA, MOMENTS), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), EVENT_DATA, MOMENTS, st.booleans()), max_size=8),
)
def test_events_over_columns_and_objects_give_the_same(
    tmp_path: Path, first: list[Any], others: list[tuple[int, dict[str, Any], Any, bool]]
) -> None:
    events = [windows_event(kind, data, time) for kind, data, time in first]
    for place, more, time, alike in others:
        kind, data, _ = first[place % len(first)]
        events.append(windows_event(kind, data if alike else {**data, **more}, time))
    fast, slow = both_ways(tmp_path, events)
    assert same(fast) == same(slow)


def test_uniform_lines_take_the_way_over_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a Python object was made per line")

    monkeypatch.setattr("perilune.readers.products.Products.add", refuse)
    done = read_bytes(tmp_path, b"".join(line(ReportId=n) + b"\n" for n in range(3000)))
    assert [row["ReportId"] for row in done.rows["DeviceProcessEvents"]] == list(range(3000))
    assert done.report.records == 3000


def test_uniform_events_take_the_way_over_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a dictionary was made per record")

    monkeypatch.setattr("perilune.readers.products.Products.add", refuse)
    kinds = [("Microsoft-Windows-Sysmon", 1), ("Microsoft-Windows-Sysmon", 3)]
    data = [{"ProcessId": n, "Image": f"C:\\{n % 7}.exe"} for n in range(3000)]
    events = [windows_event(kinds[n % 2], one, "2026-03-02") for n, one in enumerate(data)]
    done = read_bytes(tmp_path, b"".join(json.dumps(event).encode() + b"\n" for event in events))
    assert done.counts == {"DeviceProcessEvents": 1500, "DeviceNetworkEvents": 1500}
    assert [row["XSourceRecord"] for row in done.rows["DeviceNetworkEvents"]] == list(range(2, 3001, 2))


# --- rows of a document, many at once


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.lists(JSON | PLAIN.map(lambda more: {**ROW, **more}) | st.just({**ROW, "FileName": "},{"}), max_size=6),
    st.sampled_from(["array", "results", "two arrays"]),
    st.sampled_from([None, 1]),
    st.floats(0.2, 1.5),
)
def test_rows_of_a_document_at_once_and_one_by_one_are_the_same(
    tmp_path: Path, rows: list[Any], how: str, indent: int | None, cut: float
) -> None:
    # whole numbers of more than 64 bits become floats in one of the two ways
    rows = json.loads(json.dumps(rows), parse_int=lambda digits: int(digits) if len(digits) < 19 else 0)
    document: Any = {"Schema": [], "Results": rows} if how == "results" else rows
    text = json.dumps(document, indent=indent) * (2 if how == "two arrays" else 1)
    data = text[: int(len(text) * cut)].encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perilune.readers.jsonl._is_lines", lambda head: False)
        patch.setattr("perilune.readers.jsonl._FEW", 1)
        fast = read_bytes(tmp_path, data)
        patch.setattr("perilune.readers.jsonl._Text.rows", lambda text: None)
        slow = read_bytes(tmp_path, data)
    assert same(fast) == same(slow)


def test_a_long_array_is_read_over_many_windows(tmp_path: Path) -> None:
    rows = [{**ROW, "ReportId": n, "FileName": f"}}, {{ {n}"} for n in range(30_000)]
    done = read_bytes(tmp_path, json.dumps({"Schema": [], "Results": rows}).encode())
    assert [row["ReportId"] for row in done.rows["DeviceProcessEvents"]] == list(range(30_000))
    assert [row["XSourceRecord"] for row in done.rows["DeviceProcessEvents"]] == list(range(1, 30_001))


def test_field_names_that_no_decoder_can_have(tmp_path: Path) -> None:
    system = {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}}, "EventID": 1}
    text = json.dumps({"Event": {"System": system, "EventData": {'a"b\x01': "x", "Image": "C:\\lua.exe"}}})
    done = read_bytes(tmp_path, "\n".join([text] * 40).encode())
    assert not done.problems
    assert len(done.rows["DeviceProcessEvents"]) == 40
