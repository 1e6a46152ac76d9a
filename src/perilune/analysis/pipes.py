"""Pipelines of which every stage is known, evaluated on their literal input: `echo aWQ= | base64 -d | sh`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perilune.analysis import decoders, posix
from perilune.analysis.interpreters import base_name, find
from perilune.analysis.words import Segment, Word

MAX_OUT = 1_000_000


def is_worth_trying(text: str) -> bool:
    """Whether a text has something that writes a literal, and somebody who gets it."""
    return "<<" in text or ("|" in text and any(word in text for word in ("echo", "printf", "cat")))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a pipeline gives: the bytes, the stages that made them, its extent, and who gets them."""

    data: bytes
    kinds: tuple[str, ...]
    start: int
    end: int
    language: str  # of the interpreter at its end, or ``


def evaluate(segments: Sequence[Segment]) -> list[Evaluated]:
    """The pipelines among the segments that begin with a literal and are decoded at least once."""
    found: list[Evaluated] = []
    at = 0
    while at < len(segments):
        stop = at + 1
        while stop < len(segments) and segments[stop].op in ("|", "|&"):
            stop += 1
        one = _pipeline(segments[at:stop])
        if one is not None:
            found.append(one)
        at = stop
    return found


def _pipeline(stages: Sequence[Segment]) -> Evaluated | None:
    first = stages[0]
    words = _words(first)
    data = _source(words, first)
    rest = stages[1:]
    row = find(words[0].text) if words else None
    if data is None and first.here is not None and words and (row is None or not row.language):
        data, rest = first.here.text.encode("utf-8", "replace"), stages
    if data is None:
        return None
    kinds: list[str] = []
    for stage in rest:
        words = _words(stage)
        if not words:
            return None
        row = find(words[0].text)
        if row is not None and row.language and row.name not in ("awk", "editor", "redis-cli", "r"):
            return _done(data, kinds, first, stage, row.language)
        step = _step(words)
        if step is None:
            return _done(data, kinds, first, None, "")
        kind, apply = step
        made = apply(data)
        if made is None or len(made) > MAX_OUT:
            return _done(data, kinds, first, None, "")
        data = made
        if kind:
            kinds.append(kind)
    return _done(data, kinds, first, rest[-1] if rest else None, "")


def _done(data: bytes, kinds: list[str], first: Segment, last: Segment | None, language: str) -> Evaluated | None:
    if not kinds and not language:
        return None
    end = (last or first).end
    if first.here is not None:
        end = max(end, first.here.end)
    return Evaluated(data, tuple(kinds) or ("pipeline",), first.start, end, language)


def _words(segment: Segment) -> list[Word]:
    """The words past assignments and wrappers that change nothing here."""
    words = segment.words
    while len(words) > 1 and re.match(r"[A-Za-z_]\w*=", words[0].text):
        words = words[1:]
    while len(words) > 1 and base_name(words[0].text) in (
        "sudo",
        "command",
        "exec",
        "nohup",
        "env",
        "busybox",
        "eval",
        "then",
        "do",
        "{",
    ):
        words = words[1:]
    return words


def _source(words: Sequence[Word], segment: Segment) -> bytes | None:
    """What `echo`, `printf` or `cat <<EOF` writes, if it is all literal."""
    if not words:
        return None
    name = base_name(words[0].text)
    if name == "cat" and segment.here is not None and len(words) == 1:
        return segment.here.text.encode("utf-8", "replace")
    if name not in ("echo", "printf") or any("$(" in w.text or "`" in w.text for w in words):
        return None
    texts = [word.text for word in words[1:]]
    if name == "printf":
        return _printf(texts)
    escapes = False
    while texts and re.fullmatch(r"-[neE]+", texts[0]):
        escapes = escapes or "e" in texts[0]
        texts = texts[1:]
    text = " ".join(texts)
    if not text:
        return None
    return _bytes(posix.unescape(text) if escapes else text)


def _printf(texts: list[str]) -> bytes | None:
    if texts and texts[0] == "--":
        texts = texts[1:]
    if not texts:
        return None
    form, values = posix.unescape(texts[0].replace("%%", "\0")), texts[1:]
    if "%" not in form:
        return _bytes(form.replace("\0", "%"))
    if not re.fullmatch(r"(?:[^%]|%[sb])*", form) or not values:
        return None
    out: list[str] = []
    for _ in range(len(values)):
        if not values:
            break
        out.append(re.sub(r"%([sb])", lambda m: _next_value(values, m.group(1)), form))
    return _bytes("".join(out).replace("\0", "%"))


def _next_value(values: list[str], how: str) -> str:
    value = values.pop(0) if values else ""
    return posix.unescape(value) if how == "b" else value


def _bytes(text: str) -> bytes:
    """A shell's text as bytes: what `\\x` escapes made is one byte each."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


Apply = Callable[[bytes], bytes | None]


def _step(words: Sequence[Word]) -> tuple[str, Apply] | None:
    """What one stage does to its input; the kind is `` where it passes it on."""
    name = base_name(words[0].text)
    options = [word.text for word in words[1:]]
    if name in ("base64", "gbase64", "base32", "b64decode"):
        return _base(name, options)
    if name == "openssl" and ("-d" in options) and ({"base64", "enc", "-base64", "-a"} & set(options)):
        return ("base64", _from_base64)
    if name == "xxd" and any(re.fullmatch(r"-[a-z]*r[a-z]*", o) for o in options):
        return ("hex", lambda data: decoders.hex_bytes(data.decode("latin-1")))
    if name in ("rev", "tac"):
        return ("reversal", _reversed if name == "rev" else _lines_reversed)
    if name in ("gunzip", "zcat", "gzcat", "bunzip2", "bzcat", "unxz", "xzcat", "zlib-flate") or (
        name in ("gzip", "bzip2", "xz", "pigz", "lzma") and any(re.match(r"-\w*d|--decompress", o) for o in options)
    ):
        return ("compressed", _unpacked)
    if name == "tr":
        return _translate(options)
    if name == "sed":
        return _sed(options)
    if name in ("cat", "tee", "head", "tail") and not any(not o.startswith("-") for o in options):
        return ("", lambda data: data)
    return None


def _base(name: str, options: Sequence[str]) -> tuple[str, Apply] | None:
    if not any(re.fullmatch(r"-[a-zA-Z]*[dD][a-zA-Z]*|--decode", o) for o in options) and name != "b64decode":
        return None
    if name == "base32":
        return ("base32", _from_base32)
    return ("base64", _from_base64)


def _from_base64(data: bytes) -> bytes | None:
    return decoders.base64_bytes(data.decode("latin-1"))


def _from_base32(data: bytes) -> bytes | None:
    try:
        clean = re.sub(rb"[^A-Z2-7]", b"", data.upper())
        return base64.b32decode(clean + b"=" * (-len(clean) % 8))
    except (binascii.Error, ValueError):
        return None


def _reversed(data: bytes) -> bytes:
    return b"\n".join(line[::-1] for line in data.split(b"\n"))


def _lines_reversed(data: bytes) -> bytes:
    return b"\n".join(reversed(data.split(b"\n")))


def _unpacked(data: bytes) -> bytes | None:
    found = decoders.unpack(data, MAX_OUT)
    return found.data if found else None


def _translate(options: Sequence[str]) -> tuple[str, Apply] | None:
    """`tr SET1 SET2` and `tr -d SET`."""
    flags = [o for o in options if re.fullmatch(r"-[a-z]+", o)]
    sets = [_expanded(o) for o in options if o not in flags]
    if flags == ["-d"] and len(sets) == 1:
        gone = sets[0].encode("latin-1", "ignore")
        return ("removed", lambda data: data.translate(None, gone))
    if flags or len(sets) != 2 or not sets[1]:
        return None
    old, new = sets[0], sets[1].ljust(len(sets[0]), sets[1][-1])[: len(sets[0])]
    table = bytearray(range(256))
    for a, b in zip(old, new, strict=True):
        if ord(a) < 256 and ord(b) < 256:
            table[ord(a)] = ord(b)
    pairs = {a + b for a, b in zip(old, new, strict=True)}
    if all(a.lower() == b.lower() or not a.isalnum() for a, b in zip(old, new, strict=True)):
        return ("", lambda data: data.translate(bytes(table)))  # another case, other blanks: nothing is hidden
    kind = "rot13" if pairs & {"AN", "an"} else "translated"
    return (kind, lambda data: data.translate(bytes(table)))


def _expanded(text: str) -> str:
    """A tr set with its ranges written out."""
    text = text.replace("[:upper:]", "A-Z").replace("[:lower:]", "a-z").replace("[:digit:]", "0-9")
    text = posix.unescape(text)
    if len(text) > 2 and text[0] == "[" and text[-1] == "]":
        text = text[1:-1]
    return re.sub(
        r"(.)-(.)",
        lambda m: "".join(map(chr, range(ord(m.group(1)), min(ord(m.group(2)), 0xFF) + 1))),
        text,
        flags=re.DOTALL,
    )


def _sed(options: Sequence[str]) -> tuple[str, Apply] | None:
    """`sed s/literal/literal/g`."""
    scripts = [o for o in options if not o.startswith("-")]
    found = (
        re.fullmatch(r"s(?P<d>[/|#,:@!])(?P<a>[^\\]*?)(?P=d)(?P<b>[^\\&]*?)(?P=d)g?", scripts[0])
        if len(scripts) == 1
        else None
    )
    if not found or not found.group("a") or re.search(r"[.*\[\]^$+?(){}]", found.group("a")):
        return None
    old, new = (_bytes(found.group(name)) for name in "ab")
    return ("replace", lambda data: data.replace(old, new) if len(data) * max(1, len(new)) < 4 * MAX_OUT else None)


def literal_output(segment: Segment) -> bytes | None:
    """What one `echo` or `printf` writes."""
    return _source(_words(segment), segment)
