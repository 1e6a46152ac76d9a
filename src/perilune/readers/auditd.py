"""Linux audit logs: records of one serial joined to one event, execve arguments rebuilt exactly.

An `execve` gives one `auditd:execve` record with the whole argument vector and what is known of its parent.
Each of its records, and of every other event, is also an `auditd:record` under its own line number, with the
fields of the event's SYSCALL record beside its own, because that is what audit rules are written against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from perilune.ports import Count, Limits, Lost, Read
from perilune.readers.audit_events import Event, Fields, Record, Window
from perilune.readers.audit_fields import Arguments, Repeated, parse_address, parse_arguments, parse_fields
from perilune.readers.audit_processes import Process, Processes, parent_fields
from perilune.readers.gather import Gathered
from perilune.readers.syscalls import syscall_name
from perilune.readers.syslog_header import is_syslog
from perilune.readers.text import Lines, line_blocks

_RECOGNISED = re.compile(rb"(?:^|[\s\x00>])type=[A-Z_]+(?:\[\d+\])? msg=audit\(\d+\.\d+:\d+\):", re.MULTILINE)
_UNSET = "4294967295"

# What every record of an event may say, taken from its SYSCALL and CWD records
_CONTEXT = (
    "SYSCALL", "syscall", "success", "exit", "ppid", "pid", "auid", "uid", "gid", "euid", "tty", "ses",
    "comm", "exe", "key", "AUID", "UID", "GID", "EUID",
)  # fmt: skip
# Records that say nothing that a rule asks and no other record holds
_SILENT = frozenset({"CWD", "PROCTITLE", "EOE", "BPRM_FCAPS"})


class AuditdReader:
    """Raw and enriched `audit.log`, with or without `node=`. What was sent to syslog is read there."""

    name = "auditd"
    looks_for = "a Linux audit log (type=… msg=audit(…))"

    def recognises(self, head: bytes) -> bool:
        return _RECOGNISED.search(head[:16_384]) is not None and not is_syslog(head)

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered = Gathered()
        log = AuditLog(limits, gathered)
        for block in line_blocks(stream, limits):
            if isinstance(block, Lost):
                yield block
                continue
            for _ in log.add(block):
                if gathered.full:
                    yield from gathered.drain()
        log.finish()
        yield from gathered.drain()
        yield from log.counts()


class AuditLog:
    """Puts the rows of audit records where they belong, event by event."""

    def __init__(self, limits: Limits, gathered: Gathered) -> None:
        self._window = Window(limits)
        self._processes = Processes(limits)
        self._repeated = Repeated()
        self._gathered = gathered
        self._found = self._skipped = 0

    def add(self, block: Lines) -> Iterator[None]:
        """Takes lines in; stops after each event, so that its rows can be passed on."""
        for event in self._window.add(block):
            self._take(event)
            yield

    def add_sent(self, message: str, number: int, host: str | None) -> bool:
        """Takes a record out of a message that was sent to syslog; false where it holds none."""
        if not self._window.add_sent(message, number, host):
            return False
        for event in self._window.leave():
            self._take(event)
        return True

    def finish(self) -> None:
        for event in self._window.rest():
            self._take(event)

    def _take(self, event: Event) -> None:
        self._found += 1
        self._skipped += not _rows(event, self._processes, self._repeated, self._gathered)

    def counts(self) -> Iterator[Count | Lost]:
        yield from self._window.problems()
        yield from self._processes.problems()
        yield Count(self._found, {"event of records that say nothing by themselves": self._skipped})


# --- events to rows


def _rows(event: Event, processes: Processes, repeated: Repeated, gathered: Gathered) -> bool:
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


def _from_title(parsed: Iterable[tuple[Record, Fields]], context: Fields) -> Arguments | None:
    """The arguments of a successful execve that left no EXECVE record.

    PROCTITLE is the last resort: it is cut at 128 bytes, and may still be that of the image before.
    """
    if context.get("SYSCALL") not in ("execve", "execveat") or context.get("success") != "yes":
        return None
    titles = (parse_fields(record.body).get("proctitle") for record, _ in parsed if record.kind == "PROCTITLE")
    title = next((title for title in titles if isinstance(title, str)), None)
    return Arguments(tuple(title.split("\0")) if title else (), None, False)


def _context(parsed: Iterable[tuple[Record, Fields]]) -> Fields:
    found: Fields = {}
    for record, fields in parsed:
        if record.kind == "SYSCALL":
            if "SYSCALL" not in fields and (name := syscall_name(fields.get("arch"), fields.get("syscall"))):
                fields["SYSCALL"] = name
            found |= {name: fields[name] for name in _CONTEXT if name in fields}
        elif record.kind == "CWD" and "cwd" in fields:
            found["cwd"] = fields["cwd"]
    return found


def _size(event: Event) -> int:
    return sum(len(record.body) for record in event.records)


def _executed(parsed: Iterable[tuple[Record, Fields]]) -> str | None:
    """The file that was asked to be executed: a script where `exe` is its interpreter."""
    paths = (fields for record, fields in parsed if record.kind == "PATH" and fields.get("item") == "0")
    return next((_text(fields, "name") for fields in paths), None)


def _process_row(
    event: Event, context: Fields, arguments: Arguments, processes: Processes, executed: str | None
) -> Fields:
    pid, ppid = _text(context, "pid"), _text(context, "ppid")
    path = _text(context, "exe") or executed
    user = _text(context, "UID") or _text(context, "uid")
    parent = processes.find(event.node, ppid)
    if pid is None:
        processes.alone(event.records[0].number)
    process = Process(path, arguments.command_line, event.micros, ppid, user, _text(context, "cwd"))
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
        "parent": parent_fields(parent, processes, event.node),
        "more": _more(context, arguments),
    }


def _text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


_MORE: tuple[str, ...] = ("SYSCALL", "auid", "AUID", "euid", "EUID", "tty", "key")


def _more(context: Fields, arguments: Arguments) -> Fields:
    found = {name: context[name] for name in _MORE if name in context}
    return found if arguments.complete else found | {"truncated": True, "argc": arguments.declared}


_RULE_ARGUMENTS = 64  # how many a0, a1, … a rule may ask for; the process row has them all


def _record_rows(
    event: Event,
    parsed: Iterable[tuple[Record, Fields]],
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


def _connection(event: Event, record: Record, fields: Fields, context: Fields, gathered: Gathered) -> None:
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
