"""What the settings may say of a feed."""

from __future__ import annotations

import pytest

from perilune.errors import UsageError
from perilune.model.feeds import Feed, parse

URL = "https://taxii.example.net/api1/collections/1/"


def test_a_feed_is_read() -> None:
    assert parse("corp-1", {"url": URL, "timeout": 5, "token_env": "T"}) == Feed(
        "corp-1", URL, token_env="T", timeout=5
    )
    assert parse("here", {"url": "http://127.0.0.1:6100/c/"}).url.startswith("http:")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("a/b", {"url": URL}, "letters"),
        ("../x", {"url": URL}, "letters"),
        ("a", {}, "needs the url"),
        ("a", URL, "needs the url"),
        ("a", {"url": URL, "password": "x"}, "unknown key 'password'"),
        ("a", {"url": URL, "verify": False}, "unknown key 'verify'"),
        ("a", {"url": URL, "timeout": 0}, "timeout cannot be 0"),
        ("a", {"url": URL, "max_mb": True}, "max_mb cannot be True"),
        ("a", {"url": "http://taxii.example.net/c/"}, "over https"),
        ("a", {"url": "http://127.0.0.1.example.net/c/"}, "over https"),
        ("a", {"url": "file:///etc/passwd"}, "over https"),
        ("a", {"url": "https://soc:pw@taxii.example.net/c/"}, "does not belong"),
        ("a", {"url": URL, "username": "soc"}, "needs password_env"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(name: str, given: object, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(name, given)
    assert caught.value.where == f"feeds.{name}"
