"""A feed of indicators that an installation chose to fetch: where it is and how to be let in. It holds no secret."""

from __future__ import annotations

from dataclasses import dataclass

from perilune.errors import UsageError

KEYS = ("url", "username", "password_env", "password_file", "token_env", "token_file", "ca", "timeout", "max_mb")


@dataclass(frozen=True, slots=True)
class Feed:
    """A TAXII 2.1 collection.

    name        of the feed, and of the list's file
    url         of the collection, up to its id
    username    for basic authentication, with the password in the environment or a file
    ca          a file of certificates to trust instead of the usual ones
    timeout     seconds that one answer may take
    max_mb      megabytes that are read in all
    """

    name: str
    url: str
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    token_env: str = ""
    token_file: str = ""
    ca: str = ""
    timeout: float = 30.0
    max_mb: int = 200


def parse(name: str, given: object) -> Feed:
    """A feed from its table of the settings file."""
    where = f"feeds.{name}"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError("a feed's name is of letters, digits, - and _", where=where)
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise UsageError("a feed needs the url of a collection", where=where)
    if unknown := sorted(set(given) - set(KEYS)):
        raise UsageError(f"unknown key {unknown[0]!r}", where=where, hint=f"known are: {', '.join(KEYS)}")
    for key, value in given.items():
        if not _fits(key, value):
            raise UsageError(f"{key} cannot be {value!r}", where=where)
    _checked_url(given["url"], where)
    if given.get("username") and not (given.get("password_env") or given.get("password_file")):
        raise UsageError("a username needs password_env or password_file", where=where)
    return Feed(name, **given)


def _fits(key: str, value: object) -> bool:
    if key == "timeout":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 600
    if key == "max_mb":
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 4_000
    return isinstance(value, str)


def _checked_url(url: str, where: str) -> None:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if "@" in host:
        raise UsageError("a password does not belong into a url", where=where, hint="use password_env or password_file")
    local = host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]") or host in ("127.0.0.1", "localhost")
    if scheme != "https" and not (scheme == "http" and local):
        raise UsageError("a feed is fetched over https", where=where)
