"""What a mapping's `prepare` does to a raw record before its fields are looked up.

Few products need one: where a record holds several, wraps its values, or splits a command line. Each takes the
record and gives records of kinds; a kind of "" is the mapping's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

Raw = dict[str, object]
Prepared = Iterator[tuple[str, Raw]]


def unwrap(record: Raw) -> Prepared:
    """Values in lists of one as the values themselves: Cortex XDR's alerts wrap almost every field."""
    yield "", {name: _single(value) for name, value in record.items()}


def _single(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


_PROCESS_PARTS = ("image_name", "image_path", "command_line", "os_pid", "image_sha256", "image_md5", "signature_status")


def cortex_alert(record: Raw) -> Prepared:
    """Each event of a Cortex XDR alert: the process that it is about, and the one that started it.

    Where the alert is not about a new process, its actor is the process and the causality actor the one before.
    """
    events = record.get("events")
    for one in events if isinstance(events, list) and events else [{}]:
        flat = {name: _single(value) for name, value in {**record, **_object(one)}.items() if name != "events"}
        action, actor, cause = (
            _process(flat, who) for who in ("action_process", "actor_process", "causality_actor_process")
        )
        process, parent = (action, actor) if any(action.values()) else (actor, cause)
        alert = {name: value for name, value in flat.items() if value is not None and "_process_" not in name}
        yield "", {**flat, "process": process, "parent": parent, "alert": alert}


def _process(flat: Raw, who: str) -> Raw:
    names = {part: f"{who}_{part}" for part in _PROCESS_PARTS}
    if who == "action_process":
        names["command_line"] = "action_process_image_command_line"
    return {part: flat.get(name) for part, name in names.items()}


# --- Tetragon


def tetragon(record: Raw) -> Prepared:
    """A command line for each process: it has the binary and the arguments apart."""
    for name in ("process_exec", "process_exit", "process_kprobe"):
        event = record.get(name)
        if isinstance(event, dict):
            both = {who: _with_command_line(event.get(who)) for who in ("process", "parent")}
            yield "", {**record, "event": {**event, **both}, "event_name": name, name: None}
            return


def _with_command_line(process: object) -> object:
    if not isinstance(process, dict):
        return process
    parts = [part for part in (process.get("binary"), process.get("arguments")) if isinstance(part, str) and part]
    return {**process, "command_line": " ".join(parts) or None}


# --- laurel and AUOMS: auditd's events in other words

_LAUREL_ID = re.compile(r"(\d{1,12})\.(\d{1,6}):(\d+)")
_RECORDS = frozenset({"SYSCALL", "EXECVE", "CWD", "PATH", "SOCKADDR", "PROCTITLE"})
_UNSET = 4294967295
_BESIDE = ("ID", "NODE", "CONTAINER_INFO", "PARENT_INFO")


def laurel(record: Raw) -> Prepared:
    """One audit event of laurel as the records that the audit reader gives of the same event."""
    micros = _laurel_time(record.get("ID"))
    call, node = _object(record.get("SYSCALL")), record.get("NODE")
    execve = _object(record.get("EXECVE"))
    if execve and call:
        yield "auditd:execve", _laurel_process(record, call, execve, micros)
    shared = {**_plain(call), **_plain(_object(record.get("CWD")))}
    for name, value in record.items():
        for one in value if isinstance(value, list) else [value]:
            if name not in _BESIDE and isinstance(one, dict):
                own = {**shared, **_plain(one), **_arguments(one)} if name in _RECORDS else _plain(one)
                yield "auditd:record", {"time": micros, "node": node, "type": name, "fields": {**own, "type": name}}


def _laurel_process(record: Raw, call: Raw, execve: Raw, micros: object) -> Raw:
    argv = _texts(execve.get("ARGV")) or str(execve.get("ARGV_STR") or "").split(" ")
    parent = _object(call.get("PPID")) or _object(record.get("PARENT_INFO"))
    parent_argv = _texts(parent.get("ARGV"))
    return {
        "time": micros,
        "node": record.get("NODE"),
        "exe": call.get("exe"),
        "comm": call.get("comm"),
        "pid": call.get("pid"),
        "ppid": call.get("ppid"),
        "ses": None if call.get("ses") == _UNSET else call.get("ses"),
        "user": call.get("UID") or call.get("uid"),
        "argv": argv,
        "command_line": " ".join(argv),
        "cwd": _object(record.get("CWD")).get("cwd"),
        "parent": {
            "exe": parent.get("exe"),
            "ppid": parent.get("ppid"),
            "command_line": " ".join(parent_argv) or None,
        },
        "more": {"key": call.get("key")} if call.get("key") else None,
    }


def _laurel_time(value: object) -> int | None:
    found = _LAUREL_ID.match(value) if isinstance(value, str) else None
    return int(found[1]) * 1_000_000 + int(found[2].ljust(6, "0")) if found else None


def _object(value: object) -> Raw:
    return value if type(value) is dict else {}


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _plain(record: Raw) -> Raw:
    return {name: value for name, value in record.items() if not isinstance(value, dict | list)}


def _arguments(record: Raw) -> Raw:
    return {f"a{number}": value for number, value in enumerate(_texts(record.get("ARGV")))}


_AUOMS = re.compile(
    r"type=(?P<type>AUOMS_\w+)\s+(?:msg=)?audit\((?P<time>\d+\.\d+):(?P<serial>\d+)\):\s*(?P<rest>.*)", re.DOTALL
)
_AUOMS_COMMAND = re.compile(r'\bcmdline=(?:"(?P<quoted>.*)"|(?P<bare>.*?))\s+redactors=', re.DOTALL)
_AUOMS_FIELD = re.compile(r'(?:^|\s)(\w+)=("[^"]*"|\S*)')


def auoms(message: str) -> Raw | None:
    """The fields of one line of AUOMS, the audit plugin of the Log Analytics agent; None when it is none.

    Its `cmdline` is the arguments put together between quotes that it does not escape: it ends where the next
    field, `redactors`, begins.
    """
    found = _AUOMS.search(message)
    if found is None:
        return None
    rest = found["rest"]
    command = _AUOMS_COMMAND.search(rest)
    line = None
    if command is not None:
        line = command["quoted"] if command["quoted"] is not None else command["bare"]
        rest = rest[: command.start()] + rest[command.end() :]
    fields: Raw = {name: value.strip('"') or None for name, value in _AUOMS_FIELD.findall(rest)}
    return {**fields, "type": found["type"], "audit_time": found["time"], "serial": found["serial"], "cmdline": line}


PREPARE: Mapping[str, Callable[[Raw], Prepared]] = {
    "unwrap": unwrap,
    "cortex_alert": cortex_alert,
    "tetragon": tetragon,
    "laurel": laurel,
}
