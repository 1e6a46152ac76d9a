"""Every place that starts something by itself, seen where it is written and not where it is only read."""

from __future__ import annotations

import pytest

from perilune.investigation.persistence import find_persistence
from tests.build import at, process, table
from tests.investigation.scopes import LUA, STARTS, by_lua, by_other, named, scoped

FILES = [
    (r"C:\Users\a\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\x.lnk", "Startup folder"),
    (r"C:\Windows\System32\Tasks\Updater", "Scheduled task"),
    (r"C:\Windows\System32\oobe\Setup.exe\x", "Windows Setup script"),
    (r"C:\Windows\Setup\Scripts\ErrorHandler.cmd", "Windows Setup script"),
    ("/etc/cron.d/x", "Cron"),
    ("/var/spool/cron/crontabs/root", "Cron"),
    ("/etc/systemd/system/x.service", "Systemd unit"),
    ("/home/a/.config/systemd/user/x.timer", "Systemd unit"),
    ("/home/a/.bashrc", "Shell profile"),
    ("/etc/profile.d/x.sh", "Shell profile"),
    ("/home/a/.config/autostart/x.desktop", "Desktop autostart"),
    ("/root/.ssh/authorized_keys", "SSH key"),
    ("/etc/ld.so.preload", "Preloaded library"),
    ("/home/a/.config/nvim/init.lua", "Editor start-up file"),
    ("/home/a/.config/awesome/rc.lua", "Window manager start-up file"),
    ("/Users/a/.hammerspoon/init.lua", "Lua start-up file of a program"),
    ("/etc/nginx/conf.d/x.conf", "Server configuration"),
    ("/etc/redis/redis.conf", "Server configuration"),
    ("/etc/haproxy/haproxy.cfg", "Server configuration"),
    ("/Library/LaunchDaemons/x.plist", "Launch agent or daemon"),
]

COMMANDS = [
    ('schtasks /create /tn x /tr "C:\\a.exe"', "Scheduled task"),
    (r"reg add HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v x /d y", "Run key"),
    ("sc create x binPath= C:\\a.exe", "Service"),
    ("(crontab -l; echo x) | crontab -", "Cron"),
    ("systemctl enable x.timer", "Systemd unit"),
    ("sh -c 'echo x >> ~/.bashrc'", "Shell profile"),
    ("setx LUA_INIT @C:\\x.lua", "LUA_INIT in the environment"),
    ("sh -c \"echo 'ssh-rsa A' >> /root/.ssh/authorized_keys\"", "SSH key"),
    ("redis-cli config set dir /var/spool/cron", "Redis writes a file"),
]
REGISTRY = [
    (r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run", "x", "C:\\a.exe", "Run key"),
    (
        r"HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run\x",
        "",
        "02",
        "StartupApproved entry",
    ),
    (r"HKLM\SYSTEM\CurrentControlSet\Services\x", "ImagePath", "C:\\a.exe", "Service"),
    (r"HKCU\Environment", "LUA_INIT", "@C:\\x.lua", "LUA_INIT in the environment"),
    (r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\Winlogon", "Shell", "x.exe", "Winlogon entry"),
]


@pytest.mark.parametrize(("path", "name"), FILES)
def test_a_file_in_an_autostart_place_is_named_when_it_is_written(path: str, name: str) -> None:
    written = by_lua(Timestamp=at(1), ActionType="FileCreated", FolderPath=path, FileName="x")
    deleted = by_lua(Timestamp=at(1), ActionType="FileDeleted", FolderPath=path, FileName="x")
    assert named(list(find_persistence(scoped(table("DeviceFileEvents", written))))) == [(name, True)]
    assert not list(find_persistence(scoped(table("DeviceFileEvents", deleted))))


@pytest.mark.parametrize(("command", "name"), COMMANDS)
def test_a_command_that_plants_is_named(command: str, name: str) -> None:
    child = process(5000, LUA, "/bin/sh", 1, command)
    assert named(list(find_persistence(scoped(starts=(*STARTS, child))))) == [(name, True)]


@pytest.mark.parametrize(
    "command", ["crontab -l", "schtasks /query", "systemctl status x", "cat ~/.bashrc", "reg query HKCU"]
)
def test_a_command_that_only_reads_is_not(command: str) -> None:
    child = process(5000, LUA, "/bin/sh", 1, command)
    assert not list(find_persistence(scoped(starts=(*STARTS, child))))


@pytest.mark.parametrize(("key", "value", "data", "name"), REGISTRY)
def test_a_registry_value_that_starts_something_is_named(key: str, value: str, data: str, name: str) -> None:
    row = by_lua(
        Timestamp=at(1), ActionType="RegistryValueSet", RegistryKey=key, RegistryValueName=value, RegistryValueData=data
    )
    assert named(list(find_persistence(scoped(table("DeviceRegistryEvents", row))))) == [(name, True)]


def test_what_another_process_planted_is_told_apart() -> None:
    row = by_other(Timestamp=at(1), ActionType="FileCreated", FolderPath="/etc/cron.d/x", FileName="x")
    assert named(list(find_persistence(scoped(table("DeviceFileEvents", row))))) == [("Cron", False)]


def test_what_happened_days_before_is_not_of_the_case() -> None:
    row = by_lua(Timestamp=at(-200_000), ActionType="FileCreated", FolderPath="/etc/cron.d/x", FileName="x")
    assert not list(find_persistence(scoped(table("DeviceFileEvents", row))))


def test_a_thousand_places_are_looked_at_in_bounds() -> None:
    rows = [
        by_other(Timestamp=at(n), ActionType="FileCreated", FolderPath=f"/etc/cron.d/x{n}", FileName="x")
        for n in range(1000)
    ]
    mine = by_lua(Timestamp=at(2000), ActionType="FileCreated", FolderPath="/etc/cron.d/mine", FileName="mine")
    found = list(find_persistence(scoped(table("DeviceFileEvents", *rows, mine))))
    assert len(found) <= 400
    assert found[0].value == "/etc/cron.d/mine"
