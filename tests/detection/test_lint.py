"""Each check finds what it looks for, leaves a careful rule alone, and says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perilune.detection import attack, lint
from perilune.detection.lint import Fault, Surroundings
from perilune.detection.lints import GENERAL, LINTS

CAREFUL = """\
title: Mail Store Read by a Lua Interpreter
id: 2f0f4f4e-6f0c-4a0e-9c8d-3a4f3f7f8c11
status: experimental
description: >-
  A Lua interpreter is given a file of the mail store, which no script of the system reads in that way.
references:
  - https://attack.mitre.org/techniques/T1059/011/
author: Perilune authors
date: 2026-11-21
tags:
  - attack.collection
  - attack.t1059.011
logsource:
  product: linux
  category: process_creation
detection:
  interpreter:
    Image|re|i: '/lua[\\d.]*$'
  mail:
    CommandLine|contains: '/var/mail/'
  condition: interpreter and mail
falsepositives:
  - Mail filters that are written in Lua
level: medium
license: Apache-2.0
perilune:
  guide: t1059.011
"""
EVENTS = """\
hit:
  - {table: DeviceProcessEvents, row: {FolderPath: /usr/bin/lua5.4, ProcessCommandLine: lua5.4 a.lua /var/mail/dana}}
  - {table: DeviceProcessEvents, row: {FolderPath: /usr/bin/lua, ProcessCommandLine: lua b.lua /var/mail/root}}
miss:
  - {table: DeviceProcessEvents, row: {FolderPath: /usr/bin/cat, ProcessCommandLine: cat /var/mail/dana}}
  - {table: DeviceProcessEvents, row: {FolderPath: /usr/bin/lua5.4, ProcessCommandLine: lua5.4 a.lua}}
"""
# What each check must find: the change that makes the careful rule careless, `old -> new`.
CARELESS = {
    "title": ("title: Mail Store Read by a Lua Interpreter", "title: Lua."),
    "id": ("id: 2f0f4f4e-6f0c-4a0e-9c8d-3a4f3f7f8c11", "id: 00000000-0000-1000-8000-000000000000"),
    "status": ("status: experimental", "status: new"),
    "level": ("level: medium", "level: urgent"),
    "description": ("description: >-\n  A Lua", "description: 7\n# A Lua"),
    "description-sentence": ("which no script of the system reads in that way.", "which is odd"),
    "references": ("https://attack.mitre.org", "see the wiki at attack.mitre.org"),
    "author": ("author: Perilune authors", "author: ''"),
    "origin": ("license: Apache-2.0", "license: MIT"),
    "date": ("date: 2026-11-21", "date: '2026-11-21'"),
    "tags": ("attack.t1059.011", "attack.t1059.099"),
    "technique": ("attack.t1059.011", "attack.t1204.002"),
    "falsepositives": ("Mail filters that are written in Lua", "Unknown"),
    "evaluates": ("category: process_creation", "category: tea_leaves"),
    "field-filled": (
        "product: linux\n  category: process_creation\ndetection:\n  interpreter:\n    Image|re|i: '/lua[\\\\d.]*$'",
        "category: script\ndetection:\n  interpreter:\n    AccountUpn: 'x'",
    ),
    "selection-used": ("condition: interpreter and mail", "condition: interpreter"),
    "word-anchored": ("'/var/mail/'", "mail"),
    "pattern-anchored": ("'/lua[\\\\d.]*$'", "'.*/lua'"),
    "pattern-short": ("'/lua[\\\\d.]*$'", "'" + "x" * 401 + "'"),
    "order": ("level: medium\nlicense: Apache-2.0", "license: Apache-2.0\nlevel: medium"),
    "guide": ("guide: t1059.011", "guide: t1059.099"),
}  # fmt: skip


def known() -> Surroundings:
    from perilune.cli.rule_checks import filled

    return Surroundings(attack.packaged().names, filled())


def faults(folder: Path, text: str, events: str | None = EVENTS, name: str = "mail_read") -> list[Fault]:
    (folder / f"{name}.yml").write_text(text.replace("\\\\", "\\"), encoding="utf-8")
    if events is not None:
        (folder / f"{name}.events.yml").write_text(events, encoding="utf-8")
    return list(lint.check([folder], known(), LINTS).faults)


def test_a_careful_rule_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, CAREFUL) == []


@pytest.mark.parametrize("name", CARELESS)
def test_a_check_finds_what_it_looks_for(name: str, tmp_path: Path) -> None:
    old, new = CARELESS[name]
    text = CAREFUL.replace("\\d", "\\\\d").replace(old, new)
    assert text != CAREFUL.replace("\\d", "\\\\d"), "the example has moved; mend the change"
    found = faults(tmp_path, text)
    assert name in {fault.lint for fault in found}


def test_events_that_are_few_missing_or_wrong(tmp_path: Path) -> None:
    given = yaml.safe_load(EVENTS)
    one = yaml.safe_dump({"hit": given["hit"][:1], "miss": given["miss"][:1]})
    assert {fault.lint for fault in faults(tmp_path, CAREFUL, one)} == {"hits-several", "misses-several"}
    wrong = EVENTS.replace("FolderPath: /usr/bin/cat", "Path: /usr/bin/cat")
    (fault,) = faults(tmp_path, CAREFUL, wrong)
    assert fault.lint == "events" and "no column Path" in fault.what and ":5" in fault.what
    other = EVENTS.replace("table: DeviceProcessEvents", "table: DeviceFileEvents", 1).replace(
        "ProcessCommandLine: lua5.4 a.lua /", "FileName: ", 1
    )
    assert "does not read DeviceFileEvents" in faults(tmp_path, CAREFUL, other)[0].what
    (tmp_path / "mail_read.events.yml").unlink()
    assert {"hits", "misses"} <= {fault.lint for fault in faults(tmp_path, CAREFUL, None)}


def test_two_rules_with_one_id_name_each_other(tmp_path: Path) -> None:
    faults(tmp_path, CAREFUL, name="first_rule")
    found = faults(tmp_path, CAREFUL, name="second_rule")
    same = [fault for fault in found if fault.lint == "id-unique"]
    assert [Path(fault.where.rpartition(":")[0]).name for fault in same] == ["first_rule.yml", "second_rule.yml"]
    assert "second_rule.yml:2" in same[0].what
    assert {fault.lint for fault in found} == {"id-unique", "title-unique"}


def test_a_file_name_is_a_slug(tmp_path: Path) -> None:
    assert {fault.lint for fault in faults(tmp_path, CAREFUL, name="Mail-Read")} == {"file-name"}


def test_a_fault_stands_on_its_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, CAREFUL.replace("level: medium", "level: urgent"))
    line = int(fault.where.rpartition(":")[2])
    assert CAREFUL.splitlines()[line - 1] == "level: medium"
    assert fault.hint


def test_what_is_no_yaml_is_a_fault_with_its_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "title: [unclosed\n", None)
    assert fault.lint == "readable" and "not valid YAML" in fault.what


def test_general_checks_ask_nothing_of_this_house(tmp_path: Path) -> None:
    text = CAREFUL.replace("Perilune authors", "Somebody").replace("Apache-2.0", "MIT").split("perilune:")[0]
    faults(tmp_path, text)
    assert lint.check([tmp_path], known(), GENERAL).faults == ()


def test_ids_of_checks_are_unique_and_each_says_what_to_do() -> None:
    assert len({one.id for one in LINTS}) == len(LINTS)
    assert all(len(one.hint) > 20 for one in LINTS)
    kept = {"hits", "misses", "hits-several", "misses-several", "events", "id-unique", "title-unique", "file-name"}
    assert {one.id for one in LINTS} - set(CARELESS) == kept, "a check without an example of what it finds"


CORRELATION = """\
title: Mail Store Read Again and Again by Lua
id: 9b1c2f3e-1f0a-4c62-8a53-1e7f5f2d9c10
status: experimental
description: >-
  A Lua interpreter is given files of the mail store many times within minutes, as a collection of mail would do.
references:
  - https://attack.mitre.org/techniques/T1059/011/
author: Perilune authors
date: 2026-11-21
tags:
  - attack.collection
  - attack.t1059.011
correlation:
  type: event_count
  rules:
    - mail_read
  group-by:
    - Computer
  timespan: 5m
  condition:
    gte: 3
falsepositives:
  - Mail filters that are written in Lua
level: medium
license: Apache-2.0
perilune:
  guide: t1059.011
---
title: Mail Store Read by Lua
name: mail_read
logsource:
  category: process_creation
detection:
  mail:
    Image|endswith: '/lua'
    CommandLine|contains: '/var/mail/'
  condition: mail
"""
_STORY = (
    "  - - {{table: DeviceProcessEvents, at: 0, times: {}, every: 1, row: {{DeviceName: a, FolderPath: /bin/lua}}}}\n"
)
CASES = f"hit:\n{_STORY.format(3) * 2}miss:\n{_STORY.format(2) * 2}"


def test_a_careful_correlation_has_no_fault_and_its_part_needs_no_id(tmp_path: Path) -> None:
    assert faults(tmp_path, CORRELATION, CASES, "mail_often") == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("level: medium", "level: urgent", "level"),
        ("    - mail_read", "    - mail_written", "evaluates"),
        ("timespan: 5m", "timespan: soon", "evaluates"),
        ("process_creation\ndetection:\n  mail:\n    Image|endswith: '/lua'\n    CommandLine|contains: '/var/mail/'",
         "script\ndetection:\n  mail:\n    AccountUpn: x", "field-filled"),
        ("condition: mail\n", "condition: mail\n  more: {Image: x}\n", "selection-used"),
        ("guide: t1059.011", "guide: t1", "guide"),
    ],
)  # fmt: skip
def test_checks_find_what_is_wrong_with_a_correlation_or_its_part(
    old: str, new: str, name: str, tmp_path: Path
) -> None:
    assert old in CORRELATION
    text = CORRELATION.replace(old, new)
    assert name in {fault.lint for fault in faults(tmp_path, text, CASES, "mail_often")}


def test_cases_beside_a_correlation_are_counted_and_read(tmp_path: Path) -> None:
    one = f"hit:\n{_STORY.format(3)}miss:\n{_STORY.format(2)}"
    assert {fault.lint for fault in faults(tmp_path, CORRELATION, one, "mail_often")} == {
        "hits-several",
        "misses-several",
    }
    (fault,) = faults(tmp_path, CORRELATION, EVENTS, "mail_often")
    assert fault.lint == "events" and "a case is a list of events" in fault.what
