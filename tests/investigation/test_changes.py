"""What changed before a case: packages that explain, programs brought in and protection weakened that accuse."""

from __future__ import annotations

from perilune.investigation.changes import find_changes
from tests.build import at, process, table
from tests.investigation.scopes import LUA, STARTS, by_lua, by_other, named, scoped

DAY = 86_400


def inventory(seconds: float) -> dict[str, object]:
    return {
        "Timestamp": at(seconds),
        "ActionType": "SoftwareInstalled",
        "SoftwareName": "lua5.4",
        "SoftwareVersion": "5.4.4",
    }


def test_a_package_installed_in_the_week_before_is_told_and_an_older_one_is_not() -> None:
    assert named(list(find_changes(scoped(table("XInventoryEvents", inventory(-2 * DAY)))))) == [
        ("Software changed", None)
    ]
    assert not list(find_changes(scoped(table("XInventoryEvents", inventory(-30 * DAY)))))


def test_a_program_written_before_it_ran_was_brought_in_and_one_written_after_was_not() -> None:
    def written(seconds: float) -> dict[str, object]:
        return by_other(
            Timestamp=at(seconds), ActionType="FileCreated", FolderPath="/usr/bin/lua5.4", FileName="lua5.4"
        )

    assert named(list(find_changes(scoped(table("DeviceFileEvents", written(-60)))))) == [("Program brought in", False)]
    assert not list(find_changes(scoped(table("DeviceFileEvents", written(60)))))
    (fact,) = find_changes(scoped(table("DeviceFileEvents", written(-60) | {"InitiatingProcessFileName": "dpkg"})))
    assert fact.tags == ("installed",)


def test_protection_switched_off_is_told_with_who_did_it() -> None:
    child = process(5000, LUA, "/bin/sh", 1, "systemctl stop auditd")
    assert named(list(find_changes(scoped(starts=(*STARTS, child))))) == [("Protection or service changed", True)]
    key = by_lua(
        Timestamp=at(1),
        ActionType="RegistryValueSet",
        RegistryKey=r"HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions",
    )
    assert named(list(find_changes(scoped(table("DeviceRegistryEvents", key))))) == [
        ("Protection or service changed", True)
    ]
