"""`perilune kql`: the query's forms, the clock, the outputs, the exit codes and the prompt."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import CHECKOUT

HEADER = "Timestamp,DeviceName,FileName,ProcessId,ProcessCommandLine\n"
ROWS = (
    "2020-01-05T10:00:00Z,web-01,lua5.4,11,lua5.4 /tmp/x.lua\n"
    "2020-01-03T10:00:00Z,web-01,bash,12,bash -c id\n"
    "2020-01-05T09:30:00Z,pc-02,cmd.exe,13,\"cmd.exe /c \"\"dir\"\"\"\n"
)  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "processes.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


def kql(*arguments: object, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perilune", "kql", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src"), "COLUMNS": "160"} | environment,
        check=False,
    )


def test_a_query_over_a_log(log: Path) -> None:
    done = kql("DeviceProcessEvents | where FileName has 'lua5' | project DeviceName, ProcessCommandLine", log)
    assert done.returncode == 0, done.stderr
    assert "DeviceName" in done.stdout and "/tmp/x.lua" in done.stdout
    assert "1 row" in done.stderr


def test_a_query_from_a_file_and_from_standard_input(log: Path, tmp_path: Path) -> None:
    query = "DeviceProcessEvents\n| summarize n = count()"
    (tmp_path / "q.kql").write_text(query, encoding="utf-8")
    for done in (kql(tmp_path / "q.kql", log, "--json"), kql("-", log, "--json", stdin=query)):
        assert json.loads(done.stdout)["rows"] == [{"n": 3}]


def test_the_clock_of_old_data_is_the_newest_event_and_is_said(log: Path) -> None:
    query = "DeviceProcessEvents | where Timestamp > ago(1d) | summarize n = count(), at = take_any(now())"
    done = kql(query, log, "--json")
    assert json.loads(done.stdout)["rows"] == [{"n": 2, "at": "2020-01-05T10:00:00.0000000Z"}]
    assert "now() is the newest event's time, 2020-01-05T10:00:00Z" in done.stderr
    set_ = kql(query, log, "--json", "--now", "2020-01-03T12:00:00Z")
    assert json.loads(set_.stdout)["rows"][0]["n"] == 3
    assert "newest event" not in set_.stderr
    assert json.loads(kql(query, log, "--json", "--now", "now").stdout)["rows"][0]["n"] == 0


def test_the_clock_is_not_mentioned_where_no_one_asks_it(log: Path) -> None:
    assert "now()" not in kql("DeviceProcessEvents | count", log).stderr


def test_csv_and_parquet(log: Path, tmp_path: Path) -> None:
    query = (
        "DeviceProcessEvents | extend Day = 1d, Parts = split(FileName, '.') | project Timestamp, Day, Parts, ProcessId"
    )
    found = list(csv.reader(io.StringIO(kql(query + " | sort by ProcessId asc", log, "--csv").stdout)))
    assert found[0] == ["Timestamp", "Day", "Parts", "ProcessId"]
    assert found[1] == ["2020-01-05T10:00:00.0000000Z", "1.00:00:00", '["lua5","4"]', "11"]
    out = tmp_path / "out.parquet"
    assert kql(query, log, "--parquet", "-o", out).returncode == 0
    table = pq.read_table(out)
    assert table.num_rows == 3
    assert str(table.schema.field("Timestamp").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("Day").type) == "duration[us]"


def test_json_names_types_and_keeps_values(log: Path) -> None:
    query = (
        "DeviceProcessEvents | top 1 by ProcessId | project ProcessId, d = dynamic({'a': [1]}), t = 90m, n = long(null)"
    )
    whole = json.loads(kql(query, log, "--json").stdout)
    assert whole["columns"][1] == {"name": "d", "type": "dynamic"}
    assert whole["rows"] == [{"ProcessId": 13, "d": {"a": [1]}, "t": "01:30:00", "n": None}]
    assert whole["cut"] is False


def test_explain_shows_the_plan_and_the_sql_without_data() -> None:
    done = kql("DeviceProcessEvents | where FileName has_any ('lua', 'sh') | project FileName", "--explain")
    assert done.returncode == 0
    assert "-- reads: DeviceProcessEvents" in done.stdout
    assert "REGEXP_MATCHES" in done.stdout and "-- columns: FileName: string" in done.stdout


def test_a_query_without_tables_needs_no_path() -> None:
    assert json.loads(kql("print x = 1 + 1", "--json").stdout)["rows"] == [{"x": 2}]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("DeviceProcessEvents | where Nope == 1", "LOG"), "line 1, column 29: there is no column 'Nope'"),
        (("DeviceProcessEvents | count",), "there is nothing to ask"),
        (("DeviceProcessEvents | count", "nowhere.csv"), "there is no such file or folder"),
        (("print 1", "--parquet"), "--parquet needs a file"),
        (("print 1", "--now", "yesterday"), "is no time"),
        ((), "there is no query"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(arguments: tuple[str, ...], says: str, log: Path) -> None:
    done = kql(*[str(log) if one == "LOG" else one for one in arguments])
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_wrong_query_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "broken.evtx").write_bytes(b"ElfFile\0" + b"\0" * 5000)
    done = kql("DeviceProcessEvents | wher x", tmp_path)
    assert done.returncode == 2
    assert "Read " not in done.stderr


def test_partial_input_ends_with_3_and_rows_with_1_when_asked(log: Path, tmp_path: Path) -> None:
    query = "DeviceProcessEvents | where FileName == 'bash'"
    assert kql(query, log, "--fail-on-rows").returncode == 1
    assert kql("DeviceProcessEvents | where FileName == 'x'", log, "--fail-on-rows").returncode == 0
    (tmp_path / "unknown.bin").write_bytes(b"\0\1\2\3" * 100)
    assert kql(query, tmp_path, "--fail-on-rows").returncode == 3


def test_a_table_without_events_is_said(log: Path) -> None:
    done = kql("DeviceInfo | join kind=inner DeviceProcessEvents on DeviceName | count", log)
    assert done.returncode == 0
    assert "No events were read for DeviceInfo" in done.stderr


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(HEADER + "2020-01-05T10:00:00Z,pc,\x1b[2Jevil,1,\x1b]0;x\x07\n", encoding="utf-8")
    done = kql("DeviceProcessEvents | project FileName, ProcessCommandLine", path)
    assert "evil" in done.stdout
    assert "\x1b[2J" not in done.stdout and "\x1b]0" not in done.stdout


def test_many_columns_are_shown_one_below_the_other(log: Path) -> None:
    done = kql("DeviceProcessEvents | where ProcessId == 11", log, COLUMNS="80")
    assert "row 1" in done.stdout
    assert "columns without a value not shown" in done.stderr


def test_the_prompt_runs_queries_until_the_end(log: Path) -> None:
    from perilune.cli.kql_prompt import Prompt
    from perilune.detection.kql.running import Limits, newest, open_session
    from perilune.querying import read

    _, tables = read([log])
    with open_session(tables, Limits()) as session:
        now = newest(tables)
        assert now is not None
        prompt = Prompt(session, tables, now, 10)
        words = prompt.words()
    assert {"DeviceProcessEvents", "ProcessCommandLine", "summarize", "has_any_index", "make_set"} <= set(words)


def test_the_prompt_on_a_terminal(log: Path, tmp_path: Path) -> None:
    """A real terminal: two lines are one query, an error leaves the prompt, the history is kept."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")
    code = f"import sys; sys.argv = ['perilune', 'kql', {str(log)!r}]; from perilune.cli.main import main; main()"
    lines = ["DeviceProcessEvents", "| summarize n = count();", "nonsense | x;", "print 6 * 7;"]
    shown = _typed([sys.executable, "-c", code], lines, pty)
    assert "kql>" in shown and "3" in shown and "42" in shown
    assert "there is no operator" in shown
    home = Path(os.environ["PERILUNE_HOME"])
    assert "6 * 7" in (home / "kql_history").read_text(encoding="utf-8")


def test_the_users_own_mappings_are_used(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "content" / "mappings"
    folder.mkdir(parents=True)
    (folder / "own.yml").write_text(
        "about: x\nmaps:\n  - kind: own:flow\n    table: DeviceNetworkEvents\n    flat: true\n"
        "    recognise: {has: [From IP, To IP]}\n    columns: {LocalIP: From IP, RemoteIP: To IP}\n"
    )
    (tmp_path / "own.csv").write_text("From IP,To IP\n10.0.0.5,203.0.113.9\n")
    ran = kql(
        "DeviceNetworkEvents | project RemoteIP", tmp_path / "own.csv", "--csv", PERILUNE_HOME=str(tmp_path / "home")
    )
    assert "203.0.113.9" in ran.stdout


def _typed(command: list[str], lines: list[str], pty: object) -> str:
    import select
    import time

    pid, terminal = pty.fork()  # type: ignore[attr-defined]
    if pid == 0:
        os.environ["PYTHONPATH"] = str(CHECKOUT / "src")
        os.environ["TERM"] = "dumb"
        os.execv(command[0], command)
    shown, sent, end = "", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            if sent <= len(lines) and shown.rstrip().endswith(("kql>", "...>")):
                os.write(terminal, (lines[sent] + "\n").encode() if sent < len(lines) else b"\x04")
                sent += 1
                shown += " "
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        shown += read.decode("utf-8", "replace")
    os.close(terminal)
    os.waitpid(pid, 0)
    return shown
