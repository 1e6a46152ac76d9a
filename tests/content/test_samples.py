"""The samples are what they say they are, and `perilune hunt --demo` has its cases in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perilune import pipeline
from perilune.model.sources import Reading
from tests.content import write_samples
from tests.content.record_samples import SAMPLE as RECORDED

SAMPLES = write_samples.SAMPLES
LOGS = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".txt")


@pytest.fixture(scope="module")
def demo() -> pipeline.Hunt:
    return pipeline.hunt([SAMPLES])


@pytest.mark.parametrize("path, data", list(write_samples.written()), ids=lambda v: getattr(v, "name", ""))
def test_a_written_sample_is_what_its_writer_writes(path: Path, data: bytes) -> None:
    assert path.read_bytes() == data, "run `python tests/content/write_samples.py` and look at the difference"


def test_the_readme_names_every_sample() -> None:
    text = (SAMPLES / "README.txt").read_text(encoding="utf-8")
    assert [path.name for path in LOGS if path.name not in text] == []


def test_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in LOGS) < 1_500_000


@pytest.mark.parametrize("path", LOGS, ids=lambda p: p.name)
def test_addresses_are_for_documentation_or_private(path: Path) -> None:
    allowed = r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|10\.|127\.|0\.0\.0\.0"
    # Version numbers look like addresses; those of programs are known by what stands around them.
    text = re.sub(r"(?i)version[^,}]{0,40}|Platform\\+4[\d.\-]+", "", path.read_text(encoding="utf-8"))
    found = set(re.findall(r"(?<![\d.\w-])(?:\d{1,3}\.){3}\d{1,3}(?![\d.-])", text))
    if path.suffix == ".csv":  # its version columns are not named on each line
        found = {address for address in found if f"{address}," not in text}
    assert {address for address in found if not re.match(allowed, address)} == set()


def test_the_recording_holds_only_the_lab() -> None:
    text = RECORDED.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert all(line.startswith("node=shop-web-03 type=") for line in lines)
    logins = set(re.findall(r"\bauid=(\d+)", text))
    assert logins == {"1042", "1043"}


def test_every_sample_is_read_whole(demo: pipeline.Hunt) -> None:
    logs = [source for source in demo.sources if not source.path.endswith("README.txt")]
    assert {source.reading for source in logs} == {Reading.COMPLETE}
    assert len(logs) == len(LOGS)


def test_each_sample_tells_of_one_attack(demo: pipeline.Hunt) -> None:
    """Four stories, four urgent cases; ordinary work beside them is never urgent."""
    urgent = sorted(case.host for case in demo.cases if case.level.word in ("high", "critical"))
    assert urgent == ["FIN-PC-12.halvorsen.example", "dev-lt-21", "reception-pc4", "shop-web-03"]


def test_games_and_editors_are_explained(demo: pipeline.Hunt) -> None:
    assert {known.context.title for known in demo.explained} >= {
        "Game That Runs Lua",
        "Lua Language Server and Formatters of an Editor",
    }
