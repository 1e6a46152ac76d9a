"""`perilune baseline`: building and showing a history, as a person and as a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_hunt import perilune
from tests.test_history import parquet, run


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return parquet(tmp_path / "logs", [run(1), run(2), run(2, host="db-01", n=1)])


def test_a_history_is_built_and_shown(logs: Path, tmp_path: Path) -> None:
    home = {"PERILUNE_HOME": str(tmp_path / "home")}
    done = perilune("baseline", "build", logs, "--json", **home)
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    assert (built["events"], built["runs"], built["known"], len(built["days"])) == (3, 3, 0, 2)
    assert (tmp_path / "home" / "baseline" / "baseline.json").is_file()
    again = perilune("baseline", "build", logs, **home)
    assert "0 runs of interpreters in 3 process events counted; 3 had been counted before" in again.stdout
    shown = perilune("baseline", "show", "--interpreter", "lua", "--json", **home)
    held = json.loads(shown.stdout)
    assert (held["hosts"], held["runs"], held["hosts_with_less"], held["least_days"]) == (2, 3, 2, 7)
    assert {"interpreter": "lua", "facet": "script", "value": "/opt/a.lua", "hosts": 2, "days": 2, "runs": 3,
            "first": built["days"][0], "last": built["days"][1]} in held["uses"]  # fmt: skip
    table = perilune("baseline", "show", "--host", "DB-01", **home).stdout
    assert "2 days from" in table
    assert "/opt/a.lua" in table


def test_the_folder_may_be_named(logs: Path, tmp_path: Path) -> None:
    assert perilune("baseline", "build", logs, "--dir", tmp_path / "h").returncode == 0
    hunted = perilune("hunt", logs, "--baseline", tmp_path / "h", "--no-store", "--json", "-q")
    assert hunted.returncode in (0, 1), hunted.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "--dir", "nowhere"], "there is no history"),
        (["build"], "Missing argument"),
        (["build", "nowhere"], "does not exist"),
    ],
)
def test_a_mistake_is_said(arguments: list[str], says: str) -> None:
    done = perilune("baseline", *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_part_of_the_input_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.evtx").write_bytes(b"ElfFile\0" + b"\0" * 100)
    done = perilune("baseline", "build", tmp_path / "x.evtx", "--dir", tmp_path / "h")
    assert done.returncode == 3
    assert "x.evtx" in done.stderr
