"""An event's row as STIX 2.1 observables: processes, files, accounts, addresses, traffic, registry keys.

Ids of observables are UUIDv5 over what identifies them, written as the standard says (2.9, RFC 8785), so that every
tool gives the same address the same id. Of processes the standard wants version 4; theirs is such a number, drawn from
the event, so that it is the same in every export.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime

from perilune.model.findings import Finding
from perilune.report.inert import filled, fit, whole
from perilune.report.observables import HASHES, What, clean

Plain = dict[str, object]
Seen = tuple[Plain, ...]

_STANDARD = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # the standard's name space for observables
_HIVES = {"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER", "HKU": "HKEY_USERS", "HKCR": "HKEY_CLASSES_ROOT",
          "HKCC": "HKEY_CURRENT_CONFIG"}  # fmt: skip
_SHORT_HIVE = re.compile("HK(?:LM|CC|CR|CU|U)|hk(?:lm|cc|cr|cu|u)")  # what its schema refuses anywhere in a key
_OURS = uuid.UUID("6d0b5a52-9b0c-5e55-8a41-0b3b1b6a7d20")
_TEXT_MOST = 8_000
_NAMES = {What.MD5: "MD5", What.SHA1: "SHA-1", What.SHA256: "SHA-256"}
_HASH_ORDER = (What.MD5, What.SHA1, What.SHA256)  # which one identifies a file: the first that there is


def observe(finding: Finding) -> Seen:
    """The observables of a finding's event, each once; the log's own file where there is nothing else."""
    objects: dict[str, Plain] = {}
    for one in _of(finding):
        objects.setdefault(str(one["id"]), one)
    if not objects:
        log = _named("file", {"name": _text(finding.event.source.replace("\\", "/").rsplit("/", 1)[-1]) or "log"})
        objects[str(log["id"])] = log
    return tuple(objects.values())


def _of(finding: Finding) -> Iterator[Plain]:
    row = finding.row
    parent = yield from _process(finding, "InitiatingProcess", None)
    if finding.event.table in ("DeviceProcessEvents", "DeviceEvents"):
        yield from _process(finding, "Process", parent)
    else:
        yield from _image(row, "")
    if key := _registry_key(str(row.get("RegistryKey") or "")):
        yield _named("windows-registry-key", {"key": _text(key)})
    yield from _network(row)


def _process(finding: Finding, whose: str, parent: str | None) -> Generator[Plain, None, str | None]:
    """A process with its image and account; gives its id to the generator that asked."""
    row, side = finding.row, "InitiatingProcess" if whose == "InitiatingProcess" else ""
    number, command = row.get(f"{whose}Id"), row.get(f"{whose}CommandLine")
    files, account = _image(row, side), _account(row, side)
    if number is None and not command and not files:
        return None
    yield from (*files, *([account] if account else []))
    pid = number if isinstance(number, int) and number >= 0 else None
    identity = f"{finding.id}|{whose}|{pid}|{row.get(f'{whose}UniqueId') or ''}"
    known = filled(
        pid=pid,
        command_line=_text(command),
        created_time=_time(row.get(f"{whose}CreationTime")),
        image_ref=files[-1]["id"] if files else None,
        creator_user_ref=account["id"] if account else None,
        parent_ref=parent,
    )
    if not known:  # the standard wants at least one of them
        return None
    made = f"process--{uuid.UUID(bytes=uuid.uuid5(_OURS, whole(identity)).bytes, version=4)}"
    yield {"type": "process", "spec_version": "2.1", "id": made} | known
    return made


def _registry_key(key: str) -> str:
    """The key with its hive written out, as the standard wants it; nothing where a short form stands inside it."""
    hive, mark, rest = key.partition("\\")
    full = f"{_HIVES.get(hive.upper(), hive)}{mark}{rest}"
    return "" if _SHORT_HIVE.search(full) else full


def _image(row: Mapping[str, object], side: str) -> list[Plain]:
    """A file and the folder it is in; the file last, nothing where the row names none."""
    path = str(row.get(f"{side}FolderPath") or "").replace("\\", "/")
    name = str(row.get(f"{side}FileName") or path.rsplit("/", 1)[-1])
    hashes = {what: clean(what, str(row.get(f"{side}{what.upper()}") or "")) for what in HASHES}
    held = {_NAMES[what]: value for what, value in hashes.items() if value}
    if not name and not held:
        return []
    folder = str(row.get(f"{side}FolderPath") or "")[: -len(path.rsplit("/", 1)[-1]) - 1] if "/" in path else ""
    above = [_named("directory", {"path": _text(folder)})] if folder else []
    first = next((_NAMES[what] for what in _HASH_ORDER if hashes[what]), "")
    identity = filled(
        hashes={first: held[first]} if first else None,
        name=_text(name),
        parent_directory_ref=above[0]["id"] if above else None,
    )
    return [*above, _named("file", identity) | filled(hashes=held)]


def _account(row: Mapping[str, object], side: str) -> Plain | None:
    name = row.get(f"{side}AccountName") or row.get("XInitiatingProcessUser" if side else "XUser")
    sid = row.get(f"{side}AccountSid")
    if not name and not sid:
        return None
    return _named("user-account", filled(user_id=_text(sid), account_login=_text(name)))


def _network(row: Mapping[str, object]) -> Iterator[Plain]:
    ends: dict[str, str] = {}
    for column, end in (("RemoteIP", "dst"), ("LocalIP", "src")):
        given = str(row.get(column) or "").strip()
        for what, kind in ((What.IPV4, "ipv4-addr"), (What.IPV6, "ipv6-addr")):
            if address := clean(what, given):
                one = _named(kind, {"value": address})
                ends[end] = str(one["id"])
                yield one
    for column in ("RemoteUrl", "XQueryName"):
        given = str(row.get(column) or "").strip()
        if name := clean(What.DOMAIN, given):
            yield _named("domain-name", {"value": name})
        elif url := clean(What.URL, given):
            yield _named("url", {"value": url})
    if "dst" in ends:
        yield _named(
            "network-traffic",
            filled(
                src_ref=ends.get("src"),
                dst_ref=ends["dst"],
                src_port=_port(row.get("LocalPort")),
                dst_port=_port(row.get("RemotePort")),
                protocols=[_protocol(row.get("Protocol"))],
            ),
        )


def _protocol(given: object) -> str:
    name = str(given or "").lower()
    return name if name in ("tcp", "udp", "icmp", "icmp6", "sctp") else "ip"


def _port(given: object) -> int | None:
    return given if isinstance(given, int) and 0 <= given < 65536 else None


def _named(kind: str, identity: Plain) -> Plain:
    """An observable that these attributes identify."""
    text = json.dumps(identity, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid.uuid5(_STANDARD, text)}"} | identity


def _text(value: object) -> str:
    return str(fit(str(value or ""), _TEXT_MOST))


def _time(value: object) -> str | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return stamp(value) if isinstance(value, datetime) else None


def stamp(time: datetime) -> str:
    """`2026-11-21T17:04:12.310Z`; a time without a zone is taken as UTC."""
    utc = time.astimezone(UTC) if time.tzinfo else time
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
