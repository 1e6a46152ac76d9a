"""Pattern files and the logs that they describe: chunks, dialects, entries of many lines, hostile lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune import readers
from perilune.errors import ContentError
from perilune.model.sources import Reading
from perilune.model.tables import Table
from perilune.readers.entries import unquoted
from perilune.readers.lua_errors import describe
from perilune.readers.patterns import packaged, parse
from tests.readers.reading import read, read_bytes

GOLDEN = Path(__file__).parent / "golden"
GOOD = """\
about: A game server's log.
format: game
continued: true
lua: true
entries:
  - line: '(?P<time>\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) (?P<message>.*)'
    kind: applog:entry
    time: iso
    set: {application: game}
"""


@pytest.mark.parametrize(
    ("text", "chunk", "dynamic", "script", "line", "dialect"),
    [
        ('[string "error("boom")"]:1: boom', '[string "error("boom")"]', True, None, 1, None),
        ('[string "/srv/web/bad.lua"]:2: x', '[string "/srv/web/bad.lua"]', False, "/srv/web/bad.lua", 2, None),
        ('[string "mods\\init.lua"]:2: x', '[string "mods\\init.lua"]', False, "mods\\init.lua", 2, None),
        ("content_by_lua(nginx.conf:8):1: x", "content_by_lua(nginx.conf:8)", False, "nginx.conf", 8, None),
        ("user_script:1: x", "user_script", True, None, 1, None),
        ("(command line):1: x", "(command line)", True, None, 1, None),
        ("/a/b.lua:3: attempt to index a nil value (local 'x')", "/a/b.lua", False, "/a/b.lua", 3, "Lua 5.3 or later"),
        (
            "b.lua:3: attempt to call local 'f' (a nil value)\n[string \"x\"]:1: in f",
            '[string "x"]',
            True,
            None,
            1,
            "Lua 5.1, 5.2 or LuaJIT",
        ),
        ("nothing of Lua", None, None, None, None, None),
    ],
)
def test_the_wording_tells(
    text: str, chunk: str | None, dynamic: bool | None, script: str | None, line: int | None, dialect: str | None
) -> None:
    found = describe(text)
    assert (found.chunk, found.dynamic, found.script, found.line, found.dialect) == (
        chunk,
        dynamic,
        script,
        line,
        dialect,
    )


def test_every_shipped_format_has_a_golden_log() -> None:
    formats = {report.format for path in GOLDEN.glob("*.log") for report in read(path).reports}
    assert {one.name for one in packaged()} <= formats


def test_an_entry_keeps_its_lines_together(tmp_path: Path) -> None:
    done = read(GOLDEN / "nginx.log")
    entry = done.rows["XAppLogEvents"][2]
    assert entry["XDynamicCode"] is True
    assert entry["XMessage"].count("\n") == 5
    assert entry["XRequest"] == "GET /load?c=os.execute HTTP/1.1"
    assert entry["XSourceRecord"] == 6


def test_a_new_application_needs_only_a_pattern_file() -> None:
    (one,) = (parse(GOOD, "game.yml"),)
    assert one.entries[0].pattern.match(b"2026-03-02 08:15:30 started") == {
        "time": "2026-03-02 08:15:30",
        "message": "started",
    }


def test_the_users_own_pattern_files_and_mappings_are_used(tmp_path: Path) -> None:
    for folder in ("applogs", "mappings"):
        (tmp_path / "content" / folder).mkdir(parents=True)
    (tmp_path / "content" / "applogs" / "game.yml").write_text(GOOD.replace("applog:entry", "game:line"))
    (tmp_path / "content" / "mappings" / "game.yml").write_text(
        "maps:\n  - kind: game:line\n    table: XAppLogEvents\n"
        "    columns: {XMessage: message, XApplication: application}\n"
    )
    log = tmp_path / "a.log"
    log.write_text("2026-03-02 08:15:30 started\n")
    tables = [item for item in readers.read([log], content=tmp_path / "content") if isinstance(item, Table)]
    assert tables[0].row(0)["XApplication"] == "game"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("continued: true", "continues: true", 1, "did you mean 'continued'?"),
        ("time: iso", "time: isso", 8, "unknown way to write a time 'isso'"),
        ("(?P<message>.*)", "(?P<message>.*", 6, "not an expression of re2"),
        ("kind: applog:entry", "kind: entry", 7, "a kind is `family:name`"),
        ("- line:", "- message: x\n    line:", 6, "one of `line` and `message` is needed"),
    ],
)
def test_a_wrong_pattern_file_says_where(old: str, new: str, line: int, says: str) -> None:
    with pytest.raises(ContentError) as caught:
        parse(GOOD.replace(old, new, 1), "game.yml")
    assert str(caught.value).startswith(f"game.yml:{line}: ")
    assert says in str(caught.value)


def test_a_time_without_a_year_takes_the_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("Dec 31 23:59:59 h sshd[1]: a\nJan  1 00:00:01 h sshd[1]: b\n")
    os.utime(path, (1767312000, 1767312000))  # 2026-01-02
    done = read(path)
    assert [str(row["Timestamp"])[:10] for row in done.rows["XLogEvents"]] == ["2025-12-31", "2026-01-01"]
    assert any(what.startswith("time without a year") for what in done.problems)


def test_quoted_as_redis_does() -> None:
    assert unquoted(r"a\"b\n\x41\\") == 'a"b\nA\\'
    assert unquoted("\\") == "\\"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted((*GOLDEN.glob("*.log"), *GOLDEN.glob("*.csv"), *GOLDEN.glob("*.xml")))),
    st.integers(0, 2000),
    st.binary(max_size=60),
)
def test_any_damage_gives_rows_and_counted_warnings(tmp_path: Path, path: Path, at: int, noise: bytes) -> None:
    data = path.read_bytes()
    at = min(at, len(data))
    done = read_bytes(tmp_path, data[:at] + noise + data[at:])
    assert not any("reader failed" in what for what in done.problems)
    assert done.report.reading in Reading


@given(st.text(max_size=400))
def test_any_text_is_described(text: str) -> None:
    describe(text)
    unquoted(text)
