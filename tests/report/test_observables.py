"""What becomes an indicator for others, and what never does."""

from __future__ import annotations

import pytest

from perilune.report.observables import What, clean, find_observables
from tests.build import case, finding


@pytest.mark.parametrize(
    ("what", "value", "wanted"),
    [
        (What.IPV4, "45.155.204.7", "45.155.204.7"),
        (What.IPV4, "045.1.1.1", ""),
        (What.IPV4, "45.155.204.7' OR '1'='1", ""),
        (What.IPV6, "2A00:1450::1", "2a00:1450::1"),
        (What.IPV6, "fe80::1%eth0", ""),
        (What.DOMAIN, "C2.Lua-Loader.dev.", "c2.lua-loader.dev"),
        (What.DOMAIN, "no dots", ""),
        (What.DOMAIN, "a.b\u202e.dev", ""),
        (What.URL, "http://c2.lua-loader.dev/a?b='c'", "http://c2.lua-loader.dev/a?b='c'"),
        (What.URL, "http://x.dev/a b", ""),
        (What.URL, "http://" + "x" * 5_000, ""),
        (What.SHA256, "AB" * 32, "ab" * 32),
        (What.SHA256, "ab" * 31, ""),
        (What.MD5, "zz" * 16, ""),
    ],
)
def test_a_value_is_plain_or_nothing(what: What, value: str, wanted: str) -> None:
    assert clean(what, value) == wanted


def test_only_what_leads_outside() -> None:
    rows = ["10.0.0.7", "127.0.0.1", "203.0.113.9", "45.155.204.7", "fd00::1"]
    found = find_observables(case(*(finding(f"f{n}", row={"RemoteIP": one}) for n, one in enumerate(rows))))
    assert [(one.value, one.findings) for one in found] == [("45.155.204.7", ("f3",))]


def test_the_same_value_is_named_once_with_all_its_findings() -> None:
    row = {"RemoteUrl": "c2.lua-loader.dev"}
    (one,) = find_observables(case(finding("a", row=row), finding("b", row=row)))
    assert (one.what, one.findings, one.decoded) == (What.DOMAIN, ("a", "b"), False)
