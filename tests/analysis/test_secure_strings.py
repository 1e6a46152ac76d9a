"""SecureStrings: opened with a key in view, and said to be shut where there is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis import Limits, analyze, secure_strings
from perilune.analysis.budget import Budget
from perilune.model.analysis import LayerState
from tests.analysis.test_aes import encrypted

DPAPI = secure_strings.HINTS[1] + "0100000068e2" * 12
VECTOR = bytes(range(50, 66))


def sealed(text: str, key: bytes) -> str:
    """As `ConvertFrom-SecureString -Key` writes it."""
    hexed = encrypted(text.encode("utf-16-le"), key, VECTOR).hex()
    inner = f"2|{base64.b64encode(VECTOR).decode()}|{hexed}"
    return secure_strings.HEAD + base64.b64encode(inner.encode("utf-16-le")).decode()


def command(text: str, key: bytes, written: str) -> str:
    return (
        f"powershell -c \"$s='{sealed(text, key)}' | ConvertTo-SecureString {written};"
        '$m=[Runtime.InteropServices.Marshal];iex ($m::PtrToStringAuto($m::SecureStringToBSTR($s)))"'
    )


BASE64 = base64.b64encode(b"0123456789abcdef" * 2).decode()
KEYS = {
    "range": (bytes(range(1, 17)), "-Key (1..16)"),
    "falling range": (bytes(range(31, -1, -1)), "-Key (31..0)"),
    "numbers": (bytes(range(3, 75, 3)), "-Key (" + ",".join(str(n) for n in range(3, 75, 3)) + ")"),
    "hex numbers": (bytes(range(16, 32)), "-Key ([byte[]](" + ",".join(hex(n) for n in range(16, 32)) + "))"),
    "text": (b"0123456789abcdef", "-Key ([Text.Encoding]::UTF8.GetBytes('0123456789abcdef'))"),
    "base64": (b"0123456789abcdef" * 2, f"-Key ([Convert]::FromBase64String('{BASE64}'))"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_a_key_in_view_opens_it(name: str) -> None:
    key, written = KEYS[name]
    layers = analyze(command("Invoke-Thing -Url http://203.0.113.9/a", key, written)).layers
    opened = [one for one in layers if one.kind == "secure-string"]
    assert [one.text for one in opened] == ["Invoke-Thing -Url http://203.0.113.9/a"]
    assert f"AES-{8 * len(key)}" in opened[0].note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"$s = '{sealed('secret text here', bytes(16))}'", "no key is in view"),
        (command("secret text here", bytes(16), "-Key (1..16)"), "none of the keys in view opens it"),
        (f"powershell -c \"ConvertTo-SecureString '{DPAPI}'\"", "DPAPI"),
        (f"$s = '{secure_strings.HEAD}{'QUFB' * 10}'", "damaged"),
    ],
)
def test_what_stays_shut_is_said(text: str, said: str) -> None:
    shut = [one for one in analyze(text).layers if one.kind == "secure-string"]
    assert [one.state for one in shut] == [LayerState.FAILED]
    assert said in shut[0].note


def test_a_long_one_is_read_as_far_as_the_budget_goes() -> None:
    text = f"$s = '{sealed('a long text ' * 4000, bytes(range(1, 17)))}' | ConvertTo-SecureString -Key (1..16)"
    cut = next(one for one in analyze(text, language="powershell").layers if one.kind == "secure-string")
    assert cut.state is LayerState.PARTIAL
    assert cut.text.startswith("a long text a long text")
    assert analyze(text, language="powershell", limits=Limits(work=4_000_000)).cut


@settings(max_examples=200, deadline=None)
@given(tail=st.text(max_size=200), key=st.sampled_from(["(1..16)", "(0..999)", "'" + "x" * 24 + "'", "(300..331)", ""]))
def test_nothing_raises(tail: str, key: str) -> None:
    for head in secure_strings.HINTS:
        for one in secure_strings.find(f"{head}{'QUFB' * 10}{tail} {key}", Budget()):
            assert one.steps
