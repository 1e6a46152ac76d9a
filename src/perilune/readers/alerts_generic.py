"""Alerts as any JSON: fields by the names that products and teams give them, in whatever case, nested or dotted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from perilune.readers.alert_fields import Event, Raw, Told, filled, techniques_of, text_of

# What we look for, and the names that it goes by; the first that is filled counts.
_NAMES: Mapping[str, tuple[str, ...]] = {
    ours: tuple(names.split())
    for ours, names in {
        "title": "title name rule rule_name rule.name alert alert_name signature kibana.alert.rule.name message",
        "id": "id alert_id uid event.id _id kibana.alert.uuid",
        "severity": "severity level priority kibana.alert.severity event.severity",
        "time": "timestamp @timestamp time detected created event_time date kibana.alert.start",
        "host": "host hostname host.name host_name device device_name computer endpoint agent.name devicename",
        "user": "user username user.name user_name account accountname",
        "domain": "user.domain domain accountdomain",
        "command": "command_line commandline cmdline cmd_line command process.command_line processcommandline "
        "process.cmd_line",
        "image": "process image process.executable process.path process_path executable process_name process.name "
        "folderpath",
        "pid": "pid process_id process.pid processid",
        "parent": "parent_process parent_image process.parent.executable process.parent.name parent parent_name",
        "parent_command": "parent_command_line parent_cmdline process.parent.command_line parentcommandline",
        "parent_pid": "ppid parent_pid process.parent.pid",
        "sha256": "sha256 process.hash.sha256 hash.sha256 file.hash.sha256",
        "address": "remote_ip dest_ip destination.ip dst_ip remoteip destination_ip",
        "port": "remote_port dest_port destination.port dst_port remoteport",
        "url": "url url.full domain_name destination.domain",
        "script": "script script_text powershell.file.script_block_text script_block_text",
        "techniques": "techniques technique mitre mitre_techniques technique_id threat.technique.id tags attack",
        "description": "description summary reason kibana.alert.reason details",
        "product": "product vendor source observer.product event.module",
        "link": "link url_alert alert_url web_url",
    }.items()
}
_DEEPEST = 8


def is_alert(record: Raw) -> bool:
    found = _found(record)
    return bool(found.get("title") or found.get("command") or found.get("script"))


def tell(record: Raw, incident: Raw | None) -> Told:
    found = _found(record)
    product = text_of(found.get("product"))[:80] or "another product"
    return Told(
        product=product,
        id=text_of(found.get("id")),
        title=text_of(found.get("title")) or "alert without a title",
        severity=text_of(found.get("severity")),
        host=text_of(found.get("host")),
        description=text_of(found.get("description")),
        techniques=techniques_of(found.get("techniques"), found.get("title"), found.get("description")),
        incident=text_of((incident or {}).get("id")),
        link=text_of(found.get("link")),
        events=tuple(_events(found)),
    )


def _events(found: Raw) -> Iterator[Event]:
    command = text_of(found.get("command"))
    image = text_of(found.get("image")) or _first(command)
    base = {"Timestamp": found.get("time"), "DeviceName": text_of(found.get("host"))}
    account = {"AccountName": text_of(found.get("user")), "AccountDomain": text_of(found.get("domain"))}
    if command or image:
        parent = text_of(found.get("parent"))
        yield "defender:DeviceProcessEvents", filled({
            **base, **account, "ActionType": "ProcessCreated", "FileName": _name(image),
            "FolderPath": image, "ProcessCommandLine": command, "ProcessId": _number(found.get("pid")),
            "SHA256": text_of(found.get("sha256")), "InitiatingProcessFileName": _name(parent),
            "InitiatingProcessFolderPath": parent, "InitiatingProcessId": _number(found.get("parent_pid")),
            "InitiatingProcessCommandLine": text_of(found.get("parent_command")),
        })  # fmt: skip
    if script := text_of(found.get("script")):
        yield "script:logged", filled({"time": found.get("time"), "host": base["DeviceName"], "text": script})
    if found.get("address") or found.get("url"):
        yield "defender:DeviceNetworkEvents", filled({
            **base, "ActionType": "ConnectionFound", "RemoteIP": text_of(found.get("address")),
            "RemotePort": _number(found.get("port")), "RemoteUrl": text_of(found.get("url")),
            "InitiatingProcessFolderPath": image, "InitiatingProcessFileName": _name(image),
            "InitiatingProcessId": _number(found.get("pid")), "InitiatingProcessCommandLine": command,
        })  # fmt: skip


def _found(record: Raw) -> dict[str, object]:
    """What we look for, under our own names."""
    flat = {name.lower(): value for name, value in _flat(record, "", 0)}
    return {
        ours: value for ours, names in _NAMES.items() for value in [_of(flat, names)] if value not in (None, "", [], {})
    }


def _of(flat: Raw, names: tuple[str, ...]) -> object:
    return next((flat[name] for name in names if flat.get(name) not in (None, "", [], {})), None)


def _flat(record: Raw, above: str, depth: int) -> Iterator[tuple[str, object]]:
    """Every value by its dotted path; a list stays one."""
    for name, value in list(record.items())[:500]:
        path = f"{above}{name}"
        if isinstance(value, dict):
            if depth < _DEEPEST:
                yield from _flat(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _first(command: str) -> str:
    """The program at the beginning of a command line."""
    text = command.strip()
    if text.startswith(("'", '"')) and text[0] in text[1:]:
        return text[1 : text.index(text[0], 1)]
    return text.split(maxsplit=1)[0] if text else ""


def _number(value: object) -> object:
    text = text_of(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
