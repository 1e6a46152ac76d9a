"""`perilune case export`: every format of the demo's cases, and hostile cases in all of them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import perilune
from perilune import settings
from perilune.cli.export import FORMATS
from perilune.cli.exports import EXPORTS, export
from perilune.cli.main import cli
from perilune.model.case import Case
from perilune.store.cases import CaseStore
from tests.report.cases import EMPTY, INTRUSION, LONG, POISONS, hostile
from tests.report.test_ocsf import faults as ocsf_faults
from tests.report.test_stix import faults as stix_faults

NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
FORMULAS = ("=cmd|'/c calc'!A0", "@SUM(1+1)*cmd", "+1", "-1+1", " =1", "＝1+1", 'a;=HYPERLINK("http://x")', "\t=1")
# What must never stand raw in a text format: terminal controls, reordering, invisible characters, line ends of its own.
_COMMANDS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


@pytest.fixture
def stored() -> None:
    """Two cases in the test's own store."""
    store = CaseStore(settings.load().store_url)
    store.save(replace(INTRUSION, id="", entries=()), at=NOW)
    other = tuple(replace(one, id=f"other-{one.id}") for one in INTRUSION.findings)
    store.save(replace(INTRUSION, id="", entries=(), key="other", findings=other), at=NOW)
    store.close()


def _run(*args: str) -> bytes:
    result = CliRunner().invoke(cli, ["case", "export", *args])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout_bytes


def test_formats_are_those_that_there_are() -> None:
    assert tuple(EXPORTS) == FORMATS


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_all_cases(name: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    _run("--all", "--format", name, "-o", str(target))
    written = sorted(target.iterdir()) if target.is_dir() else [target]
    assert target.is_dir() != EXPORTS[name].many
    assert all(one.stat().st_size > 100 for one in written)
    again = CliRunner().invoke(cli, ["case", "export", "--all", "--format", name, "-o", str(target)])
    assert isinstance(again.exception, Exception), "what is there is not overwritten"
    _run("--all", "--format", name, "-o", str(target), "--force")


@pytest.mark.usefixtures("stored")
def test_one_case_on_stdout() -> None:
    (line,) = _run("C-1", "--format", "jsonl", "-o", "-").splitlines()
    assert json.loads(line)["id"] == "C-1"
    bundle = json.loads(_run("C-1", "--format", "stix", "-o", "-"))
    assert bundle["type"] == "bundle"


def test_wrong_uses() -> None:
    for args in (["--format", "csv", "-o", "-"], ["C-1", "--all", "--format", "csv", "-o", "-"]):
        assert CliRunner().invoke(cli, ["case", "export", *args]).exit_code != 0
    assert "no case is stored" in str(
        CliRunner().invoke(cli, ["case", "export", "--all", "--format", "csv", "-o", "-"]).exception
    )


def _texts(cases: Sequence[Case], name: str) -> str:
    return export(cases, name, NOW).decode("utf-8")


@pytest.mark.parametrize("poison", [*POISONS, *FORMULAS, LONG], ids=range(len(POISONS) + len(FORMULAS) + 1))
def test_hostile_content_is_text_in_every_format(poison: str) -> None:
    case = hostile(poison)
    for name in FORMATS:
        if name == "parquet":
            table = pq.read_table(io.BytesIO(export([case], name, NOW)))
            assert table.num_rows == 1
            continue
        text = _texts([case], name)
        assert not _COMMANDS.search(text.removeprefix("\ufeff")), name
        if name == "html":
            assert "<script" not in text
        elif name not in ("markdown", "jira", "servicenow", "csv"):  # JSON: read back, and no markup in it
            assert not set("<>&") & set(text)
            assert all(isinstance(one, dict) for one in _read(name, text))
        assert len(text) < 3_500_000, name


@pytest.mark.parametrize("poison", POISONS, ids=range(len(POISONS)))
def test_hostile_content_is_text_on_the_terminal(poison: str) -> None:
    store = CaseStore(settings.load().store_url)
    safe = poison.encode("utf-8", "replace").decode()  # the store holds no half characters
    store.save(replace(hostile(safe), id="", entries=()), at=NOW)
    store.close()
    for command in (["case", "show", "C-1"], ["case", "list"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.exception
        assert not _COMMANDS.search(result.stdout), command


def _read(name: str, text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()] if name in ("ocsf", "ocsf-incident", "jsonl") else [
        json.loads(text)
    ]  # fmt: skip


@pytest.mark.parametrize("poison", FORMULAS)
def test_no_cell_is_a_formula(poison: str) -> None:
    case = replace(INTRUSION, title=poison, host=poison, users=(poison,))
    text = _texts([case, hostile(poison)], "csv")
    for delimiter in (",", ";"):
        for row in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter):
            for cell in row:
                assert not re.match("\\s*[=+\\-@＝＋－＠]", cell), (delimiter, cell)


def test_an_analyst_reads_the_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(_texts([INTRUSION, EMPTY], "csv").removeprefix("\ufeff"))))
    assert rows[0]["rule"].startswith("Lua one-liner opens a socket")
    assert rows[0]["process_id"] == "8530"
    assert rows[0]["time"] == "2026-11-21 17:04:13.022"
    assert len(rows) == len(INTRUSION.findings) + 1
    table = pq.read_table(io.BytesIO(export([INTRUSION], "parquet", NOW)))
    assert table.column("command_line")[0].as_py() == INTRUSION.findings[0].row["ProcessCommandLine"]


def test_a_ticket_fits_and_its_markup_is_ours() -> None:
    jira = _texts([hostile("{noformat}h1. x [~admin] {code} *b* !i.png!\n" * 50)], "jira")
    assert len(jira) < 32_767
    assert jira.count("{noformat}") % 2 == 0
    body = re.sub(r"(?s)\{noformat\}.*?\{noformat\}", "", jira)
    assert not re.search(r"(?<!\\)[\[{!]", body)
    text = _texts([hostile("[code]<b onmouseover=alert(1)>[/CODE]")], "servicenow")
    assert "[code" not in text.lower()
    assert "[/code" not in text.lower()
    assert len(_texts([INTRUSION], "servicenow")) <= 4_000


def test_the_layer_has_the_techniques_of_the_findings() -> None:
    layer = json.loads(_texts([INTRUSION], "navigator"))
    assert {one["techniqueID"] for one in layer["techniques"]} == {
        technique for one in INTRUSION.findings for technique in one.techniques
    }
    assert json.loads(_texts([hostile("T1059.011<script>")], "navigator"))["techniques"] == []


def test_the_demos_cases_are_valid_everywhere() -> None:
    """Real cases of the sample logs, whose events hold more than a test's builder would think of."""
    samples = Path(perilune.__file__).parent / "content" / "samples"
    found = perilune.hunt(sorted(one for one in samples.iterdir() if one.name != "README.txt"))
    found.spool.close()
    assert len(found.cases) >= 4
    for line in _texts(found.cases, "ocsf").splitlines():
        assert not ocsf_faults(json.loads(line), "detection_finding")
    for line in _texts(found.cases, "ocsf-incident").splitlines():
        assert not ocsf_faults(json.loads(line), "incident_finding")
    assert not stix_faults(json.loads(_texts(found.cases, "stix")))
