"""Code restricted, files quarantined: what the API refuses is refused before it is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perilune.connectors.defender import Defender
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, State, Target, TargetType
from tests.build import at
from tests.connectors.defender.fake import SHA1, SHA256, Fake
from tests.response.build import FILE, action

LUA = Target(TargetType.INTERPRETER, r"C:\Users\ana\lua.exe", "web-01")
POWERSHELL = replace(LUA, value=r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe")
QUARANTINE = action(Kind.QUARANTINE_FILE, replace(FILE, sha256=SHA256))


def test_code_is_restricted_and_allowed_again(defender: Defender, fake: Fake) -> None:
    one, back = action(Kind.RESTRICT_INTERPRETER, LUA), action(Kind.ALLOW_INTERPRETER, LUA)
    assert defender.check(one).state is State.ABSENT
    assert defender.check(back).state is State.HOLDS
    defender.act(one, "R-1:1")
    assert defender.check(one).state is State.PENDING
    fake.settle()
    assert defender.check(one).state is State.HOLDS
    defender.act(back, "R-2:1")
    fake.settle()
    assert (defender.check(one).state, defender.check(back).state) == (State.ABSENT, State.HOLDS)


def test_an_interpreter_of_windows_itself_would_still_run_and_is_refused(defender: Defender, fake: Fake) -> None:
    receipt = defender.act(action(Kind.RESTRICT_INTERPRETER, POWERSHELL), "R-1:1")
    assert receipt.outcome is Outcome.REFUSED
    assert "Microsoft signed" in receipt.detail
    assert fake.actions == []


def test_the_plan_says_that_the_whole_machine_is_restricted(defender: Defender) -> None:
    assert "whole machine" in defender.describe(action(Kind.RESTRICT_INTERPRETER, LUA))[0].effect


def test_a_file_is_quarantined_by_its_sha1(defender: Defender, fake: Fake) -> None:
    assert defender.check(QUARANTINE).state is State.ABSENT
    assert defender.act(QUARANTINE, "R-1:1").outcome is Outcome.DONE
    assert fake.actions[0]["relatedFileInfo"]["fileIdentifier"] == SHA1
    assert defender.check(QUARANTINE).state is State.PENDING
    fake.settle()
    assert defender.check(QUARANTINE).state is State.HOLDS


def test_another_files_quarantine_says_nothing_of_this_one(defender: Defender, fake: Fake) -> None:
    defender.act(QUARANTINE, "R-1:1")
    fake.settle()
    fake.actions[0]["relatedFileInfo"]["fileIdentifier"] = "00" * 20
    assert defender.check(QUARANTINE).state is State.ABSENT


def test_a_signed_file_is_refused_and_an_unknown_hash_said(defender: Defender, fake: Fake) -> None:
    fake.signed = True
    receipt = defender.act(QUARANTINE, "R-1:1")
    assert (receipt.outcome, fake.actions) == (Outcome.REFUSED, [])
    assert "Microsoft Corporation" in receipt.detail
    with pytest.raises(ConnectorError, match="hash is not known"):
        defender.check(action(Kind.QUARANTINE_FILE, replace(FILE, sha256="")))


@pytest.mark.parametrize("fault", ["close", "half", "lost", 500, 502])
@pytest.mark.parametrize("call", ["StopAndQuarantineFile", "restrictCodeExecution", "runliveresponse"])
def test_no_change_is_repeated_without_a_whole_answer(
    defender: Defender, fake: Fake, call: str, fault: int | str
) -> None:
    process = Target(TargetType.PROCESS, "/usr/bin/lua", "web-01", 7, at(0))
    one = {
        "StopAndQuarantineFile": QUARANTINE,
        "restrictCodeExecution": action(Kind.RESTRICT_INTERPRETER, LUA),
        "runliveresponse": action(Kind.TERMINATE_PROCESS, process),
    }[call]
    fake.vendor.only, fake.vendor.faults = call, [fault]
    with pytest.raises(ConnectorError):
        defender.act(one, "R-1:1")
    assert sum(call in asked.path for asked in fake.vendor.asked) == 1
