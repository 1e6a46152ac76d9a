"""What a case gives a playbook, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

from perilune.model.actions import TargetType
from perilune.model.analysis import Analysis, Command, Indicator, IndicatorKind, Layer, Listing, Scope
from perilune.model.case import ProcessNode
from perilune.model.rules import Level
from perilune.model.tables import EventRef
from perilune.service.subject import make_subject
from tests.build import at, case, finding


def node(key: str, parent: str | None, pid: int, path: str, *findings: str) -> ProcessNode:
    return ProcessNode(key, parent, 0, pid, path.rsplit("/", 1)[-1], path, path, "ana", at(pid), None, findings)


TREE = (
    node("a", None, 100, "/usr/sbin/sshd"),
    node("b", "a", 200, "/usr/bin/dash", "f1"),
    node("c", "b", 300, "/tmp/.x/lua", "f2"),
    node("d", "a", 400, "/usr/bin/lua5.4", "f3"),
)


def analysis(*indicators: Indicator, command: Command | None = None) -> Analysis:
    layers = (Layer(0, "given", None, 0, 1, "x"),)
    return Analysis(layers, (command,) if command else (), indicators, (), (), 50, Level.MEDIUM)


def indicator(kind: IndicatorKind, value: str, **more: object) -> Indicator:
    values: dict[str, object] = {"scope": Scope.PUBLIC}
    return Indicator(kind, value, 0, 0, 1, **(values | more))  # type: ignore[arg-type]


def test_processes_are_the_topmost_with_findings_and_never_their_parents() -> None:
    found = make_subject(case(tree=TREE)).targets["processes"]
    assert [(one.pid, one.started) for one in found] == [(200, at(200)), (400, at(400))]


def test_only_an_interpreter_that_was_brought_along_is_restricted() -> None:
    found = make_subject(case(tree=TREE), system_paths=("/usr/bin/",)).targets["interpreters"]
    assert [one.value for one in found] == ["/tmp/.x/lua"]


def test_files_are_what_the_interpreter_ran_whole_with_its_folder() -> None:
    command = Command(0, 0, 1, "lua", "lua", "T1059.011", ("-i", "x.lua", "y"))
    one = finding(analysis=analysis(command=command), row={"XCurrentDirectory": "/tmp/.x"})
    assert [t.value for t in make_subject(case(one)).targets["files"]] == ["/tmp/.x/x.lua"]


def test_a_written_file_comes_with_its_hash() -> None:
    row = {"FolderPath": "/tmp/x.lua", "SHA256": "ab" * 32}
    one = finding(event=EventRef("DeviceFileEvents", "a", 1), row=row)
    targets = make_subject(case(one)).targets
    assert targets["files"][0].sha256 == "ab" * 32
    assert targets["hashes"][0].type is TargetType.HASH


def test_indicators_that_lead_nowhere_or_serve_everybody_are_left_out() -> None:
    benign = (Listing("shared", "github.com", benign=True),)
    one = finding(
        analysis=analysis(
            indicator(IndicatorKind.IPV4, "45.77.1.2"),
            indicator(IndicatorKind.IPV4, "10.0.0.1", scope=Scope.PRIVATE),
            indicator(IndicatorKind.DOMAIN, "github.com", listings=benign),
            indicator(IndicatorKind.URL, "http://bad.net/x"),
            indicator(IndicatorKind.DOMAIN, "bad.net", parent="http://bad.net/x"),
        )
    )
    targets = make_subject(case(one)).targets
    assert [t.value for t in targets["addresses"]] == ["45.77.1.2"]
    assert [t.value for t in targets["urls"]] == ["http://bad.net/x"]
    assert targets["domains"] == ()


def test_an_interpreters_hashes_are_known_even_when_it_was_renamed() -> None:
    row = {"FolderPath": "C:\\x\\notes.exe", "ProcessVersionInfoOriginalFileName": "lua54.exe", "SHA256": "CD" * 32}
    assert make_subject(case(finding(row=row))).interpreters == {"cd" * 32}


def test_the_verdict_needs_a_high_score_and_level() -> None:
    one = case(finding(), score=96)
    assert make_subject(one).facts["command-line"]["__verdict__"] == "malicious"
    assert make_subject(replace(one, score=60)).facts["command-line"]["__verdict__"] == "suspicious"
    assert make_subject(replace(one, level=Level.MEDIUM)).facts["command-line"]["__verdict__"] == "suspicious"
