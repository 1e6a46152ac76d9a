"""Finding encoded stretches in a text, and decoding them: base64, hex, number arrays, compression, XOR.

Nothing is taken for encoded because it looks so: a stretch counts when what it decodes to is a text, a compressed
stream or a known kind of file, or when the code around it says that it is encoded (`FromBase64String('…')`).
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from perilune.analysis import decoders
from perilune.analysis.budget import Budget
from perilune.model.analysis import LayerState

PASSES = 6  # regular expressions over the whole text, for the budget
MAX_FOUND = 60  # encoded stretches of one text
PREVIEW = 65_536  # bytes of a binary that are kept


@dataclass(frozen=True, slots=True)
class Step:
    """One decoding: what came out. A binary's text has one character for each byte."""

    kind: str
    text: str
    binary: bool = False
    state: LayerState = LayerState.WHOLE
    note: str = ""


@dataclass(slots=True)
class Found:
    """An encoded stretch and the decodings that follow on each other."""

    start: int
    end: int
    steps: list[Step] = field(default_factory=list)


_BASE64 = re.compile(r"=?[A-Za-z0-9+/_-]{16,}+(?:[ \t]*\r?\n[ \t]*[A-Za-z0-9+/]{4,}+)*+={0,2}")
_DECODES_BASE64 = re.compile(
    r"""(?ix)(?:frombase64string|b64decode|urlsafe_b64decode|decodebytes|decodestring|\batob|base64_decode|decode64|decode_base64
      |base64\.decode|mime\.unb64|ngx\.decode_base64|unb64|fromBase64|base64decode|_base64decode|buffer\.from|\bdec(?:ode)?(?:64|b64)?)
      \s*\(?\s*[$\w.:]{0,40}\(?\s*b?(?P<quote>['"])(?P<data>[A-Za-z0-9+/=_\s-]{4,})(?P=quote)"""
)
_HEX = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}){8,}+(?![0-9a-fA-F])")
_HEX_SPACED = re.compile(r"(?<![\w])[0-9a-fA-F]{2}(?:([ :,-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){6,}+(?![0-9a-fA-F])")
_HEX_ESCAPED = re.compile(r"(?:(?:\\x|\\\\x)[0-9a-fA-F]{2}){4,}+")
_OCTAL_ESCAPED = re.compile(r"(?:\\{1,2}0?[0-7]{3}){4,}+")
_DECODES_HEX = re.compile(r"(?i)(?:fromhex|unhexlify|hex2bin|fromhexstring|['\"]h\*['\"]\s*,|from_hex|hex_to_\w+|hex)\s*\(?\s*['\"]?(?P<data>(?:[0-9a-fA-F]{2}){2,}+)['\"]")  # fmt: skip
_NUMBERS = re.compile(r"(?<![\w.])(?:0[xX][0-9a-fA-F]{1,2}|\d{1,3})(?:\s{0,2}[,;:_|~ -]\s{0,2}(?:0[xX][0-9a-fA-F]{1,2}|\d{1,3})){7,}+(?![\w.])")  # fmt: skip
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,2}|\d{1,3}")
_BINARY = re.compile(r"(?<![\w])[01]{7,8}(?:[ ,_;-]?[01]{7,8}){5,}+(?![\w])")
_XOR = re.compile(r"(?i)bxor|\bxor\b|\bbit(?:32)?\.bxor|\^|~\s*0x")
_XOR_KEY = re.compile(r"(?i)(?:bxor|\bxor|\^)\s*[\(,]?\s*(?:\w+\s*,\s*)?(?P<number>0x[0-9a-f]{1,2}|\d{1,3})\b|\bkey\w*\s*(?::=|=|:)\s*(?:0x(?P<hex>[0-9a-f]{1,2})\b|(?P<decimal>\d{1,3})\b|b?['\"](?P<text>[^'\"\n]{1,64})['\"])|(?:bxor|\bxor|\^)\s*\(?\s*(?:ord\()?b?['\"](?P<literal>[^'\"\n]{1,64})['\"]")  # fmt: skip
_REVERSES = re.compile(r"(?i)revers|\brev\b|\[-1\s*\.\.|::-1|righttoleft")
_INFLATES = re.compile(r"(?i)deflate|inflate|decompress")


def find(text: str, budget: Budget, skip: Sequence[tuple[int, int]] = ()) -> list[Found]:
    """The encoded stretches of a text, from left to right; none overlaps another, or one of those to skip."""
    found: list[Found] = []
    taken = list(skip)
    hints = _Hints.of(text)
    for start, end, data, kind, sure in _candidates(text, hints):
        if any(start < b and a < end for a, b in taken):
            continue
        steps = _steps(kind, data, hints, budget, sure=sure)
        if not steps:
            continue
        found.append(Found(start, end, steps))
        taken.append((start, end))
        if len(found) >= MAX_FOUND:
            budget.say(f"more than {MAX_FOUND} encoded stretches in one text: the rest was not decoded")
            break
    return sorted(found, key=lambda one: one.start)


@dataclass(frozen=True, slots=True)
class _Hints:
    """What the code around says of how its data is encoded."""

    reversed: bool
    inflates: bool
    keys: tuple[bytes, ...]
    alphabet: str

    @classmethod
    def of(cls, text: str) -> _Hints:
        keys = _xor_keys(text) if _XOR.search(text) else ()
        return cls(_REVERSES.search(text) is not None, _INFLATES.search(text) is not None, keys, "")


def _xor_keys(text: str) -> tuple[bytes, ...]:
    keys: dict[bytes, None] = {}
    for match in _XOR_KEY.finditer(text):
        number = match.group("number") or match.group("decimal")
        word = match.group("text") or match.group("literal")
        if match.group("hex"):
            keys[bytes([int(match.group("hex"), 16)])] = None
        elif number and int(number, 0 if number[:2].lower() == "0x" else 10) < 256:
            keys[bytes([int(number, 0 if number[:2].lower() == "0x" else 10)])] = None
        elif word:
            keys[word.encode("utf-8", "replace")] = None
        if len(keys) >= 8:
            break
    return tuple(key for key in keys if key.strip(b"\0"))


Candidate = tuple[int, int, bytes, str, bool]


def _candidates(text: str, hints: _Hints) -> Iterator[Candidate]:
    """Stretches that may be encoded, with their bytes, the kind, and whether the code says so."""
    lower = text.lower()
    if "64" in lower or "atob" in lower or "buffer" in lower or "dec" in lower:
        yield from _called(text, _DECODES_BASE64, "base64")
    if "hex" in lower or "h*" in lower:
        yield from _called(text, _DECODES_HEX, "hex")
    alphabet = ""
    for match in _BASE64.finditer(text):
        whole = match.group()
        if 64 <= len(whole) <= 66 and len(set(whole[:64])) == 64 and whole[:64] != decoders.STANDARD:
            alphabet = whole[:64]
            continue
        yield from _base64(match.start(), match.end(), whole, hints, alphabet)
    yield from _hexes(text)
    yield from _arrays(text)


def _called(text: str, pattern: re.Pattern[str], kind: str) -> Iterator[Candidate]:
    for match in pattern.finditer(text):
        data = (
            decoders.base64_bytes(match.group("data")) if kind == "base64" else decoders.hex_bytes(match.group("data"))
        )
        if data:
            yield match.start("data"), match.end("data"), data, kind, True


_WORDLIKE = re.compile(r"[a-z0-9/_-]+|[A-Z0-9/_-]+|[a-z/_-]+\d*|[\d/_-]+")


def _base64(start: int, end: int, whole: str, hints: _Hints, alphabet: str) -> Iterator[Candidate]:
    if _WORDLIKE.fullmatch(whole[:400]) and len(whole) < 400:
        return  # a path or a name in one case: base64 of a text has both
    if (whole.startswith("=") and not whole.endswith("=")) or hints.reversed:
        backwards = decoders.base64_bytes(whole[::-1])
        if backwards and (decoders.looks_utf16(backwards) or _is_text(backwards) or decoders.unpack(backwards, 64)):
            yield start, end, backwards, "base64-reversed", False
            return
    if whole.startswith("="):
        start, whole = start + 1, whole[1:]
    data = decoders.base64_bytes(whole, alphabet)
    if data:
        yield start, end, data, "base64-alphabet" if alphabet else "base64", False


def _hexes(text: str) -> Iterator[Candidate]:
    for pattern in (_HEX, _HEX_SPACED):
        for match in pattern.finditer(text):
            data = decoders.hex_bytes(match.group())
            if data:
                yield match.start(), match.end(), data, "hex", False
    if "\\" in text:
        for match in _HEX_ESCAPED.finditer(text):
            data = decoders.hex_bytes(match.group())
            if data:
                yield match.start(), match.end(), data, "hex", False
        for match in _OCTAL_ESCAPED.finditer(text):
            codes = [int(n, 8) for n in re.findall(r"[0-7]{3}(?![0-7])", match.group())]
            if codes and max(codes) < 256:
                yield match.start(), match.end(), bytes(codes), "octal", False


def _arrays(text: str) -> Iterator[Candidate]:
    for match in _BINARY.finditer(text):
        groups = re.findall(r"[01]{8}|[01]{7}(?![01])", match.group())
        yield match.start(), match.end(), bytes(int(group, 2) for group in groups), "binary-digits", False
    for match in _NUMBERS.finditer(text):
        written = _NUMBER.findall(match.group())
        numbers = [int(n, 16) if n[:2] in ("0x", "0X") else int(n) for n in written]
        if max(numbers) < 256:
            yield match.start(), match.end(), bytes(numbers), "char-codes", False
        if all(n.isdigit() and set(n) <= set("01234567") for n in written) and max(int(n, 8) for n in written) < 256:
            yield match.start(), match.end(), bytes(int(n, 8) for n in written), "octal", False


def _steps(kind: str, data: bytes, hints: _Hints, budget: Budget, *, sure: bool) -> list[Step]:
    """The decodings of some bytes, or nothing where they make no sense and nobody said that they should."""
    room = budget.room()
    if room <= 0:
        budget.say("the budget of decoded bytes was used up")
        return []
    cut = len(data) > room
    data = data[:room]
    budget.bytes += len(data)
    text = _text_step(kind, data, sure=sure or kind == "base64-reversed")
    if text is not None:
        behind = _behind(data, hints, budget) if hints.keys else []
        return [_cut(text) if cut else text, *(step for step in behind if step.kind == "xor" and not step.binary)]
    more = _behind(data, hints, budget)
    if more:
        return [_binary_step(kind, data, ""), *more]
    words = decoders.magic(data)
    if words:
        return [_binary_step(kind, data, words)]
    if sure and len(data) >= 3:
        return [_binary_step(kind, data, "bytes that are no text")]
    return []


def _behind(data: bytes, hints: _Hints, budget: Budget) -> list[Step]:
    """What is in a compressed or XORed stream; compressed streams may hold another."""
    steps: list[Step] = []
    for _ in range(4):
        unpacked = decoders.unpack(
            data, min(budget.room(), budget.limits.bytes // 2), raw=hints.inflates or (not steps and len(data) > 24)
        )
        if unpacked is None or (unpacked.kind == "deflate" and not (hints.inflates or _is_text(unpacked.data))):
            break
        budget.bytes += len(unpacked.data)
        state = LayerState.WHOLE if unpacked.whole else LayerState.PARTIAL
        if not unpacked.whole:
            budget.say(f"{unpacked.kind}: {unpacked.note}")
        read = decoders.read(unpacked.data)
        if read is not None:
            return [*steps, Step(unpacked.kind, read.text, False, state, unpacked.note)]
        steps.append(_binary_step(unpacked.kind, unpacked.data, unpacked.note or decoders.magic(unpacked.data), state))
        data = unpacked.data
    for key in hints.keys:
        tried = decoders.xor(data, key)
        if _is_text(tried):
            read = decoders.read(tried)
            assert read is not None
            return [*steps, Step("xor", read.text, note=f"key {_shown(key)}")]
        if (words := decoders.magic(tried)) or decoders.unpack(tried, 64):
            more = _behind(tried, _Hints(False, hints.inflates, (), ""), budget) if not words else []
            return [*steps, _binary_step("xor", tried, words or f"key {_shown(key)}"), *more]
    return steps


def _shown(key: bytes) -> str:
    return f"0x{key[0]:02x}" if len(key) == 1 else repr(key.decode("latin-1"))


def _is_text(data: bytes) -> bool:
    read = decoders.read(data[:2000])
    return read is not None and read.encoding != "latin-1" and read.quality > 0.97 and len(read.text) >= 4


_FOREIGN = re.compile(r"[^\x00-\x7f]")


def _text_step(kind: str, data: bytes, *, sure: bool) -> Step | None:
    read = decoders.read(data)
    if read is None or read.encoding == "latin-1" or (not sure and read.quality < 0.97):
        return None
    if not sure:
        # Twelve bytes: by chance one stretch in 150,000 of that length is all printable.
        if len(data) < (8 if kind != "base64" else 12) and not read.encoding.startswith("utf-16"):
            return None
        if read.encoding.startswith("utf-16") and not _latin(read.text):
            return None
        if len(_FOREIGN.findall(read.text[:400])) > 0.3 * min(len(read.text), 400):
            return None
    return Step(kind, read.text, note=read.encoding if read.encoding != "utf-8" else "")


def _latin(text: str) -> bool:
    return sum(char < "\u0250" for char in text[:400]) >= 0.9 * min(len(text), 400)


def _binary_step(kind: str, data: bytes, note: str, state: LayerState = LayerState.WHOLE) -> Step:
    kept = data[:PREVIEW]
    if len(kept) < len(data):
        note = f"{note}; " * bool(note) + f"the first {PREVIEW:,} of {len(data):,} bytes"
        state = LayerState.PARTIAL
    return Step(kind, kept.decode("latin-1"), True, state, note or f"{len(data):,} bytes")


def _cut(step: Step) -> Step:
    return Step(step.kind, step.text, step.binary, LayerState.PARTIAL, "cut by the budget")


def decode_argument(text: str, budget: Budget) -> list[Step]:
    """The readings of an argument that is declared to be base64 of UTF-16, the best one first.

    Damaged base64 shifts what follows by a byte, so that UTF-16 makes of it letters of far scripts. Then the bytes
    without their zeros are a second reading, in which the undamaged part can be read whatever the shift.
    """
    clean = _UP_TO_FOREIGN.match(text)
    damaged = clean is not None and clean.end() < len(text.rstrip())
    data = decoders.base64_bytes(clean.group() if clean else text)
    if not data or (clean and clean.end() * 2 < len(text)):
        return [Step("base64", "", state=LayerState.FAILED, note="this is no base64")]
    if len(data) > budget.room():
        budget.say("the budget of decoded bytes was used up")
        data = data[: budget.room() & ~1]
    budget.bytes += len(data)
    first = _utf16(data)
    if damaged:
        first = replace(
            first, state=LayerState.PARTIAL, note=f"{first.note}; up to a character that base64 does not have"
        )
    if not _shifted(first.text):
        return [first]
    budget.bytes += len(data)
    again = data.replace(b"\0", b"").decode("utf-8", "replace")
    return [
        replace(first, state=LayerState.PARTIAL),
        Step("base64", again, state=LayerState.PARTIAL, note="bytes without zeros, because the UTF-16 is damaged"),
    ]


def _utf16(data: bytes) -> Step:
    read = decoders.read(data)
    if read is not None and read.encoding.startswith("utf-16"):
        return Step("base64", read.text, note=read.encoding)
    forced = data.decode("utf-16-le", "replace")
    if read is None or _latin(forced):
        whole = _latin(forced) and "\ufffd" not in forced and len(data) % 2 == 0
        return Step("base64", forced, state=LayerState.WHOLE if whole else LayerState.PARTIAL, note="utf-16-le")
    return Step("base64", read.text, state=LayerState.PARTIAL, note=f"{read.encoding}, where UTF-16 was to be")


_UP_TO_FOREIGN = re.compile(r"[A-Za-z0-9+/=_\s-]*")
_FAR = re.compile("[\ufffd\u0000-\u0008\u3000-\uffff]")


def _shifted(text: str) -> bool:
    return _FAR.search(text) is not None
