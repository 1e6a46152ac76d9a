"""`perilune case`: what people do with stored cases, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perilune.cli.main import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=True, standalone_mode=False)


def cases() -> list[dict[str, object]]:
    return json.loads(run("case", "list", "--json").stdout)["cases"]


def shown(case_id: str) -> dict[str, object]:
    return json.loads(run("case", "show", case_id, "--json").stdout)["case"]


@pytest.fixture
def hunted() -> None:
    run("hunt", "--demo", "--quiet", "--no-pack", "--rules", str(PACK))


PACK = Path(__file__).parents[2] / "src" / "perilune" / "content" / "sigma" / "lua"


def test_a_case_is_shown_with_its_verdict_its_escalation_and_the_runbook(hunted: None) -> None:
    words = run("case", "show", "C-1").stdout
    for wanted in ("Verdict: malicious", "Escalate to Tier 2", "The runbook", "Questions for analysis", "unknown"):
        assert wanted in words
    case = shown("C-1")
    assert case["verdict"]["word"] == "malicious"  # type: ignore[index]
    assert case["facts"]["found"]["persistence"]  # type: ignore[index]


def test_cases_are_merged_and_split_and_a_new_hunt_respects_it(hunted: None) -> None:
    before = cases()
    done = run("case", "merge", "C-1", "C-2", "--note", "one story", "--json")
    joined = json.loads(done.stdout)["case"]
    assert len(joined["hosts"]) == 2
    assert sum(r["points"] for r in joined["reasons"]) == joined["score"]
    host = joined["hosts"][1]
    done = run("case", "split", "C-1", host, "--json")
    taken = json.loads(done.stdout)["case"]
    assert taken["host"] == host
    assert [f for f in taken["findings"] if f["event"]["host"] != host] == []
    run("hunt", "--demo", "--quiet", "--no-pack", "--rules", str(PACK))
    assert len(cases()) == len(before) + 1


def test_feedback_is_kept_and_seen_in_the_next_score(hunted: None) -> None:
    run("case", "feedback", "C-1", "false", "--note", "a test")
    entries = shown("C-1")["entries"]
    assert entries[-1]["kind"] == "feedback"  # type: ignore[index]
    assert entries[-1]["body"]["note"] == "a test"  # type: ignore[index]
    found = json.loads(run("hunt", "--demo", "--quiet", "--json", "--no-pack", "--rules", str(PACK)).stdout)
    reasons = [reason["text"] for case in found["cases"] for reason in case["reasons"]]
    assert any("true 0 and false 1 times" in text for text in reasons)


def test_a_proposed_suppression_works_and_is_said(hunted: None, own_home: Path) -> None:
    text = run("case", "feedback", "C-1", "false", "--note", "a test", "--suppress", "--until", "2999-01-31").stdout
    folder = own_home / "content" / "suppressions"
    folder.mkdir(parents=True)
    (folder / "mine.yml").write_text(text)
    found = json.loads(run("hunt", "--demo", "--quiet", "--json", "--no-pack", "--rules", str(PACK)).stdout)
    (one,) = found["suppressed"]
    assert (one["count"], one["reason"], one["expired"]) == (1, "a test", False)
    assert "Suppressed: 1 finding" in run("hunt", "--demo", "--quiet", "--no-pack", "--rules", str(PACK)).stdout


def test_a_guide_is_printed_with_the_cases_values(hunted: None) -> None:
    guide = json.loads(run("case", "guide", "C-1", "--json").stdout)["guide"]
    host = shown("C-1")["host"]
    assert any(str(host) in query["kql"] for query in guide["queries"])
    assert "What to check" in run("case", "guide", "C-1").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("merge", "C-1", "C-1"), "with itself"), (("split", "C-1", "nothing"), "has no finding"),
     (("merge", "C-1", "C-99"), "there is no case"), (("feedback", "C-1", "true", "--suppress"), "is not suppressed")],
)  # fmt: skip
def test_what_cannot_be_done_is_said(hunted: None, arguments: tuple[str, ...], words: str) -> None:
    done = run("case", *arguments)
    assert words in str(done.exception)
