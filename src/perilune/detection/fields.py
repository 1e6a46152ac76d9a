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
    "record_type": "AdditionalFields.QueryType",
}

_SCRIPT = _ACTOR | {
    "ScriptBlockText": "XScriptText",
    "ScriptBlockId": "XScriptId",
    "Path": "FolderPath",
    "MessageNumber": "XPartsSeen",
    "MessageTotal": "XPartsTotal",
    "User": "XUser",
}

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

# Their readers keep every other field of the record in AdditionalFields, under its own name.
_OPEN = frozenset({"log", "auditd_execve", "security_4688"})

VOCABULARIES: Mapping[str, Mapping[str, str]] = {
    "process": _PROCESS,
    "network": _NETWORK,
    "file": _FILE,
    "image": _IMAGE,
    "registry": _REGISTRY,
    "dns": _DNS,
    "script": _SCRIPT,
    "security_4688": _SECURITY_4688,
    "auditd_execve": _AUDITD_EXECVE,
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
