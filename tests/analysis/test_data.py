"""The targets, on development data that is not in the repository (`PERILUNE_DATA`); skipped where it is absent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from perilune.analysis import analyze
from perilune.model.rules import Level


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / name
    if not path.is_file():
        pytest.skip(f"no {name} in the development data")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_encoded_commands_decode_to_the_published_text(data_dir: Path) -> None:
    found = records(data_dir, "powershell/unit42_encoded.jsonl")
    equal = sum(
        any(bare(layer.text) == bare(one["decoded"]) for layer in analyze(one["cmd"]).layers[1:]) for one in found
    )
    assert equal / len(found) >= 0.99


def test_documentation_is_hardly_ever_called_high(data_dir: Path) -> None:
    found = records(data_dir, "commands/benign.jsonl")[::10]
    high = [one["cmd"] for one in found if analyze(one["cmd"]).level >= Level.HIGH]
    assert len(high) * 1000 <= 5 * len(found), high


def test_attacks_through_interpreters_are_seen(data_dir: Path) -> None:
    found = [
        one
        for one in records(data_dir, "commands/attack.jsonl")
        if one["tech"].startswith("T1059") and one["cmd"].strip()
    ]
    seen = sum(analyze(one["cmd"]).level >= Level.MEDIUM for one in found)
    assert seen / len(found) >= MEDIUM_OF_T1059


MEDIUM_OF_T1059 = 0.80
