"""Texts made of texts: what a mapping's `as` may say besides the plain types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow.compute

from perilune.readers.times import offset
from perilune.readers.values import Array, Values, each, text_array, text_of

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs

_INTEGRITY = {
    "S-1-16-0": "Untrusted",
    "S-1-16-4096": "Low",
    "S-1-16-8192": "Medium",
    "S-1-16-8448": "Medium",
    "S-1-16-12288": "High",
    "S-1-16-16384": "System",
    "S-1-16-20480": "Protected",
}
_ELEVATION = {
    "%%1936": "TokenElevationTypeDefault",
    "%%1937": "TokenElevationTypeFull",
    "%%1938": "TokenElevationTypeLimited",
}


def basename(text: str) -> str | None:
    """What follows the last separator; a path that begins with `/` has only that one."""
    if text in ("-", "?"):  # Sysmon's words for a path that it could not tell
        return None
    if text.startswith("/"):
        return text.rsplit("/", 1)[1].removesuffix(" (deleted)") or None
    return text[max(text.rfind("\\"), text.rfind("/")) + 1 :] or None


def domain(text: str) -> str | None:
    head, mark, _ = text.partition("\\")
    return head if mark else None


def user(text: str) -> str | None:
    return text.partition("\\")[2] or (None if "\\" in text else text or None)


def guid(text: str) -> str | None:
    return text.strip("{}").upper() or None


def value_name(text: str) -> str | None:
    """The last part of a registry path."""
    return text.rsplit("\\", 1)[-1] or None


def _hash(name: str) -> Callable[[str], str | None]:
    """Picks one hash out of `SHA1=…,MD5=…` as Sysmon writes it, in lower case as Defender does."""
    begin = name + "="

    def pick(text: str) -> str | None:
        if text[:1] == "[":
            return _listed_hash(name, text)
        for part in text.split(","):
            if part[: len(begin)].upper() == begin:
                return part[len(begin) :].strip().lower() or None
        return None

    return pick


def _listed_hash(name: str, text: str) -> str | None:
    """The same out of a list of objects with `algorithm` and `value`, as OCSF writes it."""
    for one in _list_in(text) or ():
        if type(one) is dict and str(one.get("algorithm")).upper().replace("-", "") == name:
            return str(one.get("value") or "").lower() or None
    return None


def _list_in(text: str) -> list[object] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None


def command(text: str) -> str | None:
    """A command line, also where the source has it as a list of arguments only."""
    parts = _list_in(text) if text[:1] == "[" else None
    return text if parts is None else " ".join(text_of(part) or "" for part in parts) or None


def listed(text: str) -> str | None:
    """The members of a list, with semicolons between them as Sysmon writes the answers to a query."""
    parts = _list_in(text) if text[:1] == "[" else None
    return text or None if parts is None else ";".join(text_of(part) or "" for part in parts) or None


_ADDRESS = re.compile(
    r"\[?((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]+(?:(?:\d{1,3}\.){3}\d{1,3})?)\]?(?::\d+)?\Z"
)


def address(text: str) -> str | None:
    """The IP address of a client that may be written with its port."""
    found = _ADDRESS.match(text)
    return found[1] if found else None


_MAC = ("/Applications/", "/Users/", "/System/", "/Library/", "/private/")


def platform(path: str) -> str | None:
    """The operating system that writes paths of this shape."""
    if path[1:3] == ":\\" or path.startswith(("\\", "%")):
        return "windows"
    if path.startswith("/"):
        return "macos" if path.startswith(_MAC) else "linux"
    return None


DERIVED: dict[str, Callable[[str], str | None]] = {
    "basename": basename,
    "domain": domain,
    "user": user,
    "guid": guid,
    "value_name": value_name,
    "md5": _hash("MD5"),
    "sha1": _hash("SHA1"),
    "sha256": _hash("SHA256"),
    "imphash": _hash("IMPHASH"),
    "integrity": lambda text: _INTEGRITY.get(text, text),
    "elevation": lambda text: _ELEVATION.get(text, text),
    "lower": str.lower,
    "platform": platform,
    "command": command,
    "offset": offset,
    "listed": listed,
    "address": address,
}


def _upper_guid(column: Array) -> Array | None:
    """The same as `guid` of a whole column; None where there is more than ASCII, which has capitals of its own."""
    if not pc.all(pc.string_is_ascii(column)).as_py():
        return None
    found: Any = pc.ascii_upper(pc.utf8_trim(column, "{}"))
    return pc.if_else(pc.equal(found, ""), None, found) if pc.any(pc.equal(found, "")).as_py() else found  # type: ignore[no-any-return]


IN_ARROW: dict[str, Callable[[Array], Array | None]] = {"guid": _upper_guid}


def derived(values: Values, derive: Callable[[str], str | None]) -> Array:
    """A text column made by a function of text."""

    def convert(value: object) -> object:
        text = text_of(value)
        return None if text is None else derive(text)

    return text_array(each(values, convert))
