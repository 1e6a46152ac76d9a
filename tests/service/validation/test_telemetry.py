"""Records are sorted by session, and say which files were made."""

from __future__ import annotations

from perilune.service.validation import telemetry
from perilune.service.validation.telemetry import by_session, made

LINES = """\
type=SYSCALL msg=audit(1.000:7): arch=c000003e syscall=59 success=yes pid=2 ses=31 comm="lua" key="k"
type=SYSCALL msg=audit(1.000:8): arch=c000003e syscall=59 success=yes pid=3 ses=32 comm="sh" key="k"
type=EXECVE msg=audit(1.000:7): argc=1 a0="lua"
type=EXECVE msg=audit(1.000:8): argc=1 a0="sh"
type=CONFIG_CHANGE msg=audit(1.000:9): op=add_rule ses=4294967295
type=EOE msg=audit(1.000:7):
nonsense""".splitlines()
MADE = """\
type=SYSCALL msg=audit(1.000:7): ses=31
type=CWD msg=audit(1.000:7): cwd="/home/lab"
type=PATH msg=audit(1.000:7): item=0 name="." nametype=PARENT
type=PATH msg=audit(1.000:7): item=1 name="a/b" nametype=CREATE
type=PATH msg=audit(1.000:8): item=1 name=2F746D702F612062 nametype=CREATE
type=PATH msg=audit(1.000:9): item=1 name="/tmp/old" nametype=NORMAL
type=PATH msg=audit(1.000:9): item=2 name=(null) nametype=CREATE""".splitlines()


def test_an_event_goes_whole_to_its_session_and_what_has_none_to_nobody() -> None:
    told = by_session(LINES)
    assert told[31].lines == [LINES[0], LINES[2], LINES[5]]
    assert told[32].lines == [LINES[1], LINES[3]]
    assert set(told) == {31, 32}


def test_files_are_told_by_their_whole_path() -> None:
    assert list(made(MADE)) == ["/home/lab/a/b", "/tmp/a b"]


def test_a_session_of_too_many_records_is_cut_and_says_so(monkeypatch: object) -> None:
    told = telemetry.Told()
    for _ in range(3):
        told.add("x")
    assert (len(told.lines), told.cut) == (3, 0)
    monkeypatch.setattr(telemetry, "MAX_LINES", 4)  # type: ignore[attr-defined]
    told.add("x")
    told.add("x")
    assert (len(told.lines), told.cut) == (4, 1)
