"""PowerShell's SecureStrings in a text: encrypted with a key that stands there too, or with one that does not.

`ConvertFrom-SecureString -Key` writes a fixed head, then base64 of `2|<vector>|<data in hex>` in UTF-16LE: AES-CBC.
Without a key it is a DPAPI blob, which only the user who made it can open, on his machine; that is said, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from perilune.analysis import aes, decoders
from perilune.analysis.budget import Budget
from perilune.analysis.edits import literals
from perilune.analysis.encodings import Found, Step
from perilune.model.analysis import LayerState

HEAD = "76492d1116743f0423413b16050a5345"
_SEALED = "01000000d08c9ddf0115d1118c7a00c04fc297eb"  # how every DPAPI blob begins
HINTS = (HEAD, _SEALED)
MOST = 65_536  # bytes that are decrypted, about a second
MAX_KEYS = 16  # tried on one string
MAX_STRINGS = 8

_KEYED = re.compile(HEAD + r"(?P<data>[A-Za-z0-9+/=]{24,})", re.IGNORECASE)
_DPAPI = re.compile(_SEALED + r"[0-9a-f]{40,}", re.IGNORECASE)
_RANGE = re.compile(r"\b(\d{1,3})\s*\.\.\s*(\d{1,3})\b")
_NUMBERS = re.compile(
    r"(?<![\w.])(?:0x[0-9a-f]{1,2}|\d{1,3})(?:\s*,\s*(?:0x[0-9a-f]{1,2}|\d{1,3})){15,31}(?![\w.])", re.I
)

_SHUT = Step(
    "secure-string", "", False, LayerState.FAILED,
    "encrypted for one user of one machine (DPAPI): its key is not in the text",
)  # fmt: skip


def find(text: str, budget: Budget, skip: Sequence[tuple[int, int]] = ()) -> list[Found]:
    """The encrypted strings of a text, with what is in them or why that cannot be said; none in a stretch to skip."""
    lower = text.lower()
    places = [
        one for head, pattern in ((HEAD, _KEYED), (_SEALED, _DPAPI)) if head in lower for one in pattern.finditer(text)
    ]
    places = [one for one in places if not any(one.start() < end and start < one.end() for start, end in skip)]
    places = list({one.group(): one for one in reversed(places)}.values())[::-1]  # a variable may have put one in twice
    if len(places) > MAX_STRINGS:
        budget.say(f"more than {MAX_STRINGS} encrypted strings in one text: the rest was not looked at")
    keys = list(islice(dict.fromkeys(_keys(text)), MAX_KEYS)) if any(one.re is _KEYED for one in places) else []
    return [
        Found(one.start(), one.end(), [_opened(one["data"], keys, budget) if one.re is _KEYED else _SHUT])
        for one in places[:MAX_STRINGS]
    ]


def _keys(text: str) -> Iterator[bytes]:
    """Whatever in the text has the size of a key: ranges, arrays of numbers, literals as text and as base64."""
    for match in _RANGE.finditer(text):
        first, last = int(match[1]), int(match[2])
        step = 1 if last >= first else -1
        if abs(last - first) + 1 in aes.SIZES and max(first, last) < 256:
            yield bytes(range(first, last + step, step)) if last + step >= 0 else bytes(range(first, -1, -1))
    for match in _NUMBERS.finditer(text):
        numbers = [int(one.strip(), 0 if "x" in one.lower() else 10) for one in match.group().split(",")]
        if len(numbers) in aes.SIZES and max(numbers) < 256:
            yield bytes(numbers)
    for literal in literals(text, doubled=True):
        value = literal.value
        if not 8 <= len(value) <= 64:
            continue
        for data in (
            value.encode("utf-8", "replace"),
            value.encode("utf-16-le", "replace"),
            decoders.base64_bytes(value),
        ):
            if data is not None and len(data) in aes.SIZES:
                yield data


def _opened(data: str, keys: list[bytes], budget: Budget) -> Step:
    inner = (decoders.base64_bytes(data) or b"").decode("utf-16-le", "replace").split("|")
    vector = decoders.base64_bytes(inner[1]) if len(inner) == 3 else None
    sealed = decoders.hex_bytes(inner[2]) if vector is not None else None
    if vector is None or not sealed or len(vector) != aes.BLOCK:
        return Step("secure-string", "", False, LayerState.FAILED, "damaged: not the three parts of such a string")
    if not keys:
        return Step("secure-string", "", False, LayerState.FAILED, "encrypted, and no key is in view")
    most = min(MOST, budget.room())
    for key in keys:
        if not budget.spend(400 * aes.BLOCK):  # a wrong key shows in its last block, or in no text coming out
            break
        if len(sealed) <= most and aes.unpadded(aes.decrypted(sealed[-16:], key, (vector + sealed)[-32:-16])) is None:
            continue
        step = _tried(sealed, key, vector, most, budget)
        if step is not None:
            return step
    return Step("secure-string", "", False, LayerState.FAILED, "encrypted, and none of the keys in view opens it")


def _tried(sealed: bytes, key: bytes, vector: bytes, most: int, budget: Budget) -> Step | None:
    part = sealed[:most]
    if not budget.spend(400 * len(part)):  # four hundred times slower than reading a character
        return None
    clear = aes.decrypted(part, key, vector)
    plain = clear if len(part) < len(sealed) else aes.unpadded(clear)
    read = decoders.read(plain) if plain else None
    if plain is None or read is None or read.encoding == "latin-1":
        return None
    budget.bytes += len(plain)
    note = f"AES-{len(key) * 8}, key {key.hex()}"
    if len(part) < len(sealed):
        return Step("secure-string", read.text, False, LayerState.PARTIAL, f"{note}; the first {len(part):,} bytes")
    return Step("secure-string", plain.decode("utf-16-le", "replace"), note=note)
