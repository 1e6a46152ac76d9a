"""Atomic tests are loaded whole or refused with every fault's place; those of the pack keep their promises."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.model.atomics import Atomic, Dependency
from perilune.service.validation.atomics import Loaded, load_atomics

PACK = load_atomics()
HARMLESS = [ip_network(text) for text in ("127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
GOOD = """
attack_technique: T1059.004
display_name: Unix Shell
atomic_tests:
- name: one
  auto_generated_guid: 0f0b6c0e-58b1-4a86-9d0a-6f5b3f4d6a11
  description: |
    Does it.
  supported_platforms: [linux, macos]
  input_arguments:
    count: {description: how many, type: integer, default: 3}
  dependency_executor_name: bash
  dependencies:
  - description: seq
    prereq_command: |
      command -v seq && [ #{count} -gt 0 ]
  executor:
    name: sh
    elevation_required: true
    command: |
      seq #{count}
    cleanup_command: |
      rm -f /tmp/#{count}
"""


def _load(tmp_path: Path, text: str) -> Loaded:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    return load_atomics([tmp_path])


def test_a_test_is_read_with_its_arguments_filled_in(tmp_path: Path) -> None:
    loaded = _load(tmp_path, GOOD)
    assert not loaded.faults
    (found,) = loaded.atomics
    assert found == Atomic(
        technique="T1059.004",
        number=1,
        name="one",
        guid="0f0b6c0e-58b1-4a86-9d0a-6f5b3f4d6a11",
        description="Does it.",
        platforms=("linux", "macos"),
        executor="sh",
        command="seq 3\n",
        cleanup="rm -f /tmp/3\n",
        elevation=True,
        dependencies=(Dependency("seq", "command -v seq && [ 3 -gt 0 ]\n"),),
        checker="bash",
        source=f"{tmp_path}/a.yaml:5",
        arguments={"count": "3"},
    )
    assert found.id == "T1059.004-1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("T1059.004", "1059", "attack_technique must be a technique"),
        ("name: one", "name: [one]", "a text is needed @ name"),
        ("0f0b6c0e", "zzz", "not a UUID @ auto_generated_guid"),
        ("[linux, macos]", "linux", "a list of platforms is needed @ supported_platforms"),
        ("[linux, macos]", "[linux, amiga]", "no platform: 'amiga' @ supported_platforms"),
        ("seq #{count}", "seq #{number}", "no input argument 'number' @ executor.command"),
        ("name: sh", "name: zsh", "'zsh' is none of sh, bash"),
        ("elevation_required: true", "elevation_required: perhaps", "true or false is needed @"),
        (", default: 3", "", "a default is needed @ input_arguments.count"),
        ("  - description: seq\n    prereq_command", "  - prereq_command", "a text is needed @ dependencies[1]."),
        ("- name: one", "- ~\n- name: one", "a test must be a mapping"),
        ("  executor:", "  executors:", "a mapping is needed @ executor"),
        ("atomic_tests:", "tests:", "atomic_tests must be a list"),
        ("[linux, macos]", "[linux", "not valid YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    loaded = _load(tmp_path, GOOD.replace(old, new))
    assert any(said in str(fault) and re.search(r"a\.yaml:\d+: ", str(fault)) for fault in loaded.faults), loaded.faults


def test_one_wrong_test_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    wrong = "- name: two\n  description: x\n  supported_platforms: [linux]\n  executor: {name: zsh}\n"
    loaded = _load(tmp_path, GOOD + wrong)
    assert [one.name for one in loaded.atomics] == ["one"]
    assert {str(fault.where) for fault in loaded.faults} == {f"{tmp_path}/a.yaml:24"}
    assert len(loaded.faults) == 2  # the executor's name, and no command


def test_a_guid_given_twice_is_told(tmp_path: Path) -> None:
    again = GOOD.partition("atomic_tests:\n")[2]
    loaded = _load(tmp_path, GOOD + again)
    assert "the same auto_generated_guid as T1059.004-1" in str(loaded.faults[0])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="atomic_tests:T1059 \n-[]{}#&*!|>'\"\\\t\x00é", max_size=200))
def test_any_text_gives_tests_or_faults(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any")
    (path / "a.yaml").write_text(text, encoding="utf-8")
    loaded = load_atomics([path])
    assert not loaded.atomics


def test_the_pack_has_no_faults() -> None:
    assert [str(fault) for fault in PACK.faults] == []


def test_the_pack_has_fifteen_tests_of_lua_and_three_of_every_other_technique() -> None:
    counts = Counter(atomic.technique for atomic in PACK.atomics)
    assert counts.pop("T1059.011") >= 15
    assert all(count >= 3 for count in counts.values()), counts
    assert {"T1059", "T1059.001", "T1059.004", "T1059.006", "T1059.007", "T1059.012", "T1059.013"} <= set(counts)


@pytest.mark.parametrize("atomic", PACK.atomics, ids=lambda atomic: atomic.id)
def test_a_test_of_the_pack_is_named_for_good_and_never_needs_root(atomic: Atomic) -> None:
    assert atomic.guid
    assert not atomic.elevation
    assert "linux" in atomic.platforms


@pytest.mark.parametrize("atomic", PACK.atomics, ids=lambda atomic: atomic.id)
def test_a_test_of_the_pack_names_no_address_of_anybody(atomic: Atomic) -> None:
    text = f"{atomic.command}\n{atomic.cleanup}"
    for address in re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", text):
        assert any(ip_address(address) in network for network in HARMLESS), address
    for host in re.findall(r"https?://([^/:'\"\s]+)", text):
        assert host in ("127.0.0.1", "localhost"), host


@pytest.mark.parametrize("atomic", PACK.atomics, ids=lambda atomic: atomic.id)
def test_a_test_of_the_pack_cleans_up_what_it_writes(atomic: Atomic) -> None:
    written = re.findall(r"(?:>|-o|cp \S+|mkdir(?: -p)?)\s+\"?((?:/tmp|/dev/shm|\$HOME)/[\w./-]+)", atomic.command)
    for path in written:
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        assert any(part in atomic.cleanup for part in parts if part.count("/") > 0 and part not in ("/", "/tmp")), path


@pytest.mark.parametrize("path", sorted((files("perilune") / "content" / "atomics").iterdir(), key=str), ids=str)
def test_no_argument_of_the_pack_is_lost_as_a_comment(path: Path) -> None:
    """` #{name}` in a value that is not a block begins a YAML comment."""
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not re.match(r"\s*(?:- )?\w+: [^|'\"].*#\{", line), line
