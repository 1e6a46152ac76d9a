"""What one record of a Linux audit log says: its fields, an argument vector, an address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from perilune.readers.audit_events import Fields, Record

_FIELD = re.compile(r"([A-Za-z_][\w.-]*)=(?:\"([^\"]*)\"|([^\s\x1d]*))")
_ARGUMENT = re.compile(r"\ba(\d{1,9})(?:\[(\d{1,6})\]|(_len))?=(\"[^\"]*\"|\S*)")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")

# Fields that the kernel writes as hexadecimal when they hold a space, a quote or anything not printable
_ESCAPED = frozenset(
    ("name", "exe", "comm", "cwd", "proctitle", "acct", "key", "cmd", "path", "file", "dir", "watch", "data")
)  # fmt: skip
_NOTHING = frozenset({"(null)", "?", ""})
_UNPARSED = frozenset({"EXECVE", "PROCTITLE", "EOE", "BPRM_FCAPS"})  # not needed, or parsed in another way


def parse_fields(body: str) -> Fields:
    """The fields of one record, decoded; those of a quoted `msg='…'` beside the others."""
    outer, mark, inner = body.partition("msg='")
    if not mark:
        return _fields(body)
    inner, _, enriched = inner.rpartition("'")
    return _without_brackets(_fields(inner)) | _fields(outer + " " + enriched)


def _fields(text: str) -> Fields:
    found: Fields = {}
    for name, quoted, bare in _FIELD.findall(text):
        value = quoted or bare
        if value in _NOTHING:
            continue
        if name in _ESCAPED and not quoted and _HEXADECIMAL.match(bare):
            value = _unhex(bare)
        found[name] = value
    return found


class Repeated:
    """The fields of records that say the same again and again: the files of each program start."""

    def __init__(self) -> None:
        self._known: dict[str, Fields] = {}

    def parse(self, record: Record) -> Fields:
        """The record's fields; those of a repeated kind are shared, so they must not be changed."""
        if record.kind in _UNPARSED:
            return {}
        if record.kind not in _REPEATED or len(record.body) > _SHORT:
            return parse_fields(record.body)
        found = self._known.get(record.body)
        if found is None:
            if len(self._known) >= _MOST_REPEATED:
                self._known.clear()
            found = self._known[record.body] = parse_fields(record.body)
        return found


_REPEATED = frozenset({"PATH", "CWD"})
_SHORT = 512
_MOST_REPEATED = 4096


def _without_brackets(fields: Fields) -> Fields:
    """As older systems write: `(hostname=h, addr=?, res=success)`."""
    found: Fields = {}
    for name, value in fields.items():
        text = value.rstrip(",)") if isinstance(value, str) and value[:1] != "(" and " " not in value else value
        if text not in _NOTHING:
            found[name] = text
    return found


def _unhex(text: str) -> str:
    """The text behind hexadecimal digits; bytes that are not UTF-8 stay visible as `\\xff`."""
    return bytes.fromhex(text).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Arguments:
    """An argument vector as its EXECVE records give it; None stands for an argument that they lack.

    declared  how many arguments the records say there are
    complete  whether all of them are here, to their last character
    """

    values: tuple[str | None, ...]
    declared: int | None
    complete: bool

    @property
    def command_line(self) -> str:
        return " ".join(value for value in self.values if value is not None)


def parse_arguments(bodies: Iterable[str]) -> Arguments:
    """The argument vector of one execve, from all its EXECVE records in any order.

    A value in quotes is literal; one without is hexadecimal. A long argument comes in pieces `a2[0]=…`, and
    `a2_len` says how many characters they must add up to.
    """
    bodies = list(bodies)
    simple = _parse_simple(bodies[0]) if len(bodies) == 1 else None
    if simple is not None:
        return simple
    pieces: dict[int, dict[int, str]] = {}
    lengths: dict[int, int] = {}
    declared: int | None = None
    for body in bodies:
        if declared is None and (count := re.search(r"\bargc=(\d{1,9})", body)):
            declared = int(count.group(1))
        for index, part, is_length, value in _ARGUMENT.findall(body):
            if is_length:
                if value.isdecimal() and len(value) < 12:
                    lengths[int(index)] = int(value)
            else:
                pieces.setdefault(int(index), {}).setdefault(int(part or 0), value)
    return _assemble(pieces, lengths, declared)


def _parse_simple(body: str) -> Arguments | None:
    """The vector of one record without pieces, which nearly all are; None when it is not of that kind."""
    words = body.split(" ")
    values = []
    for index, word in enumerate(words[1:]):
        name, mark, value = word.partition("=")
        if not mark or name != f"a{index}":
            return None
        literal = len(value) > 1 and value[0] == value[-1] == '"'
        values.append(value[1:-1] if literal else _unhex_or_same(value))
    complete = words[0] == f"argc={len(values)}"
    return Arguments(tuple(values), len(values), True) if complete else None


def _assemble(pieces: Mapping[int, Mapping[int, str]], lengths: Mapping[int, int], declared: int | None) -> Arguments:
    complete = True
    texts: dict[int, str] = {}
    for index, parts in pieces.items():
        ordered = [parts[n] for n in sorted(parts)]
        texts[index] = _argument(ordered)
        said = lengths.get(index)
        size = sum(len(part) - 2 * (part[:1] == '"') for part in ordered)
        complete &= sorted(parts) == list(range(len(parts))) and said in (None, size)
    size = max(texts, default=-1) + 1
    if size > 2 * len(texts) + 64:  # a forged index must not make a list of a billion
        values: tuple[str | None, ...] = tuple(texts[index] for index in sorted(texts))
        complete = False
    else:
        values = tuple(texts.get(index) for index in range(size))
        complete &= None not in values and declared in (None, size)
    return Arguments(values, declared, complete)


def _argument(parts: list[str]) -> str:
    """One argument from its pieces. Hexadecimal pieces are decoded together: a cut may fall within a character."""
    if all(_HEXADECIMAL.match(part) for part in parts):
        return _unhex("".join(parts))
    return "".join(part[1:-1] if part[:1] == '"' else _unhex_or_same(part) for part in parts)


def _unhex_or_same(text: str) -> str:
    return _unhex(text) if _HEXADECIMAL.match(text) else text


# --- addresses


def parse_address(saddr: object) -> Fields:
    """What a SOCKADDR's hexadecimal `saddr` says: family, and address and port or path."""
    if not isinstance(saddr, str) or not _HEXADECIMAL.match(saddr):
        return {}
    raw = bytes.fromhex(saddr[:512])
    family = int.from_bytes(raw[:2], "little")
    if family == 2 and len(raw) >= 8:
        return {"family": "inet", "addr": str(ip_address(raw[4:8])), "port": int.from_bytes(raw[2:4], "big")}
    if family == 10 and len(raw) >= 24:
        return {"family": "inet6", "addr": str(ip_address(raw[8:24])), "port": int.from_bytes(raw[2:4], "big")}
    if family == 1:
        return {"family": "unix", "path": _socket_path(raw[2:])}
    return {"family": str(family)}


def _socket_path(raw: bytes) -> str:
    """An abstract socket's name begins with a zero byte, which is written `@`."""
    abstract = raw[:1] == b"\0"
    name = (raw[1:] if abstract else raw).split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    return "@" + name if abstract else name
