"""Credentials read and rights raised: what is seen, and what only looks like it."""

from __future__ import annotations

import pytest

from perilune.investigation.credentials import find_access, find_credentials, find_privilege
from tests.build import at, process, table
from tests.investigation.scopes import LUA, STARTS, by_lua, named, scoped


@pytest.mark.parametrize(
    ("command", "name"),
    [("cat /etc/shadow", "Password file of Unix"), (r"reg save HKLM\SAM C:\x", "Password hashes of Windows"),
     ("rundll32 comsvcs.dll, MiniDump 624 x", "LSASS memory"), ("cat /home/a/.ssh/id_rsa", "SSH or cloud keys"),
     ("cmdkey /list", "Saved credentials"), ("findstr /si password *.txt", "Search for passwords")],
)  # fmt: skip
def test_reading_of_credentials_is_named(command: str, name: str) -> None:
    child = process(5000, LUA, "/bin/sh", 1, command)
    assert named(list(find_credentials(scoped(starts=(*STARTS, child))))) == [(name, True)]


@pytest.mark.parametrize("command", ["ls /etc", "passwd --help", "ssh web-02", "cat /etc/passwd"])
def test_ordinary_commands_are_not(command: str) -> None:
    child = process(5000, LUA, "/bin/sh", 1, command)
    assert not list(find_credentials(scoped(starts=(*STARTS, child))))


def test_a_program_that_runs_as_root_below_one_that_does_not_has_raised_its_rights() -> None:
    starts = (
        process(4000, 1, "/bin/sh", -5, "sh", XUser="ana"),
        process(LUA, 4000, "/usr/bin/lua5.4", 0, "lua5.4 a.lua", XUser="ana"),
        process(5000, LUA, "/bin/id", 1, "id", XUser="root"),
    )
    assert named(list(find_privilege(scoped(starts=starts)))) == [("Runs as a higher account than its parent", True)]


def test_sudo_is_a_sign_of_raised_rights() -> None:
    child = process(5000, LUA, "/usr/bin/sudo", 1, "sudo -n id")
    assert named(list(find_privilege(scoped(starts=(*STARTS, child))))) == [("sudo", True)]


def test_many_failed_logons_are_one_fact_and_few_are_none() -> None:
    failed = {"ActionType": "USER_AUTH", "AdditionalFields": '{"res":"failed"}'}
    few = table("XLogEvents", *({"Timestamp": at(n), **failed} for n in range(3)))
    many = table("XLogEvents", *({"Timestamp": at(n), **failed} for n in range(30)))
    assert not list(find_access(scoped(few)))
    (fact,) = find_access(scoped(many))
    assert (fact.name, fact.value) == ("Failed logons", "30")


def test_the_memory_of_lsass_opened_is_a_fact() -> None:
    row = by_lua(Timestamp=at(1), ActionType="OpenProcessApiCall", FileName="lsass.exe")
    assert named(list(find_credentials(scoped(table("DeviceEvents", row))))) == [("LSASS memory", True)]
