"""Rules as queries of other products, by the real backends in a Python of their own."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from perilune.errors import UsageError
from perilune.service import sigma_export
from perilune.service.sigma_export import TARGETS, Conversion
from tests.conftest import CHECKOUT

RULE = """\
title: Lua from a temporary folder
id: 11111111-2222-4333-8444-555555555555
author: Ana Lyst
license: Apache-2.0
status: test
logsource: {category: process_creation, product: windows}
detection:
  sel:
    Image|endswith: '\\lua54.exe'
    CommandLine|contains: '\\Temp\\'
  condition: sel
level: high
"""


def backends() -> Path:
    """A Python with pySigma's backends; `.ci/run` makes one."""
    named = os.environ.get("PERILUNE_SIGMA_PYTHON")
    found = Path(named) if named else CHECKOUT / ".sigma-export" / "bin" / "python"
    if not found.exists():
        pytest.skip(f"no Python with pySigma's backends at {found}; set PERILUNE_SIGMA_PYTHON to one")
    return found


@cache
def _of_pack(target: str) -> Conversion:
    return sigma_export.convert(target, sigma_export.find_rules(), backends())


def one(tmp_path: Path, target: str, text: str = RULE) -> Conversion:
    path = tmp_path / "rule.yml"
    path.write_text(text)
    return sigma_export.convert(target, sigma_export.find_rules([path]), backends())


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("kusto", r"^DeviceProcessEvents\s*\| where .*FolderPath endswith .*lua54\.exe.*ProcessCommandLine contains"),
        ("splunk", r'Image="\*\\\\lua54\.exe".*CommandLine="\*\\\\Temp'),
        ("elastic", r"process\.executable\S*:\*\\\\lua54\.exe AND process\.command_line\S*:\*\\\\Temp"),
        ("cortex", r"preset\s*=\s*xdr_process .*action_process_image_path.*lua54\.exe"),
    ],
)
def test_a_rule_becomes_a_query(tmp_path: Path, target: str, wanted: str) -> None:
    found = one(tmp_path, target)
    (converted,) = found.converted
    assert re.search(wanted, converted.queries[0], re.S), converted.queries[0]
    assert (converted.source.author, converted.source.license) == ("Ana Lyst", "Apache-2.0")
    assert found.versions["pysigma"].startswith("1.")


@pytest.mark.parametrize("target", TARGETS)
def test_every_rule_of_the_pack_is_converted_or_refused_by_name(target: str) -> None:
    found = _of_pack(target)
    assert len(found.converted) + len(found.refused) == len(sigma_export.find_rules())
    assert all(query.strip() for each in found.converted for query in each.queries)
    assert all(each.reason and each.source.path.startswith("pack:") for each in found.refused)
    assert len(found.converted) >= {"kusto": 200, "splunk": 200, "elastic": 10, "cortex": 180}[target]


def test_what_a_target_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    text = RULE.replace("CommandLine|contains: '\\Temp\\'", "CommandLine|re: '(?i)\\bTemp\\b'")
    (refused,) = one(tmp_path, "elastic", text).refused
    assert "inline flags" in refused.reason
    assert "word boundaries" in refused.reason
    (refused,) = one(tmp_path, "kusto", text.replace("\\bTemp\\b", "(?=Temp)x")).refused
    assert "look-around" in refused.reason
    assert one(tmp_path, "splunk", text).converted


def test_a_field_without_a_place_in_the_schema_is_refused(tmp_path: Path) -> None:
    text = RULE.replace("CommandLine|contains", "NoSuchField|contains").replace("windows", "linux")
    (refused,) = one(tmp_path, "elastic", text).refused
    assert "NoSuchField" in refused.reason


def test_a_rule_that_is_none_never_stops_the_rest(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(RULE)
    (tmp_path / "odd.yml").write_text("title: odd\ndetection: 7\n")
    (tmp_path / "worse.yml").write_bytes(b"a: [\x1b\xff")
    (tmp_path / "good.events.yml").write_text("hit: []\n")
    found = sigma_export.convert("kusto", sigma_export.find_rules([tmp_path]), backends())
    assert (len(found.converted), len(found.refused)) == (1, 2)


def test_a_python_without_backends_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "rule.yml"
    path.write_text(RULE)
    rules = sigma_export.find_rules([path])
    with pytest.raises(UsageError, match="pip install pysigma-backend-kusto"):
        sigma_export.convert("kusto", rules, Path(sys.executable))
    with pytest.raises(UsageError, match="cannot be run"):
        sigma_export.convert("kusto", rules, tmp_path / "none")
    assert sigma_export.environment(tmp_path) == Path(sys.executable)
    own = tmp_path / "sigma-export" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert sigma_export.environment(tmp_path) == own
