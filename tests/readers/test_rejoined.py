"""Scripts whose parts lie in several files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.readers import Limits
from tests.readers.reading import Reading, read


def block(number: int, total: int, text: str, script: str = "s1") -> dict[str, object]:
    system = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-PowerShell"}},
        "EventID": 4104,
        "Computer": "ws1",
        "TimeCreated": {"#attributes": {"SystemTime": "2026-03-02T08:15:30Z"}},
    }
    data = {"MessageNumber": number, "MessageTotal": total, "ScriptBlockText": text, "ScriptBlockId": script}
    return {"Event": {"System": system, "EventData": data}}


def written(folder: Path, *logs: list[dict[str, object]]) -> Reading:
    for number, log in enumerate(logs):
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in log))
    return read(folder)


def test_a_script_cut_by_the_rollover_of_the_log_is_one_row(tmp_path: Path) -> None:
    done = written(
        tmp_path,
        [block(1, 4, "Invoke-"), block(3, 4, "sion ")],
        [block(2, 4, "Expres"), block(1, 1, "whole", "s2")],
        [block(4, 4, "$x")],
    )
    rows = {row["XScriptId"]: row for row in done.rows["XScriptEvents"]}
    assert rows["s1"]["XScriptText"] == "Invoke-Expression $x"
    assert (rows["s1"]["XPartsSeen"], rows["s1"]["XPartsTotal"]) == (4, 4)
    assert "XParts" not in rows["s1"]
    assert rows["s1"]["XSourceFile"].endswith("0.jsonl")
    assert rows["s2"]["XScriptText"] == "whole"
    assert not done.problems  # no file's report says that parts are missing
    assert [dict(report.rows) for report in sorted(done.reports, key=lambda r: r.path)] == [
        {"XScriptEvents": 1},
        {"XScriptEvents": 1},
        {},
    ]


def test_what_stays_incomplete_comes_out_and_says_so(tmp_path: Path) -> None:
    done = written(tmp_path, [block(1, 3, "a")], [block(3, 3, "c")])
    (row,) = done.rows["XScriptEvents"]
    assert row["XScriptText"] == "ac"
    assert row["XParts"] == ["1:1", "3:1"]
    assert row["XPartsSeen"] == 2
    assert done.problems == {"script of which parts are missing": 1}


def test_the_window_is_bounded(tmp_path: Path) -> None:
    log = [block(1, 2, "x", f"s{number}") for number in range(20)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in log))
    done = read(tmp_path, replace(Limits(), max_join_window=3))
    assert len(done.rows["XScriptEvents"]) == 20


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.permutations(range(1, 7)), st.integers(1, 5), st.text(max_size=5))
def test_any_spread_over_files_gives_the_script(tmp_path: Path, order: list[int], cut: int, text: str) -> None:
    parts = [block(number, 6, f"{number}{text}") for number in order]
    done = written(tmp_path, parts[:cut], parts[cut:])
    (row,) = done.rows["XScriptEvents"]
    assert row["XScriptText"].encode("utf-8", "replace") == "".join(f"{n}{text}" for n in range(1, 7)).encode(
        "utf-8", "replace"
    )
