"""An event's row as OCSF's evidence: its processes, file, endpoint and script, and the whole row beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from perilune.model.findings import Finding
from perilune.report.inert import filled, fit
from perilune.report.observables import HASHES, What, clean

TEXT_MOST = 8_000  # characters of one text

Plain = dict[str, object]

_ALGORITHMS = {What.MD5: (1, "MD5"), What.SHA1: (2, "SHA-1"), What.SHA256: (3, "SHA-256")}
_SCRIPTS = {"cmd": 1, "powershell": 2, "python": 3, "javascript": 4, "vbscript": 5, "posix": 6}


def evidence(finding: Finding) -> Plain:
    """The event. What OCSF has a place for stands there too; the whole row is in `data`, so one is always there."""
    row = finding.row
    initiating = _process(row, "Initiating")
    process = _process(row, "") if finding.event.table in ("DeviceProcessEvents", "DeviceEvents") else None
    if process and initiating:
        process["parent_process"] = initiating
    return filled(
        data={
            "table": finding.event.table,
            "file": text(finding.event.source),
            "record": finding.event.record,
            "row": fit(row, TEXT_MOST),
            "tests": [
                {"field": text(one.field), "column": text(one.column), "test": text(one.test)}
                for one in finding.evidence[:100]
            ],
        },
        process=process,
        actor={"process": initiating} if initiating else None,
        file=_file(row, "") if finding.event.table == "DeviceFileEvents" else None,
        dst_endpoint=_endpoint(row),
        query={"hostname": text(row["XQueryName"])} if row.get("XQueryName") else None,
        script=_script(row),
    )


def _process(row: Mapping[str, object], prefix: str) -> Plain | None:
    """The process that an event started, or the one that did it; none where it has neither number nor identity."""
    whose = "InitiatingProcess" if prefix else "Process"
    number = row.get(f"{whose}Id")
    identity = row.get(f"{whose}UniqueId")
    if not (isinstance(number, int) and 0 <= number < 2**32) and not identity:
        return None
    side = "InitiatingProcess" if prefix else ""
    return filled(
        pid=number if isinstance(number, int) and 0 <= number < 2**32 else None,
        uid=text(identity),
        name=text(row.get(f"{side}FileName")),
        cmd_line=text(row.get(f"{whose}CommandLine")),
        path=text(row.get(f"{side}FolderPath")),
        file=_file(row, side),
        user=_user(row, side),
        created_time=stamp(row.get(f"{whose}CreationTime")),
    )


def _file(row: Mapping[str, object], side: str) -> Plain | None:
    name = row.get(f"{side}FileName") or str(row.get(f"{side}FolderPath") or "").replace("\\", "/").rsplit("/", 1)[-1]
    if not name:
        return None
    hashes = [(what, clean(what, str(row.get(f"{side}{what.upper()}") or ""))) for what in HASHES]
    return filled(
        name=text(name),
        type_id=1,
        path=text(row.get(f"{side}FolderPath")),
        hashes=[
            {"algorithm_id": _ALGORITHMS[what][0], "algorithm": _ALGORITHMS[what][1], "value": value}
            for what, value in hashes
            if value
        ],
    )


def _user(row: Mapping[str, object], side: str) -> Plain | None:
    name = row.get(f"{side}AccountName") or row.get("XInitiatingProcessUser" if side else "XUser")
    if not name:
        return None
    domain, sid = row.get(f"{side}AccountDomain"), row.get(f"{side}AccountSid")
    return filled(name=text(name), type_id=0, domain=text(domain), uid=text(sid))


def _endpoint(row: Mapping[str, object]) -> Plain | None:
    given = str(row.get("RemoteIP") or "").strip()
    address = clean(What.IPV4, given) or clean(What.IPV6, given)
    name = row.get("RemoteUrl")
    port = row.get("RemotePort")
    if not address and not name:
        return None
    known = port if isinstance(port, int) and 0 <= port < 65536 else None
    return filled(ip=address, hostname=text(name), port=known)


def _script(row: Mapping[str, object]) -> Plain | None:
    code = row.get("XScriptText")
    if not code:
        return None
    language = str(row.get("XScriptLanguage") or "")
    number = _SCRIPTS.get(language, 99 if language else 0)
    return filled(type_id=number, type=text(language), script_content={"value": text(code)})


def text(value: object) -> str:
    return str(fit(str(value or ""), TEXT_MOST))


def milliseconds(time: datetime | None) -> int | None:
    """Milliseconds since 1970; a time without a zone is taken as UTC, which logs without one mean most often."""
    if time is None:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def stamp(value: object) -> int | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return milliseconds(value) if isinstance(value, datetime) else None
