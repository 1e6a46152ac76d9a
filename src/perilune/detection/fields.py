"""Which column holds a Sigma field.

A vocabulary is chosen by the log source (see `logsources.py`). Its values name columns; several, separated by a
space, are alternatives: a test holds if it holds on any of them. `AdditionalFields.Key` is that key of the JSON
object in the column. The columns of advanced hunting may always be named as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from perilune.errors import RuleError
from perilune.model.rules import Field
from perilune.model.tables import TABLES

# What every record says of itself, whatever its table.
_RECORD = {
    "EventID": "XEventId",
    "EventId": "XEventId",
    "Provider_Name": "XProvider",
    "Provider": "XProvider",
    "SourceName": "XProvider",
    "Source": "XProvider",
    "Channel": "XChannel",
    "Computer": "DeviceName",
    "ComputerName": "DeviceName",
    "Hostname": "DeviceName",
    "UtcTime": "Timestamp",
    "EventType": "AdditionalFields.EventType",
    "RuleName": "AdditionalFields.RuleName",
}

_PROCESS = _RECORD | {
    "Image": "FolderPath",
    "CommandLine": "ProcessCommandLine",
    "CurrentDirectory": "XCurrentDirectory",
    "ProcessId": "ProcessId",
    "ProcessGuid": "ProcessUniqueId",
    "OriginalFileName": "ProcessVersionInfoOriginalFileName",
    "Product": "ProcessVersionInfoProductName",
    "Company": "ProcessVersionInfoCompanyName",
    "Description": "ProcessVersionInfoFileDescription",
    "FileVersion": "XFileVersion",
    "IntegrityLevel": "ProcessIntegrityLevel",
    "User": "XUser",
    "LogonId": "LogonId",
    "LogonGuid": "XLogonGuid",
    "TerminalSessionId": "XTerminalSession",
    "Hashes": "XHashes",
    "Imphash": "XImphash",
    "imphash": "XImphash",
    "md5": "MD5",
    "sha1": "SHA1",
    "sha256": "SHA256",
    "ParentImage": "InitiatingProcessFolderPath",
    "ParentCommandLine": "InitiatingProcessCommandLine",
    "ParentCurrentDirectory": "XInitiatingProcessCurrentDirectory",
    "ParentProcessId": "InitiatingProcessId",
    "ParentProcessGuid": "InitiatingProcessUniqueId",
    "ParentUser": "XInitiatingProcessUser",
    "ParentIntegrityLevel": "InitiatingProcessIntegrityLevel",
    "ParentOriginalFileName": "InitiatingProcessVersionInfoOriginalFileName",
    "ParentProduct": "InitiatingProcessVersionInfoProductName",
    "ParentCompany": "InitiatingProcessVersionInfoCompanyName",
    "ParentDescription": "InitiatingProcessVersionInfoFileDescription",
    "GrandParentImage": "XInitiatingProcessParentFolderPath InitiatingProcessParentFileName",
    "GrandparentImage": "XInitiatingProcessParentFolderPath InitiatingProcessParentFileName",
    "GrandParentCommandLine": "XInitiatingProcessParentCommandLine",
}

# Tables whose row is something that a process did: the process is the initiating one.
_ACTOR = _RECORD | {
    "Image": "InitiatingProcessFolderPath",
    "CommandLine": "InitiatingProcessCommandLine",
    "CurrentDirectory": "XInitiatingProcessCurrentDirectory",
    "ProcessId": "InitiatingProcessId",
    "ProcessGuid": "InitiatingProcessUniqueId",
    "OriginalFileName": "InitiatingProcessVersionInfoOriginalFileName",
    "Product": "InitiatingProcessVersionInfoProductName",
    "Company": "InitiatingProcessVersionInfoCompanyName",
    "Description": "InitiatingProcessVersionInfoFileDescription",
    "IntegrityLevel": "InitiatingProcessIntegrityLevel",
    "User": "XInitiatingProcessUser XUser",
    "ParentImage": "XInitiatingProcessParentFolderPath InitiatingProcessParentFileName",
    "ParentCommandLine": "XInitiatingProcessParentCommandLine",
    "ParentProcessId": "InitiatingProcessParentId",
}

_NETWORK = _ACTOR | {
    "SourceIp": "LocalIP",
    "SourcePort": "LocalPort",
    "SourceHostname": "XLocalDeviceName",
    "SourcePortName": "AdditionalFields.SourcePortName",
    "SourceIsIpv6": "LocalIP",  # a truth about the address; see `translate.py`
    "DestinationIp": "RemoteIP",
    "DestinationPort": "RemotePort",
    "DestinationHostname": "RemoteUrl",
    "DestinationPortName": "AdditionalFields.DestinationPortName",
    "DestinationIsIpv6": "RemoteIP",
    "Protocol": "Protocol",
    "Initiated": "XInitiated",
}

_HASHES = {
    "Hashes": "XHashes",
    "Hash": "XHashes",
    "Imphash": "XImphash",
    "md5": "MD5",
    "sha1": "SHA1",
    "sha256": "SHA256",
}

_FILE = (
    _ACTOR
    | _HASHES
    | {
        "TargetFilename": "FolderPath",
        "FileName": "FolderPath",
        "SourceFilename": "PreviousFolderPath",
        "CreationUtcTime": "XFileCreationTime",
        "PreviousCreationUtcTime": "AdditionalFields.PreviousCreationUtcTime",
        "IsExecutable": "AdditionalFields.IsExecutable",
        "Contents": "AdditionalFields.Contents",
    }
)

_IMAGE = (
    _ACTOR
    | _HASHES
    | {
        "ImageLoaded": "FolderPath",
        "OriginalFileName": "ProcessVersionInfoOriginalFileName",
        "Product": "ProcessVersionInfoProductName",
        "Company": "ProcessVersionInfoCompanyName",
        "Description": "ProcessVersionInfoFileDescription",
        "FileVersion": "XFileVersion",
        "Signed": "XSigned",
        "Signature": "XSignature",
        "SignatureStatus": "XSignatureStatus",
    }
)

_REGISTRY = _ACTOR | {
    "TargetObject": "RegistryKey",
    "Details": "RegistryValueData",
    "NewName": "AdditionalFields.NewName",
}

_DNS = _ACTOR | {
    "QueryName": "XQueryName",
    "QueryStatus": "XQueryStatus",
    "QueryResults": "XQueryResults",
    "query": "XQueryName",
    "answer": "XQueryResults",
    "record_type": "AdditionalFields.QueryType",
}

_SCRIPT = _ACTOR | {
    "ScriptBlockText": "XScriptText",
    "ScriptBlockId": "XScriptId",
    "ScriptLanguage": "XScriptLanguage",
    "Path": "FolderPath",
    "MessageNumber": "XPartsSeen",
    "MessageTotal": "XPartsTotal",
    "User": "XUser",
}

# What an application or a network device wrote into its own log.
_APPLICATION = _RECORD | {
    "Application": "XApplication",
    "Message": "XMessage",
    "Level": "XLevel",
    "Client": "XClient",
    "Request": "XRequest",
    "ChunkName": "XChunkName",
    "DynamicCode": "XDynamicCode",
}

# A network device's line behind a syslog header, whose program is the kind of message (`%SYS-5-CONFIG_I`).
_DEVICE = _RECORD | {"Message": "AdditionalFields.message", "Client": "AdditionalFields.client"}

# The fields of a Security 4688 record, for rules of the service `security` that name it.
_SECURITY_4688 = _RECORD | {
    "NewProcessName": "FolderPath",
    "NewProcessId": "ProcessId",
    "CommandLine": "ProcessCommandLine",
    "ProcessCommandLine": "ProcessCommandLine",
    "ParentProcessName": "InitiatingProcessFolderPath",
    "ProcessId": "InitiatingProcessId",
    "TokenElevationType": "ProcessTokenElevation AdditionalFields.TokenElevationType",
    "MandatoryLabel": "ProcessIntegrityLevel AdditionalFields.MandatoryLabel",
    "SubjectUserName": "InitiatingProcessAccountName",
    "SubjectDomainName": "InitiatingProcessAccountDomain",
    "SubjectUserSid": "InitiatingProcessAccountSid",
    "SubjectLogonId": "InitiatingProcessLogonId",
    "TargetUserName": "AccountName",
    "TargetDomainName": "AccountDomain",
    "TargetUserSid": "AccountSid",
    "TargetLogonId": "LogonId",
    "Image": "FolderPath",
    "ParentImage": "InitiatingProcessFolderPath",
    "User": "XUser",
}

# The records of one execve: SYSCALL, EXECVE, CWD, PATH item 0. `type` is settled in `rewrites.py`.
_AUDITD_EXECVE = _RECORD | {
    **{f"a{number}": f"XArguments.{number}" for number in range(32)},
    "exe": "FolderPath",
    "comm": "XThreadName",
    "cwd": "XCurrentDirectory",
    "pid": "ProcessId",
    "ppid": "InitiatingProcessId",
    "ses": "LogonId",
    "uid": "XUser AdditionalFields.uid",
}

# The words of web servers' and proxies' rules (W3C's), and those of Zeek's and Suricata's logs.
_FLOW = _RECORD | {
    **dict.fromkeys(("src_ip", "SourceIp", "c-ip", "id.orig_h"), "LocalIP"),
    **dict.fromkeys(("src_port", "SourcePort", "id.orig_p"), "LocalPort"),
    **dict.fromkeys(("dst_ip", "dest_ip", "DestinationIp", "id.resp_h"), "RemoteIP"),
    **dict.fromkeys(("dst_port", "dest_port", "DestinationPort", "id.resp_p"), "RemotePort"),
    "proto": "Protocol",
    "service": "XService",
    "action": "XAction",
    "server_name": "XTlsServerName",
    "ja3": "XJa3",
}
_HTTP = _FLOW | {
    "c-ip": "LocalIP RemoteIP",
    **dict.fromkeys(("cs-method", "method"), "XHttpMethod"),
    **dict.fromkeys(("c-uri", "cs-uri", "cs-uri-query", "cs-uri-stem", "c-uri-query", "uri"), "XHttpUri"),
    **dict.fromkeys(("cs-host", "r-dns", "host"), "XHttpHost"),
    **dict.fromkeys(("c-useragent", "cs-user-agent", "user_agent"), "XHttpUserAgent"),
    **dict.fromkeys(("cs-referer", "cs-referrer", "referrer"), "XHttpReferrer"),
    **dict.fromkeys(("sc-status", "status_code"), "XHttpStatus"),
    "cs-username": "XHttpUser",
    "resp_mime_types": "XContentType",
}
# A firewall's sides are the packet's, whichever of them is the host's own: its readers keep them under these names.
_FIREWALL = _FLOW | {side: f"AdditionalFields.{side}" for side in ("src_ip", "src_port", "dst_ip", "dst_port")}
_DNS_NETWORK = _FLOW | {
    "query": "XQueryName",
    **dict.fromkeys(("answer", "answers"), "XQueryResults"),
    **dict.fromkeys(("record_type", "qtype_name"), "XQueryType"),
    "rcode_name": "XQueryStatus",
}

# Their readers keep every other field of the record in AdditionalFields, under its own name.
_OPEN = frozenset(
    {"log", "application", "device", "auditd_execve", "security_4688", "http", "dns_network", "firewall", "zeek"}
)

VOCABULARIES: Mapping[str, Mapping[str, str]] = {
    "process": _PROCESS,
    "network": _NETWORK,
    "file": _FILE,
    "image": _IMAGE,
    "registry": _REGISTRY,
    "dns": _DNS,
    "script": _SCRIPT,
    "application": _APPLICATION,
    "device": _DEVICE,
    "security_4688": _SECURITY_4688,
    "auditd_execve": _AUDITD_EXECVE,
    "http": _HTTP,
    "dns_network": _DNS_NETWORK,
    "firewall": _FIREWALL,
    "zeek": _FLOW,
    "log": {name: column for name, column in _RECORD.items() if column.startswith(("X", "Device"))},
}


@cache
def columns(name: str, vocabulary: str, table: str) -> tuple[Field, ...]:
    """The columns of the table that hold a Sigma field.

    Raises RuleError where there is none. In a log every other name is a field of the record.
    """
    known = VOCABULARIES[vocabulary].get(name)
    if known is not None:
        return tuple(_field(name, column) for column in known.split())
    if name in TABLES[table].columns:
        return (Field(name, name),)
    if vocabulary in _OPEN:
        return (Field(name, "AdditionalFields", name),)
    raise RuleError(f"no column of {table} holds the field {name}")


def _field(name: str, column: str) -> Field:
    column, _, key = column.partition(".")
    return Field(name, column, key or None)
