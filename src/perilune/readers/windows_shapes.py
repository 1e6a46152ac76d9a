"""Windows events as collectors and SIEMs rearrange them, brought back to `{"System": …, "EventData": …}`.

winlogbeat (two generations), nxlog, Splunk (XML and fields), Sentinel's SecurityEvent, Event and WindowsEvent,
EvtxECmd. `looks_like` asks the names only, so that it is decided once per shape of record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import orjson

from perilune.readers.values import whole
from perilune.readers.windows import Raw, shape
from perilune.readers.windows_xml import parse_data, parse_event


def looks_like(names: Collection[str]) -> bool:
    """Whether a record with these names may be a Windows event in another shape."""
    return any(all(name in names for name in telling) for telling in _TELLING)


_TELLING = (
    ("winlog",),
    ("event_data", "event_id"),
    ("EventID", "SourceName", "Channel"),
    ("EventID", "SourceName", "Hostname"),
    ("EventID", "EventSourceName"),
    ("EventID", "EventLog", "Source"),
    ("EventID", "Provider", "EventData"),
    ("EventId", "Provider", "Payload"),
    ("SyslogMessage",),
    ("_raw",),
    ("EventCode", "LogName"),
    ("EventCode", "source"),
)


def event_of(record: Raw) -> Raw | None:
    """The event in the one shape, or None where the record is none."""
    for read in (
        _winlogbeat,
        _winlogbeat_6,
        _raw_text,
        _security_event,
        _event_table,
        _windows_event,
        _ecmd,
        _nxlog,
        _splunk,
    ):
        found = read(record)
        if found is not None:
            return shape(found)
    return None


def _made(
    provider: object, event_id: object, record: Mapping[str, object], names: Mapping[str, str], data: Raw
) -> Raw | None:
    """An event with this System; `names` says where each of its parts stands in the record."""
    number = whole(event_id)
    if not isinstance(provider, str) or not isinstance(number, int):
        return None
    part = {name: record.get(key) for name, key in names.items() if record.get(key) is not None}
    return {
        "System": {
            "Provider": {"#attributes": {"Name": provider}},
            "EventID": number,
            "Computer": part.get("Computer"),
            "Channel": part.get("Channel"),
            "Level": part.get("Level"),
            "Task": part.get("Task"),
            "Keywords": part.get("Keywords"),
            "TimeCreated": {"#attributes": {"SystemTime": part.get("Time")}},
            "Execution": {"#attributes": {"ProcessID": part.get("ProcessID")}},
            "Security": {"#attributes": {"UserID": part.get("UserID")}},
        },
        "EventData": data,
    }


def _winlogbeat(record: Raw) -> Raw | None:
    log = record.get("winlog")
    if not isinstance(log, dict):
        return None
    data = {**_as_object(log.get("user_data")), **_as_object(log.get("event_data"))}
    if data and all(name.startswith("param") for name in data):  # unnamed data, as the classic logs have it
        data = {"Data": "\n".join(str(value) for _, value in sorted(data.items())), **data}
    event = _as_object(record.get("event"))
    return _made(
        log.get("provider_name") or event.get("provider"),
        log.get("event_id") or event.get("code"),
        {
            **log,
            "time": log.get("time_created") or record.get("@timestamp"),
            "pid": _as_object(log.get("process")).get("pid"),
            "sid": _as_object(log.get("user")).get("identifier"),
            "computer": log.get("computer_name") or _as_object(record.get("host")).get("name"),
        },
        {"Computer": "computer", "Channel": "channel", "Time": "time", "ProcessID": "pid", "UserID": "sid",
         "Task": "task", "Keywords": "keywords"},
        data,
    )  # fmt: skip


def _winlogbeat_6(record: Raw) -> Raw | None:
    if not isinstance(record.get("event_data"), dict):
        return None
    return _made(
        record.get("source_name") or record.get("provider_name"),
        record.get("event_id"),
        {**record, "sid": _as_object(record.get("user")).get("identifier")},
        {"Computer": "computer_name", "Channel": "log_name", "Time": "@timestamp", "ProcessID": "process_id",
         "UserID": "sid", "Task": "task", "Level": "level"},
        _as_object(record.get("event_data")),
    )  # fmt: skip


# --- nxlog: the event's own fields stand beside those of the collector

_NXLOG_OWN = frozenset(
    "EventTime Hostname Keywords Severity SeverityValue EventID SourceName ProviderGuid Version Task TaskValue "
    "OpcodeValue Opcode RecordNumber ProcessID ThreadID ExecutionProcessID ExecutionThreadID Channel Domain "
    "AccountName UserID AccountType Message Category EventReceivedTime SourceModuleName SourceModuleType "
    "@timestamp @version ActivityID RelatedActivityID host port tags type message".split()
)
_EVENT_TYPES = frozenset({"INFO", "WARNING", "ERROR", "VERBOSE", "CRITICAL", "DEBUG", "AUDIT_SUCCESS", "AUDIT_FAILURE"})


def _nxlog(record: Raw) -> Raw | None:
    if "SourceName" not in record or "EventCode" in record:
        return None
    data = {
        name: value
        for name, value in record.items()
        if name not in _NXLOG_OWN and not (name == "EventType" and str(value) in _EVENT_TYPES)
    }
    if record["SourceName"] == "PowerShell" and isinstance(record.get("Message"), str):
        data.setdefault("Data", record["Message"])
    time = record.get("EventTime") or record.get("@timestamp")
    if isinstance(time, int | float):
        time = _epoch_text(time)
    pid = record.get("ExecutionProcessID") or record.get("ProcessID")
    return _made(
        record.get("SourceName"),
        record.get("EventID"),
        {**record, "time": time, "pid": pid},
        {"Computer": "Hostname", "Channel": "Channel", "Time": "time", "ProcessID": "pid", "UserID": "UserID",
         "Task": "Task", "Keywords": "Keywords"},
        data,
    )  # fmt: skip


def _epoch_text(value: float) -> str | None:
    seconds = value / 1000 if value > 1e11 else value
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


# --- Log Analytics: the tables SecurityEvent, Event and WindowsEvent

_BESIDE = frozenset(
    "TimeGenerated TenantId SourceSystem Type MG ManagementGroupName Computer EventID EventSourceName Channel Task "
    "Level EventLevelName Activity Account AccountType SourceComputerId EventOriginId Process PartitionKey RowKey "
    "StorageAccount AzureDeploymentID AzureTableName Role TimeCollected _ResourceId _ItemId SystemUserId "
    "SystemProcessId SystemThreadId EventRecordId Correlation Opcode Keywords Version".split()
)
_LOG_ANALYTICS = {"Computer": "Computer", "Time": "TimeGenerated", "Channel": "Channel", "Level": "Level",
                  "Task": "Task", "UserID": "SystemUserId", "ProcessID": "SystemProcessId"}  # fmt: skip


def _security_event(record: Raw) -> Raw | None:
    if "EventSourceName" not in record:
        return None
    data = {name: value for name, value in record.items() if name not in _BESIDE and value not in (None, "")}
    return _made(record.get("EventSourceName"), record.get("EventID"), record, _LOG_ANALYTICS, data)


def _event_table(record: Raw) -> Raw | None:
    if "EventLog" not in record:
        return None
    text = record.get("EventData") or record.get("ParameterXml")
    data = parse_data(text) if isinstance(text, str) else _as_object(text)
    if data is None and isinstance(text, str):
        data = {"Data": text}
    own = {**record, "Channel": record.get("EventLog"), "Level": record.get("EventLevel")}
    return _made(record.get("Source"), record.get("EventID"), own, _LOG_ANALYTICS, data or {})


def _windows_event(record: Raw) -> Raw | None:
    if not isinstance(record.get("Provider"), str) or "EventData" not in record:
        return None
    data = record.get("EventData")
    if isinstance(data, str):
        data = parse_data(data) or _json_object(data)
    own = {**record, "Level": record.get("EventLevel")}
    return _made(record["Provider"], record.get("EventID"), own, _LOG_ANALYTICS, _as_object(data))


def _ecmd(record: Raw) -> Raw | None:
    payload = record.get("Payload")
    if not isinstance(payload, str) or not isinstance(record.get("Provider"), str):
        return None
    found = _as_object(_json_object(payload).get("EventData")).get("Data")
    listed = found if isinstance(found, list) else [found]
    data = {str(one["@Name"]): one.get("#text", "") for one in listed if isinstance(one, dict) and "@Name" in one}
    if not data and isinstance(found, str):
        data = {"Data": found}
    return _made(
        record["Provider"],
        record.get("EventId"),
        record,
        {"Computer": "Computer", "Channel": "Channel", "Time": "TimeCreated", "Level": "Level", "UserID": "UserId",
         "ProcessID": "ProcessId"},
        data,
    )  # fmt: skip


# --- Splunk

_SPLUNK_4688 = {
    "New_Process_Name": "NewProcessName",
    "New_Process_ID": "NewProcessId",
    "Creator_Process_Name": "ParentProcessName",
    "Creator_Process_ID": "ProcessId",
    "Process_Command_Line": "CommandLine",
    "Token_Elevation_Type": "TokenElevationType",
    "Mandatory_Label": "MandatoryLabel",
}
_SUBJECT = {"Account_Name": "UserName", "Account_Domain": "DomainName", "Logon_ID": "LogonId", "Security_ID": "UserSid"}
_SPLUNK_OWN = frozenset(
    "EventCode EventID LogName SourceName ComputerName Computer host source sourcetype index linecount splunk_server "
    "punct Message TaskCategory OpCode Keywords RecordNumber Type Channel Name Guid SystemTime EventRecordID "
    "date_hour date_mday date_minute date_month date_second date_wday date_year date_zone timestartpos timeendpos "
    "eventtype tag vendor_product dvc signature signature_id user_id".split()
)


def _splunk(record: Raw) -> Raw | None:
    if "EventCode" not in record:
        return None
    source = str(record.get("source") or "")
    channel = record.get("Channel") or record.get("LogName") or source.partition(":")[2] or None
    provider = _PROVIDERS.get(str(channel)) or record.get("SourceName") or record.get("Name")
    data = {name: value for name, value in record.items() if name not in _SPLUNK_OWN and name[:1] != "_"}
    for name in [name for name in data if name in _SPLUNK_4688]:
        data[_SPLUNK_4688[name]] = data.pop(name)
    for name in [name for name in data if name in _SUBJECT]:
        _name_both(data, data.pop(name), _SUBJECT[name])
    if isinstance(label := data.get("MandatoryLabel"), str):
        data["MandatoryLabel"] = label.removeprefix("Mandatory Label\\").removesuffix(" Mandatory Level")
    own = {
        **record,
        "Channel": channel,
        "Computer": record.get("ComputerName") or record.get("Computer") or record.get("host"),
    }
    return _made(
        provider, record.get("EventCode"), own, {"Computer": "Computer", "Channel": "Channel", "Time": "_time"}, data
    )


def _name_both(data: Raw, value: object, name: str) -> None:
    """A heading that stands twice in the text, of the creator and of the target, has two values."""
    values = value if isinstance(value, list) else [value]
    for whose, one in zip(("Subject", "Target"), values, strict=False):
        data[whose + name] = one


_PROVIDERS = {
    "Security": "Microsoft-Windows-Security-Auditing",
    "Microsoft-Windows-Sysmon/Operational": "Microsoft-Windows-Sysmon",
    "Microsoft-Windows-PowerShell/Operational": "Microsoft-Windows-PowerShell",
    "Windows PowerShell": "PowerShell",
}


def _raw_text(record: Raw) -> Raw | None:
    """XML kept whole: Splunk's `_raw`, and what Sysmon for Linux sends to syslog."""
    for name in ("_raw", "SyslogMessage"):
        text = record.get(name)
        if isinstance(text, str) and "<Event" in text:
            return parse_event(text)
    return None


def _as_object(value: object) -> Raw:
    return value if type(value) is dict else {}


def _json_object(text: str) -> Raw:
    try:
        return _as_object(orjson.loads(text))
    except orjson.JSONDecodeError:
        return {}
