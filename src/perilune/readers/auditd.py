"""Linux audit logs: records of one serial joined to one event, execve arguments rebuilt exactly.

An `execve` gives one `auditd:execve` record with the whole argument vector and what is known of its parent.
Each of its records, and of every other event, is also an `auditd:record` under its own line number, with the
fields of the event's SYSCALL record beside its own, because that is what audit rules are written against.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import BinaryIO, NamedTuple

from perilune.model.sources import Problem
from perilune.ports import Count, Limits, Lost, Read
from perilune.readers.derivations import basename
from perilune.readers.gather import Gathered
from perilune.readers.syscalls import syscall_name
from perilune.readers.text import Lines, line_blocks

_HEADER = re.compile(r"(?:node=(\S+) )?type=(\S+) msg=audit\((\d{1,12})\.(\d{1,9}):(\d{1,20})\): ?")
_RECOGNISED = re.compile(rb"(?:^|[\s\x00>])type=[A-Z_]+(?:\[\d+\])? msg=audit\(\d+\.\d+:\d+\):", re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z_][\w.-]*)=(?:\"([^\"]*)\"|([^\s\x1d]*))")
_ARGUMENT = re.compile(r"\ba(\d{1,9})(?:\[(\d{1,6})\]|(_len))?=(\"[^\"]*\"|\S*)")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")

# Fields that the kernel writes as hexadecimal when they hold a space, a quote or anything not printable
_ESCAPED = frozenset(
    ("name", "exe", "comm", "cwd", "proctitle", "acct", "key", "cmd", "path", "file", "dir", "watch", "data")
)  # fmt: skip
_NOTHING = frozenset({"(null)", "?", ""})
_UNSET = "4294967295"

# What every record of an event may say, taken from its SYSCALL and CWD records
_CONTEXT = (
    "SYSCALL", "syscall", "success", "exit", "ppid", "pid", "auid", "uid", "gid", "euid", "tty", "ses",
    "comm", "exe", "key", "AUID", "UID", "GID", "EUID",
)  # fmt: skip
# Records that say nothing that a rule asks and no other record holds
_SILENT = frozenset({"CWD", "PROCTITLE", "EOE", "BPRM_FCAPS"})
_UNPARSED = frozenset({"EXECVE", "PROCTITLE", "EOE", "BPRM_FCAPS"})  # not needed, or parsed in another way

Fields = dict[str, object]
Key = tuple[str | None, str, str, str]


class _Record(NamedTuple):  # made for every line: a frozen dataclass takes three times as long
    """One line: its type, its number in the file and what follows the header."""

    kind: str
    number: int
    body: str


class _Event(NamedTuple):
    """All records of one serial."""

    node: str | None
    micros: int
    records: tuple[_Record, ...]


class AuditdReader:
    """Raw and enriched `audit.log`, with or without `node=`, also behind a syslog prefix."""

    name = "auditd"
    looks_for = "a Linux audit log (type=… msg=audit(…))"

    def recognises(self, head: bytes) -> bool:
        return _RECOGNISED.search(head[:16_384]) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        window, processes, repeated, gathered = _Window(limits), _Processes(limits), _Repeated(), Gathered()
        events = skipped = 0
        for block in line_blocks(stream, limits):
            if isinstance(block, Lost):
                yield block
                continue
            for event in window.add(block):
                events += 1
                skipped += not _rows(event, processes, repeated, gathered)
                if gathered.full:
                    yield from gathered.drain()
        for event in window.rest():
            events += 1
            skipped += not _rows(event, processes, repeated, gathered)
        yield from gathered.drain()
        yield from window.problems()
        yield from processes.problems()
        yield Count(found=events, skipped={"event of records that say nothing by themselves": skipped})


# --- joining


_MOST_TYPES = 500
_REMEMBERED = 16_384  # events that have left the window, to tell a late record from a new event


class _Window:
    """Joins records of one serial while no more than so many other events have come since."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[Key, list[_Record]] = OrderedDict()
        self._done: OrderedDict[Key, None] = OrderedDict()
        self._key: Key = (None, "", "", "")
        self._stamp = ""
        self._types: set[str] = set()
        self._bytes = 0
        self._late = 0
        self._overfull = 0
        self._alien = 0
        self._where: dict[str, str] = {}

    def add(self, block: Lines) -> Iterator[_Event]:
        """Takes lines in, and gives the events that have left the window."""
        for number, line in enumerate(block.data.decode("utf-8", "backslashreplace").split("\n"), block.first):
            head, mark, body = line.partition("):")
            kind, _, stamp = head.partition(" msg=audit(")
            if mark and stamp == self._stamp and kind in self._types:  # as most lines: of the same event as the last
                self._put(self._key, _Record(kind[5:], number, body.removeprefix(" ").rstrip("\r")))
            else:
                self._look(line.rstrip("\r"), number)
            while len(self._waiting) > self._limits.max_join_window or self._bytes > self._limits.max_join_bytes:
                yield self._leave()

    def _look(self, line: str, number: int) -> None:
        """Takes one line whatever it is, and keeps what tells the others of its event."""
        header = _HEADER.match(line) or _HEADER.search(line[:1024])
        if header is None:
            self._no_record(line, number)
            return
        node, kind, seconds, fraction, serial = header.groups()
        self._key = (node, seconds, fraction, serial)
        if node is None and header.start() == 0:
            self._stamp = f"{seconds}.{fraction}:{serial}"
            if len(self._types) < _MOST_TYPES:
                self._types.add(f"type={kind}")
        else:
            self._stamp = ""
        self._put(self._key, _Record(kind, number, line[header.end() :]))

    def _put(self, key: Key, record: _Record) -> None:
        records = self._waiting.get(key)
        if records is None:
            if key in self._done:
                self._late += 1
                self._where.setdefault("late", f"line {record.number}")
            records = self._waiting[key] = []
        records.append(record)
        self._bytes += len(record.body)

    def _no_record(self, line: str, number: int) -> None:
        if line.strip() and not line.startswith("----"):  # ausearch rules its events off with these
            self._alien += 1
            self._where.setdefault("alien", f"line {number}")

    def _leave(self) -> _Event:
        """The event that has waited longest."""
        self._overfull += self._bytes > self._limits.max_join_bytes
        key, records = self._waiting.popitem(last=False)
        self._bytes -= sum(len(record.body) for record in records)
        self._done[key] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        node, seconds, fraction, _ = key
        micros = int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
        return _Event(node, micros, tuple(records))

    def rest(self) -> Iterator[_Event]:
        while self._waiting:
            yield self._leave()

    def problems(self) -> Iterator[Lost]:
        if self._alien:
            yield Lost(Problem("line that is no audit record", self._alien, self._where["alien"]))
        if self._late:
            what = "record too far from the others of its event to be joined to them"
            yield Lost(Problem(what, self._late, self._where["late"]))
        if self._overfull:
            yield Lost(Problem("event let go early: too many bytes waited to be joined", self._overfull))


# --- one record


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


class _Repeated:
    """The fields of records that say the same again and again: the files of each program start."""

    def __init__(self) -> None:
        self._known: dict[str, Fields] = {}

    def parse(self, record: _Record) -> Fields:
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


# --- processes


class _Process(NamedTuple):
    """The last program that a process id started, as far as the log told."""

    path: str | None
    command_line: str | None
    micros: int
    parent: str | None
    user: str | None
    directory: str | None


class _Processes:
    """Who runs under which process id; the oldest are forgotten. A fork without an exec is not known."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_processes
        self._known: OrderedDict[tuple[str | None, str], _Process] = OrderedDict()
        self._cut = 0
        self._alone = 0
        self._where: dict[str, str] = {}

    def start(self, node: str | None, pid: str | None, process: _Process) -> None:
        if pid is None:
            return
        self._known[(node, pid)] = process
        self._known.move_to_end((node, pid))
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def find(self, node: str | None, pid: str | None) -> _Process | None:
        return self._known.get((node, pid)) if pid is not None else None

    def cut(self, number: int) -> None:
        self._cut += 1
        self._where.setdefault("cut", f"line {number}")

    def alone(self, number: int) -> None:
        self._alone += 1
        self._where.setdefault("alone", f"line {number}")

    def problems(self) -> Iterator[Lost]:
        if self._cut:
            yield Lost(Problem("execve whose arguments are truncated in the log", self._cut, self._where["cut"]))
        if self._alone:
            yield Lost(Problem("execve without its SYSCALL record", self._alone, self._where["alone"]))


# --- events to rows


def _rows(event: _Event, processes: _Processes, repeated: _Repeated, gathered: Gathered) -> bool:
    """Puts the event's rows where they belong; false when it has none."""
    parsed = [(record, repeated.parse(record)) for record in event.records]
    context = _context(parsed)
    execve = [record for record in event.records if record.kind == "EXECVE"]
    arguments = parse_arguments(record.body for record in execve) if execve else _from_title(parsed, context)
    started = arguments is not None and context.get("success") != "no"
    if arguments is not None and started:
        row = _process_row(event, context, arguments, processes, _executed(parsed))
        gathered.add("auditd:execve", row, event.records[0].number, _size(event))
        if not arguments.complete:
            processes.cut(event.records[0].number)
    return _record_rows(event, parsed, context, arguments, gathered) or started


def _from_title(parsed: Iterable[tuple[_Record, Fields]], context: Fields) -> Arguments | None:
    """The arguments of a successful execve that left no EXECVE record.

    PROCTITLE is the last resort: it is cut at 128 bytes, and may still be that of the image before.
    """
    if context.get("SYSCALL") not in ("execve", "execveat") or context.get("success") != "yes":
        return None
    titles = (parse_fields(record.body).get("proctitle") for record, _ in parsed if record.kind == "PROCTITLE")
    title = next((title for title in titles if isinstance(title, str)), None)
    return Arguments(tuple(title.split("\0")) if title else (), None, False)


def _context(parsed: Iterable[tuple[_Record, Fields]]) -> Fields:
    found: Fields = {}
    for record, fields in parsed:
        if record.kind == "SYSCALL":
            if "SYSCALL" not in fields and (name := syscall_name(fields.get("arch"), fields.get("syscall"))):
                fields["SYSCALL"] = name
            found |= {name: fields[name] for name in _CONTEXT if name in fields}
        elif record.kind == "CWD" and "cwd" in fields:
            found["cwd"] = fields["cwd"]
    return found


def _size(event: _Event) -> int:
    return sum(len(record.body) for record in event.records)


def _executed(parsed: Iterable[tuple[_Record, Fields]]) -> str | None:
    """The file that was asked to be executed: a script where `exe` is its interpreter."""
    paths = (fields for record, fields in parsed if record.kind == "PATH" and fields.get("item") == "0")
    return next((_text(fields, "name") for fields in paths), None)


def _process_row(
    event: _Event, context: Fields, arguments: Arguments, processes: _Processes, executed: str | None
) -> Fields:
    pid, ppid = _text(context, "pid"), _text(context, "ppid")
    path = _text(context, "exe") or executed
    user = _text(context, "UID") or _text(context, "uid")
    parent = processes.find(event.node, ppid)
    if pid is None:
        processes.alone(event.records[0].number)
    process = _Process(path, arguments.command_line, event.micros, ppid, user, _text(context, "cwd"))
    processes.start(event.node, pid, process)
    return {
        "time": event.micros,
        "node": event.node,
        "pid": pid,
        "ppid": ppid,
        "exe": path,
        "comm": context.get("comm"),
        "cwd": context.get("cwd"),
        "argv": list(arguments.values),
        "command_line": arguments.command_line,
        "user": user,
        "ses": None if context.get("ses") == _UNSET else context.get("ses"),
        "parent": _parent(parent, processes, event.node),
        "more": _more(context, arguments),
    }


def _text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _parent(parent: _Process | None, processes: _Processes, node: str | None) -> Fields | None:
    if parent is None:
        return None
    grand = processes.find(node, parent.parent)
    return {
        "exe": parent.path,
        "command_line": parent.command_line,
        "time": parent.micros,
        "cwd": parent.directory,
        "user": parent.user,
        "ppid": parent.parent,
        "grand_exe": grand and grand.path,
        "grand_name": grand and grand.path and basename(grand.path),
        "grand_command_line": grand and grand.command_line,
        "grand_time": grand and grand.micros,
    }


_MORE: tuple[str, ...] = ("SYSCALL", "auid", "AUID", "euid", "EUID", "tty", "key")


def _more(context: Fields, arguments: Arguments) -> Fields:
    found = {name: context[name] for name in _MORE if name in context}
    return found if arguments.complete else found | {"truncated": True, "argc": arguments.declared}


_RULE_ARGUMENTS = 64  # how many a0, a1, … a rule may ask for; the process row has them all


def _record_rows(
    event: _Event,
    parsed: Iterable[tuple[_Record, Fields]],
    context: Fields,
    arguments: Arguments | None,
    gathered: Gathered,
) -> bool:
    """One row per record that says something, and one for a connection."""
    some = said_arguments = False
    for record, fields in parsed:
        if record.kind in _SILENT or (record.kind == "EXECVE" and said_arguments):
            continue
        if record.kind == "EXECVE" and arguments is not None:
            said_arguments = True
            fields = _argument_fields(arguments)
        elif record.kind == "SOCKADDR":
            fields |= parse_address(fields.get("saddr"))
            _connection(event, record, fields, context, gathered)
        said: Fields = {"type": record.kind, **context, **fields}
        row: Fields = {"time": event.micros, "node": event.node, "type": record.kind, "fields": said}
        gathered.add("auditd:record", row, record.number, len(record.body))
        some = True
    return some


def _argument_fields(arguments: Arguments) -> Fields:
    named: Fields = {f"a{n}": value for n, value in enumerate(arguments.values[:_RULE_ARGUMENTS]) if value is not None}
    return named | {"argc": arguments.declared}


_IN_PROGRESS = "-115"  # a non-blocking connect has only been asked for


def _connection(event: _Event, record: _Record, fields: Fields, context: Fields, gathered: Gathered) -> None:
    if context.get("SYSCALL") != "connect" or fields.get("family") not in ("inet", "inet6") or not fields.get("port"):
        return
    asked = "ConnectionRequest" if context.get("exit") == _IN_PROGRESS else "ConnectionFailed"
    row = {
        "time": event.micros,
        "node": event.node,
        "action": "ConnectionSuccess" if context.get("success") == "yes" else asked,
        "ip_type": "IPv4" if fields["family"] == "inet" else "IPv6",
        "user": context.get("UID") or context.get("uid"),
        **{name: fields[name] for name in ("addr", "port")},
        **{name: context.get(name) for name in ("pid", "ppid", "exe", "comm", "cwd", "key")},
    }
    gathered.add("auditd:connect", row, record.number, len(record.body))
