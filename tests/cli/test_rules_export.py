"""`perilune rules export`: files with their index, and what was refused."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from perilune.cli.main import cli
from tests.service.test_sigma_export import RULE, backends


def test_a_folder_of_queries_with_its_index(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    title = r'title: "Lua\e[2J\n x"'
    (rules / "Odd name;$(id).yml").write_text(title + "\n" + RULE.partition("\n")[2])
    (rules / "bad.yml").write_text("title: bad\nlogsource: {}\ndetection: {condition: none}\n")
    out = tmp_path / "out"
    arguments = ["rules", "export", str(rules), "--to", "kusto", "--python", str(backends()), "-o", str(out)]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None, done.exception
    assert "1 converted, 1 refused, by pysigma 1." in done.stderr
    assert "refused: " in done.stderr
    index = json.loads((out / "index.json").read_text())
    (query,) = index["queries"]
    assert query["author"] == "Ana Lyst"
    assert index["refused"][0]["reason"]
    written = (out / query["file"]).read_text()
    assert written.startswith("// Lua⟨U+001B⟩[2J x · by Ana Lyst")
    assert "DeviceProcessEvents" in written
    assert query["file"].endswith("odd_name_id_.kql")


def test_json_and_text(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_text(RULE)
    arguments = ["rules", "export", str(path), "--to", "cortex", "--python", str(backends())]
    text = CliRunner().invoke(cli, arguments, standalone_mode=False).stdout
    assert text.startswith("// Lua from a temporary folder · by Ana Lyst · Apache-2.0 · 11111111")
    found = json.loads(CliRunner().invoke(cli, [*arguments, "--json"], standalone_mode=False).stdout)
    assert found["target"] == "cortex"
    assert found["queries"][0]["queries"][0] in text
    assert found["refused"] == []
