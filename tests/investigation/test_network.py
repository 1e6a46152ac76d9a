"""Connections: whose they are, where they lead, and which lists name them."""

# ruff: noqa: E501 - a table of cases reads better whole

from __future__ import annotations

from datetime import date

import pytest

from perilune.analysis.lists import Entry, IndicatorList, Lists
from perilune.investigation.network import find_connections, find_downloads, reach_of
from tests.build import at, table
from tests.investigation.scopes import by_lua, by_other, scoped

LISTED = Lists(
    [
        IndicatorList("bad", False, (Entry("203.0.113.9"), Entry("evil.example"))),
        IndicatorList("shared", True, (Entry("1.1.1.1"),)),
    ],
    date(2026, 11, 22),
).lookup


@pytest.mark.parametrize(
    ("address", "reach"),
    [("8.8.8.8", "public"), ("203.0.113.9", "public"), ("10.0.0.1", "private"), ("127.0.0.1", "loopback"), ("::1", "loopback"),
     ("fe80::1%eth0", "private"), ("::ffff:10.0.0.1", "private"), ("::ffff:8.8.8.8", "public"), ("224.0.0.1", "reserved"),
     ("0.0.0.0", "loopback"), ("not an address", "unknown"), ("", "unknown")],
)  # fmt: skip
def test_an_address_says_where_it_can_lead(address: str, reach: str) -> None:
    assert reach_of(address) == reach


def connections(*rows: dict[str, object]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.value, one.tags) for one in find_connections(scoped(table("DeviceNetworkEvents", *rows)), LISTED)]


def test_only_the_cases_own_connections_count_and_loopback_does_not() -> None:
    rows = [
        by_lua(Timestamp=at(1), RemoteIP="198.51.100.7", RemotePort=443, ActionType="ConnectionSuccess"),
        by_lua(Timestamp=at(2), RemoteIP="127.0.0.1", RemotePort=80, ActionType="ConnectionSuccess"),
        by_other(Timestamp=at(3), RemoteIP="203.0.113.9", RemotePort=443, ActionType="ConnectionSuccess"),
    ]
    assert connections(*rows) == [("198.51.100.7", ("public",))]


def test_a_listed_address_says_its_list_and_a_failed_connection_that_it_failed() -> None:
    row = by_lua(Timestamp=at(1), RemoteIP="203.0.113.9", RemotePort=443, ActionType="ConnectionFailed")
    assert connections(row) == [("203.0.113.9", ("public", "failed", "listed", "list bad"))]


def test_an_address_that_many_share_is_marked() -> None:
    row = by_lua(Timestamp=at(1), RemoteIP="1.1.1.1", RemotePort=443, ActionType="ConnectionSuccess")
    assert connections(row) == [("1.1.1.1", ("public", "shared"))]


def test_a_looked_up_name_is_a_sign_too() -> None:
    row = by_lua(Timestamp=at(1), XQueryName="evil.example", ActionType="DnsQueryResponse")
    (fact,) = find_connections(scoped(table("DeviceEvents", row)), LISTED)
    assert fact.tags == ("name", "public", "listed", "list bad")


def test_a_file_written_and_then_run_is_a_download_when_a_browser_wrote_it() -> None:
    row = by_other(Timestamp=at(-1), ActionType="FileCreated", FolderPath="/tmp/a.lua", FileName="a.lua") | {
        "InitiatingProcessFileName": "firefox"
    }
    (fact,) = find_downloads(scoped(table("DeviceFileEvents", row)))
    assert {"written", "browser"} <= set(fact.tags)


def test_hostile_values_never_break_it() -> None:
    rows = [
        by_lua(Timestamp=at(n), RemoteIP=text, RemoteUrl=text)
        for n, text in enumerate(("\x00", "[::", "a" * 9000, "1.1.1.1/9", "%"))
    ]
    assert len(connections(*rows)) == 5
