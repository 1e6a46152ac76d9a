"""Code packed in strings and tables of numbers, found by trying: for decoders that evaluation did not get through.

Only what decodes to text that reads as Lua, or to compiled Lua, is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from perilune.analysis.decoders import base64_bytes, hex_bytes
from perilune.analysis.lua.identify import ENOUGH, by_magic, of_source
from perilune.analysis.lua.lexer import Tokens
from perilune.model.lua import Literal

LEAST = 40
MOST = 400_000
MOST_FOUND = 12
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]{40,}={0,2}\Z")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}\s*){20,}\Z")
_DECIMAL = re.compile(r"(?:\\?\d{1,3}[\s,;.\\]+){20,}\d{1,3}[\s,;]*\Z")
_CODE = re.compile(rb"\b(local|function|require|return|end|os\.|io\.|print|load)\b")


@dataclass(frozen=True, slots=True)
class Packed:
    data: bytes
    start: int
    end: int
    how: str


def find(tokens: Tokens, literals: Sequence[Literal]) -> list[Packed]:
    """Everything that unpacks to code by a common way, each place once."""
    found: list[Packed] = []
    numbers = _small_numbers(tokens)
    for place in _places(tokens, literals):
        for how, data in _ways(place.data, place.how, numbers):
            if is_code(data):
                found.append(Packed(data, place.start, place.end, how))
                break
        if len(found) >= MOST_FOUND:
            break
    return found


def is_code(data: bytes) -> bool:
    if len(data) < LEAST // 2 or len(data) > MOST:
        return by_magic(data) is not None
    if by_magic(data) is not None:
        return True
    head = data[:4000]
    if not _may_be(head) or not _CODE.search(head):
        return False
    return of_source(data.decode("latin-1"))[0] >= ENOUGH - 0.5


def _places(tokens: Tokens, literals: Sequence[Literal]) -> Iterator[Packed]:
    for one in literals:
        if len(one.text) >= LEAST:
            yield Packed(one.text[:MOST].encode("latin-1", "replace"), one.start, one.end, "text")
    yield from _tables(tokens)


def _tables(tokens: Tokens) -> Iterator[Packed]:
    """Runs of numbers with commas between them, `{72, 101, …}`."""
    kinds, text = tokens.kinds, tokens.text
    run: list[int] = []
    start = end = 0
    for kind, a, b in zip(kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "number" and b - a <= 6:
            word = text[a:b]
            value = int(word, 16) if word[:2] in ("0x", "0X") and len(word) > 2 else int(word) if word.isdigit() else -1
            if 0 <= value < 256:
                start = start if run else a
                end = b
                run.append(value)
                continue
        elif (kind == "op" and text[a:b] in (",", ";")) or kind == "comment":
            continue
        if len(run) >= LEAST // 2:
            yield Packed(bytes(run[:MOST]), start, end, "numbers")
        run = []


def _ways(data: bytes, how: str, numbers: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    bodies = [(how, data)] if how == "numbers" else list(_texts(data))
    for name, body in bodies:
        if name != "text":
            yield name, body
        yield f"{name} reversed", body[::-1]
        yield from _xored(name, body, numbers)


def _texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    text = data.decode("latin-1")
    yield "text", data
    if _HEX.match(text) and (raw := hex_bytes(re.sub(r"\s", "", text))):
        yield "hex", raw
    if _BASE64.match(text):
        for candidate in (text, text[::-1].lstrip("=")):
            if raw := base64_bytes(re.sub(r"\s", "", candidate)):
                yield "base64", raw
    if _DECIMAL.match(text):
        values = [int(word) for word in re.findall(r"\d{1,3}", text)]
        if all(value < 256 for value in values):
            yield "decimal", bytes(values)


def _xored(name: str, body: bytes, numbers: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """One key byte, tried by the most frequent byte being a blank or `e`, and by the numbers of the text."""
    if len(body) < LEAST // 2:
        return
    common = max(set(body[:4000]), key=body[:4000].count)
    head = body[:200]
    tried = dict.fromkeys([common ^ 0x20, common ^ 0x65, common ^ 0x74, common, *numbers])
    for key in list(tried)[:40]:
        if key and _may_be(head.translate(_xor(key))):
            yield f"{name} xor {key:#04x}", body.translate(_xor(key))
    for key in list(tried)[:40]:
        shifted = (common - 0x20) & 0xFF if key == common ^ 0x20 else key
        if shifted and _may_be(head.translate(_minus(shifted))):
            yield f"{name} minus {shifted}", body.translate(_minus(shifted))


@cache
def _xor(key: int) -> bytes:
    return bytes(byte ^ key for byte in range(256))


@cache
def _minus(key: int) -> bytes:
    return bytes((byte - key) & 0xFF for byte in range(256))


_READABLE = bytes(range(32, 127)) + b"\t\r\n"


def _may_be(head: bytes) -> bool:
    """Text, or compiled Lua: asked of the beginning, before all is decoded."""
    return head[:2] == b"\x1bL" or len(head.translate(None, _READABLE)) <= len(head) // 20


def _small_numbers(tokens: Tokens) -> list[int]:
    """The rare numbers of the text: keys are among them."""
    counts: dict[str, int] = {}
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "number" and end - start <= 4:
            word = tokens.text[start:end]
            counts[word] = counts.get(word, 0) + 1
    found = []
    for word in sorted(counts, key=lambda w: counts[w])[:60]:
        try:
            value = int(word, 0) if not word.startswith("0") or word[:2] in ("0x", "0X") else int(word)
        except ValueError:
            continue
        if 0 < value < 256:
            found.append(value)
    return found
