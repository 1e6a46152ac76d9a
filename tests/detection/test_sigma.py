"""What loads, what is refused and where, and how hostile files end."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.detection import files, sigma
from perilune.detection.translate import MAX_COMPARISONS
from perilune.model.rules import Level, Role, RuleSet
from tests.detection.engines import by_oracle, table

RULE = """\
title: Lua with code on its command line
id: 7f5b6c1e-5f0a-4b52-9a2e-1f6f5f3f3c11
author: Ann Analyst
level: high
tags: [attack.execution, attack.t1059.011]
logsource:
  category: process_creation
  product: linux
detection:
  selection:
    Image|endswith: /lua
    CommandLine|contains: ' -e '
  condition: selection
"""
HIT = {"FolderPath": "/usr/bin/lua", "ProcessCommandLine": "lua -e os.exit()"}


def refused(text: str) -> str:
    found = sigma.parse(text, "r.yml")
    assert not found.rules
    (refusal,) = found.refused
    return f"{refusal.source}: {refusal.reason}"


def test_a_rule_keeps_what_its_finding_must_carry() -> None:
    (found,) = sigma.parse(RULE, "r.yml").rules
    assert (found.id, found.author, found.level) == ("7f5b6c1e-5f0a-4b52-9a2e-1f6f5f3f3c11", "Ann Analyst", Level.HIGH)
    assert found.techniques == ("T1059.011",)
    assert found.source == "r.yml:1"
    assert found.role is Role.DETECTION
    assert len(found.digest) == 64


def test_a_context_rule_says_how_much_it_lowers() -> None:
    (found,) = sigma.parse(RULE + "perilune: {role: context, lowers: 30}\n", "r.yml").rules
    assert (found.role, found.lowers) == (Role.CONTEXT, 30)
    assert (
        refused(RULE + "perilune: {role: friend}\n") == "r.yml:14: `role` is detection or context, `lowers` is 0 to 100"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            RULE.replace("CommandLine|contains", "Gravity"),
            "r.yml:12: no column of DeviceProcessEvents holds the field Gravity",
        ),
        (RULE.replace("product: linux", "product: plan9"), "r.yml:6: no reader fills logsource plan9/process_creation"),
        (RULE.replace("|endswith", "|nearly"), "r.yml:10: selection: Unknown modifier 'nearly'"),
        (
            RULE.replace("condition: selection", "condition: selektion"),
            "r.yml:13: its condition is wrong: Detection 'selektion'",
        ),
        (
            RULE.replace("condition: selection", "condition: 1 of x*"),
            "r.yml:13: its condition is wrong: Selector '1 of x*'",
        ),
        (
            RULE.replace("condition: selection", "condition: selection | count() > 5"),
            "r.yml:13: its condition is wrong: The pipe",
        ),
        (RULE.replace("  condition: selection\n", ""), "r.yml:9: it has no condition"),
        (RULE.replace("  condition", "  timeframe: 5m\n  condition"), "r.yml:13: a timeframe needs a correlation rule"),
        (
            RULE.replace("    Image|", "    CommandLine|contains: x\n    Image|"),
            "r.yml:13: the key 'CommandLine|contains' is given twice",
        ),
        ("title: x\ncorrelation: {type: event_count}\n", "r.yml:2: its correlation has no timespan"),
        ("title: x\n", "r.yml:1: not a Sigma rule: it has no detection"),
        ("- a\n- b\n", "r.yml:1: not a Sigma rule: the document is not a mapping"),
        ("title: [\n", "r.yml:2: not valid YAML"),
        ("\t", "r.yml:1: not valid YAML"),
        (RULE.replace("detection:\n", "detection: x\nother:\n"), "r.yml:9: its detection is not a mapping"),
        (RULE.replace("logsource:\n", "sourcelog:\n"), "it has no logsource"),
        (RULE.replace("category: process_creation", "category: [a]"), "r.yml:7: its category is not a text"),
    ],
)
def test_refusals_say_where_and_why(text: str, reason: str) -> None:
    assert reason in refused(text)


def test_one_bad_rule_stops_no_other() -> None:
    found = sigma.parse(f"{RULE}---\ntitle: bad\n---\n{RULE}", "r.yml")
    assert [r.source for r in found.rules] == ["r.yml:1", "r.yml:17"]
    assert [r.source for r in found.refused] == ["r.yml:15"]


def test_collections() -> None:
    head, body = RULE.split("logsource:")
    text = (
        f"action: global\nlogsource:{body.split('detection:')[0]}\n---\n{head}detection:{body.split('detection:')[1]}"
        "---\naction: repeat\ntitle: second\ndetection:\n  selection:\n    Image|endswith: /luajit\n"
        "---\naction: reset\n---\ntitle: third\ndetection: {s: {Image: x}, condition: s}\n"
    )
    found = sigma.parse(text, "r.yml")
    assert [r.title for r in found.rules] == ["Lua with code on its command line", "second"]
    assert [r.reason for r in found.refused] == ["it has no logsource"]
    second = table("DeviceProcessEvents", [HIT, HIT | {"FolderPath": "/bin/luajit"}])
    assert by_oracle(found.rules, second) == {(0, 0), (1, 1)}


FILTER = """\
title: Not our build servers
logsource: {category: process_creation}
filter:
  rules: [7f5b6c1e-5f0a-4b52-9a2e-1f6f5f3f3c11]
  own: {User: ci}
  condition: not own
"""


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        (FILTER, {1}),
        (FILTER.replace("[7f5b6c1e-5f0a-4b52-9a2e-1f6f5f3f3c11]", "any"), {1}),
        (FILTER.replace("7f5b6c1e", "00000000"), {0, 1}),
        (FILTER.replace("process_creation", "file_event"), {0, 1}),
    ],
)
def test_filters_apply_to_the_rules_they_name(text: str, hits: set[int]) -> None:
    found = sigma.parse(f"{text}---\n{RULE}", "r.yml")
    rows = table("DeviceProcessEvents", [HIT | {"XUser": "CI"}, HIT])
    assert not found.refused
    assert {row for _, row in by_oracle(found.rules, rows)} == hits
    assert (found.rules[0].digest == sigma.parse(RULE, "r.yml").rules[0].digest) == (hits == {0, 1})


def test_folders_archives_and_examples_beside_rules(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.yml").write_text(RULE)
    (folder / "deep" / "b.yaml").write_text(RULE)
    (folder / "a.events.yml").write_text("hits: []\n")
    (folder / "readme.md").write_text("no rule")
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("x/a.yml", RULE)
        archive.writestr("x/a.txt", "no rule")
    with tarfile.open(tmp_path / "r.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("y/a.yml")
        member.size = len(RULE)
        archive.addfile(member, io.BytesIO(RULE.encode()))
    found = sigma.load([folder, tmp_path / "r.zip", tmp_path / "r.tgz"])
    assert not found.refused
    assert [r.source.removeprefix(str(tmp_path)) for r in found.rules] == [
        "/rules/a.yml:1", "/rules/deep/b.yaml:1", "/r.zip!x/a.yml:1", "/r.tgz!y/a.yml:1",
    ]  # fmt: skip


def test_the_licence_beside_the_rules_is_kept(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Detection Rule License (DRL) 1.1")
    path = tmp_path / "rules" / "linux" / "a.yml"
    path.parent.mkdir(parents=True)
    path.write_text(RULE)
    (found,) = sigma.load([path]).rules
    assert found.license == "DRL-1.1"
    assert found.link == "https://github.com/SigmaHQ/sigma/blob/master/rules/linux/a.yml"
    (alone,) = sigma.parse(RULE, "r.yml").rules
    assert (alone.license, alone.link) == ("", "")


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yml").write_text("x" * (files.MAX_FILE + 1))
    (tmp_path / "latin.yml").write_bytes(b"title: \xe9")
    (tmp_path / "cut.zip").write_bytes(b"PK\x05\x06" + b"\0" * 18 + b"PK")
    found = sigma.load([tmp_path, tmp_path / "absent.yml", tmp_path / "cut.zip"])
    assert not found.rules
    assert any("larger than 1 MiB" in r.reason for r in found.refused)
    assert any("not UTF-8 at byte 7" in r.reason for r in found.refused)
    assert any("cannot be read: No such file" in r.reason for r in found.refused)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB + RULE, "more than 40,000 YAML nodes"),
        ("a: &a [*a]\n" + RULE, "alias"),
        ("x: " + "[" * 5000 + "]" * 5000, "nested deeper than 40 levels"),
        ("x: " + "{a: " * 3000 + "1" + "}" * 3000, "nested deeper than 40 levels"),
        ("- " * 20_000 + "a", "nested deeper than 40 levels"),
        ("".join(" " * n + "a:\n" for n in range(900)), "nested deeper than 40 levels"),
        ("x: " + "[" * 100 + "]" * 100, "nested deeper than 40 levels"),
        (
            RULE.replace("' -e '", "[" + ",".join(f"x{n}" for n in range(10_000)) + "]"),
            f"more than {MAX_COMPARISONS:,} comparisons",
        ),
        (RULE.replace("condition: selection", "condition: " + "(" * 300 + "selection" + ")" * 300), "parentheses"),
        (RULE.replace("condition: selection", "condition: " + "not " * 3000 + "selection"), "2,000 characters"),
        (RULE.replace("' -e '", "'" + "?*" * 200 + "'"), "wildcards and literals"),
        (RULE.replace("CommandLine|contains: ' -e '", "CommandLine|re: '(x{500}){500}'"), "regular expression"),
        (RULE.replace("' -e '", "'" + " -a" * 30 + "'").replace("contains", "contains|windash"), "windash"),
        (RULE.replace("condition: selection", "condition: 1 of " + "s*" * 200 + "x"), "its condition is wrong"),
        (RULE.replace("' -e '", "!!python/object/apply:os.system [id]"), "not valid YAML"),
    ],
    ids=lambda text: text[:24],
)
def test_hostile_rules_end_in_a_located_error(text: str, reason: str) -> None:
    found = refused(text)
    assert found.startswith("r.yml:")
    assert reason in found


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text(st.sampled_from("abc:[]{}-&*!|>?#'\"\n \t%@`,"), max_size=200)))
def test_any_text_gives_rules_or_refusals(text: str) -> None:
    assert isinstance(sigma.parse(text, "r.yml"), RuleSet)


_yaml = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.one_of(st.text(max_size=3), st.sampled_from(["CommandLine|contains", "Image|re", "|all", "User|cidr"]),
                  st.integers()), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_yaml, _yaml, st.one_of(st.sampled_from(["s", "not s", "1 of them", "all of s*"]), _yaml))
def test_any_detection_gives_a_rule_or_a_refusal(selection: object, other: object, condition: object) -> None:
    import yaml

    text = yaml.safe_dump(
        {
            "title": "x",
            "logsource": {"category": "process_creation"},
            "detection": {"s": selection, "t": other, "condition": condition},
        }
    )
    found = sigma.parse(text, "r.yml")
    assert len(found.rules) + len(found.refused) == 1


@pytest.mark.slow
def test_all_of_sigmahq(loaded: RuleSet) -> None:
    """At most one in a hundred rules of the logs that are read is refused, and each says why."""
    unfilled = [r for r in loaded.refused if r.reason.startswith("no reader fills logsource")]
    others = [r for r in loaded.refused if r not in unfilled]
    assert len(loaded.rules) > 3000
    assert len(others) <= len(loaded.rules) / 100
    kinds = Counter("placeholder" if r.reason.startswith("the placeholder") else r.reason for r in others)
    assert set(kinds) == {"placeholder"}
    assert all(r.license == "DRL-1.1" and r.author and "SigmaHQ/sigma" in r.link for r in loaded.rules)
