"""base64, gzip, hex, code points, replacements."""

from __future__ import annotations

import base64
import binascii
import zlib

from perilune.detection.kql.values import dumps, loads

MAX_INFLATED = 16 << 20


def _bytes(text: str) -> bytes | None:
    """What base64 stands for; without padding it is taken too, as attackers leave it out and Kusto does not mind."""
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def base64_text(text: str) -> str | None:
    found = _bytes(text)
    try:
        return found.decode("utf-8") if found is not None else None
    except UnicodeDecodeError:
        return None


def base64_bytes(text: str) -> str | None:
    found = _bytes(text)
    return dumps(list(found)) if found is not None else None


def gunzip(text: str) -> str | None:
    found = _bytes(text)
    if found is None:
        return None
    try:
        return zlib.decompressobj(31).decompress(found, MAX_INFLATED).decode("utf-8", "replace")
    except zlib.error:
        return None


def to_hex(value: int, width: int) -> str:
    return f"{value & 0xFFFFFFFFFFFFFFFF:0{max(0, min(width, 64))}x}"


def hex_long(text: str) -> int | None:
    value = int(text.strip(), 16)
    return value - (1 << 64) if value >= 1 << 63 else value


def codepoints(text: str) -> str:
    return dumps([ord(character) for character in text])


def from_codepoints(packed: str) -> str | None:
    codes: list[object] = []
    arguments = loads(packed)
    for argument in arguments if isinstance(arguments, list) else []:
        codes += argument if isinstance(argument, list) else [argument]
    return "".join(chr(one) for one in codes if isinstance(one, int) and _is_character(one))


def _is_character(code: int) -> bool:
    return 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000


def translate(search: str, replacement: str, text: str) -> str:
    """Beyond the replacement's end its last character is used."""
    if not replacement:
        return text
    padded = replacement.ljust(len(search), replacement[-1])
    return text.translate({ord(a): b for a, b in reversed(list(zip(search, padded, strict=False)))})


def replace_strings(text: str, old: str, new: str) -> str | None:
    lookups, replacements = loads(old), loads(new)
    if not isinstance(lookups, list) or not isinstance(replacements, list) or len(lookups) != len(replacements):
        return None
    for one, other in zip(lookups, replacements, strict=True):
        text = text.replace(str(one), str(other)) if one else text
    return text
