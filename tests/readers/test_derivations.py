"""Texts made of texts, one by one and a column at once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.tables import TEXT
from perilune.readers.derivations import DERIVED, IN_ARROW, derived


@pytest.mark.parametrize(
    ("how", "raw", "expected"),
    [
        ("basename", r"C:\Windows\cmd.exe", "cmd.exe"),
        ("basename", "C:/Windows/cmd.exe", "cmd.exe"),
        ("basename", r"/srv/odd\name", r"odd\name"),
        ("basename", "/memfd:x (deleted)", "memfd:x"),
        ("basename", "C:\\folder\\", None),
        ("basename", "?", None),
        ("domain", r"NT AUTHORITY\SYSTEM", "NT AUTHORITY"),
        ("user", r"NT AUTHORITY\SYSTEM", "SYSTEM"),
        ("domain", "root", None),
        ("user", "root", "root"),
        ("sha256", "SHA1=AA,SHA256=BB,IMPHASH=CC", "bb"),
        ("md5", "SHA1=AA", None),
        ("md5", "Unknown", None),
        ("integrity", "S-1-16-12288", "High"),
        ("integrity", "System", "System"),
        ("elevation", "%%1937", "TokenElevationTypeFull"),
        ("guid", "{0a-b}", "0A-B"),
        ("value_name", r"HKLM\SOFTWARE\Run\x", "x"),
        ("platform", r"\\server\share\x.exe", "windows"),
        ("platform", "/usr/bin/lua", "linux"),
        ("platform", "/Users/anna/x", "macos"),
        ("platform", "lua.exe", None),
    ],
)
def test_derived_texts(how: str, raw: str, expected: str | None) -> None:
    assert derived([raw, None, raw], DERIVED[how]).to_pylist() == [expected, None, expected]


@pytest.mark.parametrize("how", IN_ARROW)
@given(texts=st.lists(st.none() | st.text("{}aßÀ-09fF", max_size=6) | st.text(max_size=4)))
def test_a_column_at_once_is_what_its_values_are(how: str, texts: list[str | None]) -> None:
    whole = IN_ARROW[how](pa.array(texts, TEXT))
    if whole is not None:
        assert whole.to_pylist() == derived(texts, DERIVED[how]).to_pylist()
