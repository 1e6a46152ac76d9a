"""The samples of the capabilities and their scores. `python -m tests.analysis.samples` writes the scores anew.

A sample's `score` is the range that its whole analysis has to fall into. Written anew it is five points around what
is measured; review the diff, for a score that moved is a judgement that moved. A sample may name `listed` values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from perilune.analysis import analyze
from perilune.analysis.lists import Entry, IndicatorList, Lists
from perilune.model.analysis import Analysis

FOLDER = Path(str(files("perilune") / "content" / "capabilities"))
AROUND = 5


def load(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def all_samples() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(capability, positive or negative, sample) of every file."""
    for path in sorted(FOLDER.glob("*.yml")):
        document = load(path)
        for kind in ("positive", "negative"):
            for sample in document["samples"][kind]:
                yield document["id"], kind, sample


def analysed(sample: Mapping[str, Any]) -> Analysis:
    listed = IndicatorList("sample", False, tuple(Entry(value) for value in sample.get("listed", ())))
    return analyze(sample["text"], language=sample.get("language", ""), lists=Lists([listed]))


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if any(char in value for char in "\\|{}[]") and "\n" not in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def write(path: Path) -> None:
    document = load(path)
    for kind in ("positive", "negative"):
        for sample in document["samples"][kind]:
            score = analysed(sample).score
            sample["score"] = [max(0, score - AROUND) if kind == "positive" else 0, min(100, score + AROUND)]
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for one in sorted(FOLDER.glob("*.yml")):
        write(one)
