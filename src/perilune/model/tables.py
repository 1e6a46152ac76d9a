"""The one schema that every log lands in: the Defender XDR advanced-hunting tables, and a few columns of ours.

Names, types and tables follow Microsoft's published reference of the advanced-hunting schema; what real rows
hold differs from it in two places that readers keep to: `FolderPath` is the full path including the file name,
and file names keep the case of their source. Times are UTC, in microseconds.

What Defender lacks and a Sigma rule or the triage needs is a column of ours, and its name begins with `X`.
Each column is declared once, in `COLUMNS`; a table is a list of names. A column that a source does not carry
is absent from its batches, which means null in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from perilune.model.events import EventRef as EventRef

TEXT = pa.string()
LONG = pa.int64()
BOOL = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(pa.string())


def _columns(kind: pa.DataType, names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names.split(), kind)


_VERSION_INFO = """
    VersionInfoCompanyName VersionInfoProductName VersionInfoProductVersion VersionInfoInternalFileName
    VersionInfoOriginalFileName VersionInfoFileDescription
""".split()
_PROCESS_VERSION = " ".join("Process" + name for name in _VERSION_INFO)
_INITIATING_VERSION = " ".join("InitiatingProcess" + name for name in _VERSION_INFO)

_EVENT = "Timestamp DeviceId DeviceName ActionType ReportId AppGuardContainerId AdditionalFields MachineGroup"
_FILE = "FileName FolderPath SHA1 SHA256 MD5 FileSize"
_ACCOUNT = "AccountDomain AccountName AccountSid AccountUpn AccountObjectId LogonId"
_INITIATING = (
    "InitiatingProcessSHA1 InitiatingProcessSHA256 InitiatingProcessMD5 InitiatingProcessFileName "
    f"InitiatingProcessFileSize {_INITIATING_VERSION} InitiatingProcessId InitiatingProcessCommandLine "
    "InitiatingProcessCreationTime InitiatingProcessFolderPath InitiatingProcessParentId "
    "InitiatingProcessParentFileName InitiatingProcessParentCreationTime InitiatingProcessAccountDomain "
    "InitiatingProcessAccountName InitiatingProcessAccountSid InitiatingProcessAccountUpn "
    "InitiatingProcessAccountObjectId InitiatingProcessLogonId InitiatingProcessIntegrityLevel "
    "InitiatingProcessTokenElevation InitiatingProcessSignerType InitiatingProcessSignatureStatus "
    "InitiatingProcessSessionId IsInitiatingProcessRemoteSession InitiatingProcessRemoteSessionDeviceName "
    "InitiatingProcessRemoteSessionIP InitiatingProcessUniqueId"
)
_NEW_PROCESS = (
    f"{_PROCESS_VERSION} ProcessId ProcessCommandLine ProcessIntegrityLevel ProcessTokenElevation "
    "ProcessCreationTime CreatedProcessSessionId IsProcessRemoteSession ProcessRemoteSessionDeviceName "
    "ProcessRemoteSessionIP ProcessUniqueId"
)

# Ours. X: where the record came from, and what Sigma or triage needs and Defender has no column for.
_SOURCE = (
    "XSourceFile XSourceRecord XSourceFormat XPlatform XProvider XChannel XEventId XUser XInitiatingProcessUser "
    "XUtcOffset"
)
_OURS_PROCESS = (
    "XCurrentDirectory XArguments XThreadName XHashes XImphash XFileVersion XTerminalSession XLogonGuid "
    "XInitiatingProcessParentFolderPath XInitiatingProcessParentCommandLine XInitiatingProcessCurrentDirectory"
)
# What network sensors and web servers say of a connection. `LocalIP` is the side that asked, where neither is ours.
_OURS_NETWORK = (
    "XInitiated XLocalDeviceName XConnectionId XService XAction XRule XBytesOut XBytesIn XDuration "
    "XHttpMethod XHttpHost XHttpUri XHttpUserAgent XHttpReferrer XHttpStatus XHttpUser XContentType "
    "XQueryName XQueryType XQueryStatus XQueryResults "
    "XTlsServerName XTlsVersion XTlsSubject XTlsIssuer XJa3 XSignature XSeverity"
)
_OURS_APP = (
    "XApplication XLevel XMessage XChunkName XDynamicCode XDialect XClient XRequest XScriptFile XScriptLine "
    "ProcessId RemoteIP RemotePort"
)

COLUMNS: Mapping[str, pa.DataType] = MappingProxyType(
    _columns(TIME, "Timestamp ProcessCreationTime InitiatingProcessCreationTime "
                   "InitiatingProcessParentCreationTime XFileCreationTime")
    | _columns(LONG, "ReportId FileSize ProcessId LogonId InitiatingProcessFileSize InitiatingProcessId "
                     "InitiatingProcessParentId InitiatingProcessLogonId InitiatingProcessSessionId "
                     "CreatedProcessSessionId RemotePort LocalPort RequestSourcePort "
                     "XSourceRecord XEventId XTerminalSession XPartsSeen XPartsTotal XBytesOut XBytesIn "
                     "XHttpStatus XScriptLine")
    | _columns(BOOL, "IsInitiatingProcessRemoteSession IsProcessRemoteSession IsAzureInfoProtectionApplied "
                     "XInitiated XSigned XDynamicCode")
    | _columns(TEXTS, "XArguments XParts")
    | _columns(TEXT, "DeviceId DeviceName ActionType AppGuardContainerId AdditionalFields MachineGroup "
                     "FileName FolderPath SHA1 SHA256 MD5 "
                     "AccountDomain AccountName AccountSid AccountUpn AccountObjectId")
    | _columns(TEXT, f"{_PROCESS_VERSION} ProcessCommandLine ProcessIntegrityLevel ProcessTokenElevation "
                     "ProcessRemoteSessionDeviceName ProcessRemoteSessionIP ProcessUniqueId")
    | _columns(TEXT, f"{_INITIATING_VERSION} InitiatingProcessSHA1 InitiatingProcessSHA256 "
                     "InitiatingProcessMD5 InitiatingProcessFileName InitiatingProcessCommandLine "
                     "InitiatingProcessFolderPath InitiatingProcessParentFileName "
                     "InitiatingProcessAccountDomain InitiatingProcessAccountName "
                     "InitiatingProcessAccountSid InitiatingProcessAccountUpn "
                     "InitiatingProcessAccountObjectId InitiatingProcessIntegrityLevel "
                     "InitiatingProcessTokenElevation InitiatingProcessSignerType "
                     "InitiatingProcessSignatureStatus InitiatingProcessRemoteSessionDeviceName "
                     "InitiatingProcessRemoteSessionIP InitiatingProcessUniqueId")
    | _columns(TEXT, "RemoteIP RemoteUrl LocalIP Protocol LocalIPType RemoteIPType RemoteDeviceName "
                     "RegistryKey RegistryValueType RegistryValueName RegistryValueData "
                     "PreviousRegistryKey PreviousRegistryValueName PreviousRegistryValueData "
                     "FileOriginUrl FileOriginReferrerUrl FileOriginIP PreviousFolderPath PreviousFileName "
                     "RequestProtocol RequestSourceIP RequestAccountName RequestAccountDomain "
                     "RequestAccountSid ShareName SensitivityLabel SensitivitySubLabel")
    | _columns(TEXT, "XSourceFile XSourceFormat XPlatform XProvider XChannel XUser XInitiatingProcessUser "
                     "XCurrentDirectory XThreadName XHashes XImphash XFileVersion XLogonGuid "
                     "XInitiatingProcessParentFolderPath XInitiatingProcessParentCommandLine "
                     "XInitiatingProcessCurrentDirectory XSignature XSignatureStatus "
                     "XQueryName XQueryStatus XQueryResults XLocalDeviceName "
                     "XScriptId XScriptText XScriptLanguage XUtcOffset")
    | _columns(TEXT, "XConnectionId XService XAction XRule XDuration XHttpMethod XHttpHost XHttpUri "
                     "XHttpUserAgent XHttpReferrer XHttpUser XContentType XQueryType XTlsServerName "
                     "XTlsVersion XTlsSubject XTlsIssuer XJa3 XSeverity XApplication XLevel XMessage "
                     "XChunkName XDialect XClient XRequest XScriptFile")
    | _columns(TEXT, "OSPlatform OSVersion OSArchitecture SoftwareVendor SoftwareName SoftwareVersion "
                     "EndOfSupportStatus EndOfSupportDate ProductCodeCpe XPreviousVersion XArchitecture "
                     "XPackageManager")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table: its name, what a row of it is, and its columns in their documented order."""

    name: str
    row: str
    columns: tuple[str, ...]

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([(name, COLUMNS[name]) for name in self.columns])

    @property
    def ours(self) -> tuple[str, ...]:
        """The columns that Defender does not have."""
        return tuple(name for name in self.columns if name.startswith("X"))


def _table(name: str, row: str, *columns: str) -> TableSchema:
    return TableSchema(name, row, tuple(dict.fromkeys(" ".join((*columns, _SOURCE)).split())))


TABLES: Mapping[str, TableSchema] = MappingProxyType({
    table.name: table
    for table in (
        _table("DeviceProcessEvents", "a process was started",
               _EVENT, _FILE, _NEW_PROCESS, _ACCOUNT, _INITIATING, _OURS_PROCESS),
        _table("DeviceNetworkEvents", "a connection was made, accepted or refused",
               _EVENT, "RemoteIP RemotePort RemoteUrl LocalIP LocalPort Protocol LocalIPType RemoteIPType",
               _INITIATING, _OURS_NETWORK),
        _table("DeviceFileEvents", "a file was created, changed, renamed or deleted",
               _EVENT, _FILE, "FileOriginUrl FileOriginReferrerUrl FileOriginIP PreviousFolderPath "
               "PreviousFileName RequestProtocol RequestSourceIP RequestSourcePort RequestAccountName "
               "RequestAccountDomain RequestAccountSid ShareName SensitivityLabel SensitivitySubLabel "
               "IsAzureInfoProtectionApplied", _INITIATING, "XHashes XImphash XFileCreationTime"),
        _table("DeviceImageLoadEvents", "a library was loaded into a process",
               _EVENT, _FILE, _INITIATING, _PROCESS_VERSION,
               "XHashes XImphash XFileVersion XSigned XSignature XSignatureStatus"),
        _table("DeviceRegistryEvents", "a registry key or value was created, set, renamed or deleted",
               _EVENT, "RegistryKey RegistryValueType RegistryValueName RegistryValueData PreviousRegistryKey "
               "PreviousRegistryValueName PreviousRegistryValueData", _INITIATING),
        _table("DeviceEvents", "one of many other things that an endpoint sensor saw; see ActionType",
               _EVENT, _FILE, _ACCOUNT, "RemoteUrl RemoteDeviceName RemoteIP RemotePort LocalIP LocalPort "
               "ProcessId ProcessCommandLine ProcessCreationTime ProcessTokenElevation RegistryKey "
               "RegistryValueName RegistryValueData FileOriginUrl FileOriginIP CreatedProcessSessionId "
               "IsProcessRemoteSession ProcessRemoteSessionDeviceName ProcessRemoteSessionIP ProcessUniqueId",
               _INITIATING, "XQueryName XQueryStatus XQueryResults"),
        _table("XScriptEvents", "a script's text was logged, found or decoded",
               _EVENT, _FILE, _ACCOUNT, _INITIATING,
               "XScriptId XScriptText XScriptLanguage XPartsSeen XPartsTotal XParts"),
        _table("XAppLogEvents", "an entry of an application's own log, all its lines together",
               _EVENT, _OURS_APP),
        _table("XInventoryEvents", "a program or package was installed, changed or removed",
               _EVENT, "SoftwareVendor SoftwareName SoftwareVersion XPreviousVersion XArchitecture "
               "XPackageManager InitiatingProcessCommandLine AccountName"),
        _table("DeviceTvmSoftwareInventory", "a program that is installed, as vulnerability management saw it",
               "DeviceId DeviceName OSPlatform OSVersion OSArchitecture SoftwareVendor SoftwareName "
               "SoftwareVersion EndOfSupportStatus EndOfSupportDate ProductCodeCpe Timestamp"),
        _table("XLogEvents", "a record of a known log that no other table describes; its fields are the JSON "
               "object in AdditionalFields",
               _EVENT),
    )
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A batch of rows of one table; only the columns that its source fills are present."""

    name: str
    data: pa.Table

    def __len__(self) -> int:
        return self.data.num_rows

    @property
    def schema(self) -> TableSchema:
        return TABLES[self.name]

    def has(self, column: str) -> bool:
        return self.data.schema.get_field_index(column) >= 0  # a thousandth of what `column_names` takes

    def column(self, name: str) -> pa.ChunkedArray[Any]:
        """The column's values, or nulls of its declared type where the source does not carry it."""
        if self.has(name):
            return self.data.column(name)
        nulls: pa.Array[Any] = pa.nulls(len(self), COLUMNS[name])  # type: ignore[call-overload]
        return pa.chunked_array([nulls])

    def values(self, name: str) -> list[object]:
        return self.column(name).to_pylist()

    def row(self, index: int) -> dict[str, object]:
        """The row's filled columns."""
        values = self.data.slice(index, 1).to_pylist()[0]
        return {name: value for name, value in values.items() if value is not None}

    def take(self, indices: Sequence[int]) -> Table:
        return Table(self.name, self.data.take(pa.array(indices, pa.int64())))

    def ref(self, index: int) -> EventRef:
        row = self.data.select([c for c in ("XSourceFile", "XSourceRecord") if self.has(c)]).slice(index, 1)
        values = row.to_pylist()[0] if row.num_columns else {}
        return EventRef(self.name, str(values.get("XSourceFile") or ""), int(values.get("XSourceRecord") or 0))


def concat(tables: Sequence[Table]) -> Table:
    """One batch of all rows, in order; columns that some batches lack are null there."""
    data = pa.concat_tables([table.data for table in tables], promote_options="default")
    return Table(tables[0].name, data)
