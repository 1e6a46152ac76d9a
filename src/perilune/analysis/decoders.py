"""Small functions from encoded to decoded. None of them raises on bad input: None says that it is no such thing."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Sequence
from itertools import cycle, islice
from typing import NamedTuple

_PRINTABLE = bytes([*range(32, 127), 9, 10, 13])
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=_-]+")
_TO_STANDARD = str.maketrans("-_", "+/")
STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Read(NamedTuple):
    """Bytes as a text, the encoding that made sense of them, and the share of characters that a text would have."""

    text: str
    encoding: str
    quality: float


class Unpacked(NamedTuple):
    """What a compressed stream holds. `whole` is false where it was cut or damaged."""

    kind: str
    data: bytes
    whole: bool
    note: str


def base64_bytes(text: str, alphabet: str = "") -> bytes | None:
    """Base64 with or without padding, of either alphabet, white space and noise between its characters allowed."""
    if alphabet:
        text = text.translate(str.maketrans(alphabet[:64], STANDARD))
    clean = _NOT_BASE64.sub("", text).translate(_TO_STANDARD).rstrip("=")
    clean = clean.replace("=", "")
    if (
        len(clean) % 4 == 1
    ):  # no base64 has that length: what is there without the last character is still worth reading
        clean = clean[:-1]
    try:
        return base64.b64decode(clean + "=" * (-len(clean) % 4))
    except (binascii.Error, ValueError):
        return None


def hex_bytes(text: str) -> bytes | None:
    digits = re.sub(r"0[xX]|\\x|[^0-9a-fA-F]", "", text)
    return binascii.unhexlify(digits[: len(digits) & ~1]) if len(digits) >= 2 else None


def numbers_text(numbers: Sequence[int]) -> str | None:
    """Character codes as text; None where one of them is no character."""
    if not numbers or any(not 0 < n < 0x110000 or 0xD800 <= n < 0xE000 for n in numbers):
        return None
    return "".join(map(chr, numbers))


def rot13(text: str) -> str:
    return codecs.decode(text, "rot13")


def xor(data: bytes, key: bytes) -> bytes:
    if not key:
        return data
    if len(key) == 1:
        return data.translate(bytes(n ^ key[0] for n in range(256)))
    return bytes(a ^ b for a, b in zip(data, islice(cycle(key), len(data)), strict=True))


def read(data: bytes) -> Read | None:
    """Bytes as text, or None where they are none: UTF-16 by its zeros or BOM, then UTF-8, then Latin-1 if nearly ASCII."""
    if not data:
        return None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or _is_utf16(data):
        order = "utf-16-be" if data[:2] == b"\xfe\xff" or _zeros(data, 0) > _zeros(data, 1) else "utf-16-le"
        text = data[: len(data) & ~1].decode(order, "replace").lstrip("\ufeff")
        if len(data) % 2 and order == "utf-16-le" and 32 <= data[-1] < 127:
            text += chr(data[-1])  # cut in the middle of its last character
        return _graded(text, order)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        share = 1 - len(data.translate(None, _PRINTABLE)) / len(data)
        return Read(data.decode("latin-1"), "latin-1", share) if share >= 0.85 else None
    return _graded(text, "utf-8")


def _graded(text: str, encoding: str) -> Read | None:
    if not text:
        return None
    odd = sum(not (char.isprintable() or char in "\t\r\n") for char in text[:4000])
    quality = 1 - odd / min(len(text), 4000)
    return Read(text, encoding, quality) if quality >= 0.85 else None


def _is_utf16(data: bytes) -> bool:
    """Whether every other byte of most pairs is zero, as in UTF-16 of Latin text."""
    pairs = len(data) // 2
    return pairs >= 2 and max(_zeros(data, 0), _zeros(data, 1)) >= 0.6 * pairs and min(
        _zeros(data, 0), _zeros(data, 1)
    ) <= 0.1 * pairs  # fmt: skip


def _zeros(data: bytes, offset: int) -> int:
    return data[offset : len(data) & ~1 : 2].count(0)


def looks_utf16(data: bytes) -> bool:
    return len(data) >= 4 and _is_utf16(data)


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "a Windows program (PE)"),
    (b"\x7fELF", "a Linux program (ELF)"),
    (b"\xcf\xfa\xed\xfe", "a macOS program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a Java class or macOS program"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an OLE document"),
    (b"\x1bLua", "Lua bytecode"),
    (b"\x1bLJ", "LuaJIT bytecode"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\xfc\xe8", "shellcode (the usual prologue)"),
    (b"\xfc\x48\x83\xe4", "shellcode (the usual prologue)"),
)


def magic(data: bytes) -> str:
    """What bytes that are no text are, by their first few."""
    return next((words for head, words in _MAGIC if data.startswith(head) and len(data) > 16), "")


def unpack(data: bytes, room: int, *, raw: bool = False) -> Unpacked | None:
    """What gzip, zlib, bzip2, xz or LZMA (`raw`: bare deflate) holds, at most `room` bytes of it."""
    if data[:2] == b"\x1f\x8b":
        return _inflate("gzip", data, 31, room)
    if data[:3] == b"BZh":
        return _stream("bzip2", bz2.BZ2Decompressor(), data, room)
    if data[:6] == b"\xfd7zXZ\x00":
        return _stream("xz", lzma.LZMADecompressor(memlimit=1 << 26), data, room)
    if len(data) > 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0:
        found = _inflate("zlib", data, 15, room)
        if found is not None and found.data:
            return found
    if data[:3] == b"\x5d\x00\x00":
        return _stream("lzma", lzma.LZMADecompressor(memlimit=1 << 26), data, room)
    return _inflate("deflate", data, -15, room) if raw else None


def _inflate(kind: str, data: bytes, window: int, room: int) -> Unpacked | None:
    stream = zlib.decompressobj(window)
    out = bytearray()
    note = ""
    try:
        # In steps, so that the good part of a damaged stream is kept.
        for at in range(0, len(data), 4096):
            out += stream.decompress(stream.unconsumed_tail + data[at : at + 4096], max(1, room - len(out)))
            if len(out) >= room:
                note = f"cut at {room:,} bytes: there is more"
                break
            if stream.eof:
                break
    except zlib.error as error:
        note = f"damaged: {error}"
    if not out:
        return None
    if not note and not stream.eof:
        out += stream.flush()[: max(0, room - len(out))]
        note = "the stream ends before its end mark"
    return Unpacked(kind, bytes(out), not note, note)


def _stream(kind: str, stream: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes, room: int) -> Unpacked | None:
    try:
        out = stream.decompress(data, max(1, room))
    except (OSError, EOFError, ValueError, lzma.LZMAError, MemoryError):
        return None
    if not out:
        return None
    note = "" if stream.eof else f"cut at {len(out):,} bytes: there is more or the stream is damaged"
    return Unpacked(kind, out, stream.eof, note)
