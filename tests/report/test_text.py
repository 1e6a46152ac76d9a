"""Words shared by the command line and the reports; what hides in text becomes visible."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.findings import Reason
from perilune.model.rules import Level
from perilune.report import text
from tests.report import cases

# Any text at all, lone surrogates included, and denser in what hides.
ANY = st.text(st.characters() | st.sampled_from("\u202e\u2066\u200b\x1b\n\u0301\u0336⟨⟩\ud800\ufe0f\u3164"))
ADDRESSES = st.text(st.sampled_from("0123456789abf.:/[]htps@-wx ⟨")) | ANY


def reveal(shown: str) -> str:
    """Undoes `visible`."""
    short = {"n": "\n", "r": "\r", "t": "\t"}

    def back(found: re.Match[str]) -> str:
        return short[found[1]] if found[1] else chr(int(found[2], 16))

    return re.sub(r"⟨(?:\\([nrt])|U\+([0-9A-F]{4,6}))⟩", back, shown)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("lua5.4 -e 'print(1)'", "lua5.4 -e 'print(1)'"),
        ("invoice\u202efdp.lua", "invoice⟨U+202E⟩fdp.lua"),
        ("\x1b[2J\x07", "⟨U+001B⟩[2J⟨U+0007⟩"),
        ("a\nb\r\tc", "a⟨\\n⟩b⟨\\r⟩⟨\\t⟩c"),
        ("lu\u200ba", "lu⟨U+200B⟩a"),
        ("a\u00a0b\u3000c", "a⟨U+00A0⟩b⟨U+3000⟩c"),
        ("\ud800", "⟨U+D800⟩"),
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
        ("\U000e0041\u3164\u2800", "⟨U+E0041⟩⟨U+3164⟩⟨U+2800⟩"),
        ("наш über 日本語 עברית हिन्दी", "наш über 日本語 עברית हिन्दी"),
        ("a" + "\u0336" * 5, "a\u0336\u0336\u0336⟨U+0336⟩⟨U+0336⟩"),
        ("\u0301x", "⟨U+0301⟩x"),
        ("", ""),
    ],
)
def test_what_hides_is_written_out(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


@given(ANY)
def test_nothing_that_hides_is_left_and_nothing_is_lost(raw: str) -> None:
    shown = text.visible(raw)
    assert shown.isprintable()
    assert "\n" not in shown
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in shown)
    assert reveal(shown) == raw
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("curl http://203.0.113.9/a.lua", "curl hxxp://203[.]0[.]113[.]9/a.lua"),
        ("HTTPS://Evil.Example:8443/x", "hxxps://Evil[.]Example:8443/x"),
        ("ldap://a.example/o", "ldap[:]//a[.]example/o"),
        ("ftp://u:p@a.example", "fxp://u:p@a[.]example"),
        ("see www.evil.example now", "see www[.]evil[.]example now"),
        ("203.0.113.9:4444,", "203[.]0[.]113[.]9:4444,"),
        ("http://[2001:db8::1]:80/", "hxxp://[2001[:]db8[:][:]1][:]80/"),
        ("to fe80::1.", "to fe80[:][:]1."),
        ("10.0.19041.1 5.4.6 17:04:12 std::string a.lua", "10.0.19041.1 5.4.6 17:04:12 std::string a.lua"),
        ("[Convert]::FromBase64String", "[Convert]::FromBase64String"),
        ("00:11:22:33:44:55", "00:11:22:33:44:55"),
        ("hxxp://a[.]b", "hxxp://a[.]b"),
    ],
)
def test_addresses_are_no_links_any_more(raw: str, safe: str) -> None:
    assert text.defang(raw) == safe


@given(ADDRESSES)
def test_defanging_twice_is_defanging_once(raw: str) -> None:
    once = text.defang(raw)
    assert text.defang(once) == once
    assert not re.search(r"(?i)https?://", once)


@given(ANY, st.integers(8, 60))
def test_a_shortened_text_keeps_its_ends_and_says_what_it_lost(raw: str, limit: int) -> None:
    short = text.shorten(raw, limit)
    if len(raw) <= limit:
        assert short == raw
    else:
        assert f" {len(raw) - limit:,} more characters " in short
        assert short.startswith(raw[: limit - limit // 4])
        assert short.endswith(raw[len(raw) - limit // 4 :])


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (datetime(2026, 11, 21, 17, 4, 12, tzinfo=UTC), "2026-11-21 17:04:12 UTC"),
        (datetime(2026, 11, 21, 17, 4, 12, 310_999, tzinfo=UTC), "2026-11-21 17:04:12.310 UTC"),
        (datetime(2026, 11, 21, 1, tzinfo=timezone(timedelta(hours=2))), "2026-11-20 23:00:00 UTC"),
        (datetime(2026, 11, 21, 1), "2026-11-21 01:00:00 (zone unknown)"),
        (None, "time unknown"),
    ],
)
def test_times_are_utc_or_say_that_they_are_not(time: datetime | None, said: str) -> None:
    assert text.when(time) == said


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (0, 63.4, "2026-11-21 17:04:12.310 to 17:05:15.710 UTC (1 min 3 s)"),
        (0, 90_000, "2026-11-21 17:04:12.310 to 2026-11-22 18:04:12.310 UTC (1 d 1 h)"),
        (0, 0.25, "2026-11-21 17:04:12.310 to 17:04:12.560 UTC (0.2 s)"),
        (0, 0, "2026-11-21 17:04:12.310 UTC"),
    ],
)
def test_a_stretch_of_time_says_how_long_it_is(first: float, last: float, said: str) -> None:
    start = cases.START
    assert text.span(start + timedelta(seconds=first), start + timedelta(seconds=last)) == said


def test_each_severity_has_its_own_shape() -> None:
    assert len({text.severity_mark(level) for level in Level}) == len(Level)


def test_t1059_and_its_thirteen_sub_techniques_have_names() -> None:
    named = [text.technique_name(f"T1059.{number:03d}") for number in range(1, 14)]
    assert all(name.startswith("Command and Scripting Interpreter: ") for name in named)
    assert text.technique_name("T1059.011").endswith(": Lua")
    assert text.technique_name("T9999") == ""
    assert text.technique_page("T1059.011") == "https://attack.mitre.org/techniques/T1059/011/"
    assert text.technique_page("T1059.011/../../x") == ""


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://attack.mitre.org/techniques/T1059/011/", True),
        ("http://a.example:8080/x?y=z#frag", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("https://attack.mitre.org@evil.example/", False),
        ("https://evil.example/\"onmouseover='x", False),
        ("https://evil.example/<b>", False),
        ("https://аpple.example/", False),
        ("https://a.example/\u202e", False),
        ("https://a.example/\n", False),
        (" https://a.example/", False),
        ("", False),
    ],
)
def test_only_plain_web_addresses_may_become_links(url: str, is_link: bool) -> None:
    assert text.is_linkable(url) is is_link


def test_the_reason_says_who_did_what_under_whom_and_what_speaks_against_it() -> None:
    assert text.reason_sentence(cases.INTRUSION) == (
        "lua5.4 (process 8530) ran on web-01 as www-data, started by lua5.4 under sh under nginx, and matched the "
        "critical rule “Lua one-liner opens a socket and feeds it to a shell”; 4 other rules matched. "
        "Lowered by 10 points: known use: OpenResty or nginx with the Lua module."
    )


def test_the_reason_of_an_event_without_a_tree_takes_the_events_own_words() -> None:
    finding = replace(cases.FINDINGS[4], process=None)
    case = replace(
        cases.INTRUSION,
        findings=(finding, replace(finding, id="again")),
        tree=(),
        reasons=(Reason(48, "x"),),
    )
    assert text.reason_sentence(case) == (
        "lua5.4 ran on web-01 as www-data, and matched the medium rule “Lua interpreter connects to an address "
        "outside”; it matched once more."
    )


def test_the_reason_of_an_empty_case_is_no_guess() -> None:
    assert text.reason_sentence(cases.EMPTY) == "No rule's finding is kept with this case on an unknown host."


def test_a_tree_that_names_its_own_parent_as_its_child_ends() -> None:
    loop = tuple(replace(cases.TREE[8], key=key, parent=parent) for key, parent in (("p8530", "x"), ("x", "p8530")))
    assert "under" in text.reason_sentence(replace(cases.INTRUSION, tree=loop))
