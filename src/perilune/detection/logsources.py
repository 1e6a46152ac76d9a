"""Which rows a Sigma log source stands for.

A log source is resolved to one or more `Source`s: a table, conditions that its rows meet, and the vocabulary
(see `fields.py`) that the rule's field names are taken from. A product or service that no reader fills is
refused by name; a reader that fills it later adds its line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from perilune.errors import RuleError
from perilune.model.rules import And, Compare, Expr, Field, Not, Null, Number, Or, Text, Wildcard

PLATFORMS = frozenset({"windows", "linux", "macos"})
SYSMON = ("Microsoft-Windows-Sysmon", "Linux-Sysmon")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one table.

    vocabulary  which names the rule's fields have, a key of `fields.VOCABULARIES`
    where       what the rows meet beyond being in the table
    optional    a rule with a field that has no column here is evaluated in its other sources only
    """

    table: str
    vocabulary: str
    where: tuple[Expr, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class LogSource:
    """What the rule's `logsource` says."""

    category: str | None = None
    product: str | None = None
    service: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.product, self.category, self.service) if part)


def one_of(column: str, *values: str) -> Expr:
    """The column holds one of the texts."""
    field = Field(column, column)
    return Or(tuple(Text(field, (value,)) for value in values)) if len(values) > 1 else Text(field, values)


def event(*ids: int) -> Expr:
    """The record has one of the event ids."""
    field = Field("EventID", "XEventId")
    tests = tuple(Number(field, Compare.EQ, number) for number in ids)
    return tests[0] if len(tests) == 1 else Or(tests)


def unless_null(test: Text) -> Expr:
    """The test holds, or its column says nothing."""
    return Or((Null(test.field), test))


def _sysmon(*ids: int) -> Source:
    return Source("XLogEvents", "log", (one_of("XProvider", *SYSMON), event(*ids)))


def _files(*actions: str, sysmon: tuple[int, ...] = ()) -> tuple[Source, ...]:
    table = Source("DeviceFileEvents", "file", (one_of("ActionType", *actions),))
    return (table, _sysmon(*sysmon)) if sysmon else (table,)


def _registry(*actions: str) -> tuple[Source, ...]:
    where = (one_of("ActionType", *actions),) if actions else ()
    return (Source("DeviceRegistryEvents", "registry", where),)


def _channel(event_ids: tuple[int, ...], *channels: str) -> tuple[Source, ...]:
    where = (one_of("XChannel", *channels), event(*event_ids)) if event_ids else (one_of("XChannel", *channels),)
    return (Source("XLogEvents", "log", where),)


_PROCESSES = Source("DeviceProcessEvents", "process")
_POWERSHELL = ("Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational")
_SCRIPTS = Source(
    "XScriptEvents", "script", (unless_null(Text(Field("XScriptLanguage", "XScriptLanguage"), ("powershell",))),)
)
_DEVICES = ("cisco", "juniper", "fortigate", "tacacs")
_HTTP = Source("DeviceNetworkEvents", "http", (one_of("ActionType", "HttpConnectionInspected"),))
_ANY_PRODUCT = frozenset(
    {"process_creation", "network_connection", "dns_query", "webserver", "proxy", "dns", "firewall"}
    | {"script", "application", "network_device"}
) | frozenset(f"file_{what}" for what in ("event", "change", "rename", "delete", "access", "create"))

# Where a Sysmon event has no table of its own, or a reader may leave it in the log table, XLogEvents is read
# too: a record is a row of one table only, so nothing is counted twice.
CATEGORIES: Mapping[str, tuple[Source, ...]] = {
    "process_creation": (_PROCESSES,),
    "network_connection": (Source("DeviceNetworkEvents", "network"),),
    "image_load": (Source("DeviceImageLoadEvents", "image"),),
    "file_event": _files("FileCreated", "FileModified"),
    "file_create": _files("FileCreated", "FileModified"),
    "file_change": _files("FileModified", "FileTimeChanged", sysmon=(2,)),
    "file_rename": _files("FileRenamed"),
    "file_delete": _files("FileDeleted", sysmon=(23, 26)),
    "file_access": _files("FileAccessed"),
    "file_executable_detected": (_sysmon(29),),
    "file_block_executable": (_sysmon(27),),
    "file_block_shredding": (_sysmon(28),),
    "registry_event": _registry(),
    "registry_set": _registry("RegistryValueSet"),
    "registry_add": _registry("RegistryKeyCreated"),
    "registry_delete": _registry("RegistryKeyDeleted", "RegistryValueDeleted"),
    "registry_rename": _registry("RegistryKeyRenamed", "RegistryValueRenamed"),
    "dns_query": (Source("DeviceEvents", "dns", (one_of("ActionType", "DnsQueryResponse"),)),),
    "dns": (
        Source("DeviceNetworkEvents", "dns_network", (one_of("ActionType", "DnsConnectionInspected"),)),
        Source("DeviceEvents", "dns", (one_of("ActionType", "DnsQueryResponse"),), optional=True),
    ),
    "webserver": (_HTTP,),
    "proxy": (_HTTP,),
    "firewall": (Source("DeviceNetworkEvents", "firewall", (one_of("XChannel", "firewall", "traffic"),)),),
    "ps_script": (_SCRIPTS,),
    "script": (Source("XScriptEvents", "script"),),
    "application": (Source("XAppLogEvents", "application"),),
    "network_device": (
        Source("XAppLogEvents", "application", (one_of("XApplication", *_DEVICES),)),
        Source("XLogEvents", "device", (Text(Field("XProvider", "XProvider"), ("%", Wildcard.MANY)),)),
    ),
    "ps_module": _channel((4103,), *_POWERSHELL),
    "ps_classic_start": _channel((400,), "Windows PowerShell"),
    "ps_classic_provider_start": _channel((600,), "Windows PowerShell"),
    "ps_classic_script": _channel((800,), "Windows PowerShell"),
    "process_termination": (_sysmon(5),),
    "driver_load": (_sysmon(6),),
    "create_remote_thread": (_sysmon(8),),
    "raw_access_thread": (_sysmon(9),),
    "process_access": (_sysmon(10),),
    "create_stream_hash": _files("FileStreamCreated", sysmon=(15,)),
    "pipe_created": (_sysmon(17, 18),),
    "wmi_event": (_sysmon(19, 20, 21),),
    "clipboard_change": (_sysmon(24),),
    "process_tampering": (_sysmon(25),),
    "sysmon_status": (_sysmon(4, 16),),
    "sysmon_error": (_sysmon(255),),
}

# Channels that pySigma's own list of Windows services lacks.
_MORE_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "dns-client": ("Microsoft-Windows-DNS-Client/Operational",),
    "smbclient-connectivity": ("Microsoft-Windows-SmbClient/Connectivity",),
    "smbserver-connectivity": ("Microsoft-Windows-SMBServer/Connectivity",),
    "bits-client": ("Microsoft-Windows-Bits-Client/Operational",),
    "winrm": ("Microsoft-Windows-WinRM/Operational",),
    "dhcp": ("Microsoft-Windows-DHCP-Server/FilterNotifications",),
}

# Events that have a table of their own: their rows are there and not in XLogEvents.
_OWN_TABLES: Mapping[str, Mapping[int, Source]] = {
    "security": {4688: Source("DeviceProcessEvents", "security_4688", (event(4688),))},
    "powershell": {4104: _SCRIPTS},
    "sysmon": {
        1: _PROCESSES,
        3: Source("DeviceNetworkEvents", "network"),
        7: Source("DeviceImageLoadEvents", "image"),
        11: Source("DeviceFileEvents", "file", (one_of("ActionType", "FileCreated", "FileModified"),)),
        12: Source("DeviceRegistryEvents", "registry", (event(12),)),
        13: Source("DeviceRegistryEvents", "registry", (event(13),)),
        14: Source("DeviceRegistryEvents", "registry", (event(14),)),
        22: Source("DeviceEvents", "dns", (one_of("ActionType", "DnsQueryResponse"),)),
    },
}


def _record(name: str, *values: str) -> Expr:
    """The record's own field is one of the texts."""
    field = Field(name, "AdditionalFields", name)
    return Or(tuple(Text(field, (value,)) for value in values))


# The EXECVE and SYSCALL records of a program's start are read as its row of DeviceProcessEvents, with the process
# that it is; as records they would only be found a second time.
_STARTED = And((_record("type", "SYSCALL"), _record("SYSCALL", "execve", "execveat"), _record("success", "yes")))
_AUDITD = (
    Source("XLogEvents", "log", (one_of("XProvider", "auditd"), Not(Or((_record("type", "EXECVE"), _STARTED))))),
    Source("DeviceProcessEvents", "auditd_execve", (one_of("XProvider", "auditd"),), optional=True),
)
_EVERYTHING = tuple(
    Source(table, vocabulary, optional=table != "XLogEvents")
    for table, vocabulary in (
        ("XLogEvents", "log"),
        ("DeviceProcessEvents", "process"),
        ("DeviceNetworkEvents", "network"),
        ("DeviceFileEvents", "file"),
        ("DeviceRegistryEvents", "registry"),
        ("DeviceEvents", "dns"),
        ("XScriptEvents", "script"),
    )
)


# What network sensors log, by service; any other service is a log of that name.
_ZEEK: Mapping[str, str] = {"http": "http", "dns": "dns_network", "conn": "zeek", "ssl": "zeek"}
_LINUX_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "auth": ("sshd", "sudo", "su", "login", "systemd-logind", "polkitd", "useradd", "usermod", "passwd"),
    "sshd": ("sshd",),
    "sudo": ("sudo",),
    "cron": ("cron", "CRON", "crond", "crontab"),
    "clamav": ("clamd", "freshclam", "clamav"),
    "vsftpd": ("vsftpd",),
    "guacamole": ("guacd", "guacamole"),
}


def _by_sensor(logsource: LogSource, product: str) -> tuple[Source, ...]:
    """What Zeek logged, under the name of its service."""
    service = (logsource.service or "").lower()
    if product != "zeek" or not service:
        return ()
    if service in _ZEEK:
        where = (one_of("XProvider", "zeek"), one_of("XChannel", service))
        return (Source("DeviceNetworkEvents", _ZEEK[service], where),)
    return (Source("XLogEvents", "log", (one_of("XProvider", "zeek"), one_of("XChannel", service))),)


def resolve(logsource: LogSource, event_ids: Iterable[int] = ()) -> tuple[Source, ...]:
    """The rows that a log source stands for; `event_ids` are those that the rule names.

    Raises RuleError where no reader fills any of them.
    """
    product = logsource.product.lower() if logsource.product else None
    if product is not None and product not in PLATFORMS:
        sensors = _by_sensor(logsource, product)
        if not sensors:
            raise _unfilled(logsource)
        return sensors
    sources = _by_category(logsource, product) or _by_service(logsource, product, frozenset(event_ids))
    if not sources and logsource.category is None and logsource.service is None:
        sources = _EVERYTHING
    if not sources:
        raise _unfilled(logsource)
    return sources if product is None else tuple(_on(product, source) for source in sources)


def _unfilled(logsource: LogSource) -> RuleError:
    return RuleError(f"no reader fills logsource {logsource}")


def _by_category(logsource: LogSource, product: str | None) -> tuple[Source, ...]:
    category = (logsource.category or "").lower()
    if product not in (None, "windows") and category not in _ANY_PRODUCT:
        return ()
    return CATEGORIES.get(category, ())


def _by_service(logsource: LogSource, product: str | None, event_ids: frozenset[int]) -> tuple[Source, ...]:
    service = (logsource.service or "").lower()
    if logsource.category is not None:
        return ()
    if service == "auditd" and product in (None, "linux"):
        return _AUDITD
    if product == "linux" and service in _LINUX_PROGRAMS:
        return (Source("XLogEvents", "log", (one_of("XProvider", *_LINUX_PROGRAMS[service]),)),)
    if product == "linux" and service == "syslog":
        return (Source("XLogEvents", "log", (Not(one_of("XProvider", "auditd", *SYSMON)),)),)
    if product != "windows" or service not in windows_channels():
        return ()
    own = _OWN_TABLES.get(service, {})
    tables = tuple(own[number] for number in sorted(event_ids & own.keys()))
    log = _channel((), *windows_channels()[service])
    return tables if event_ids and event_ids <= own.keys() else (*log, *tables)


@cache
def windows_channels() -> Mapping[str, tuple[str, ...]]:
    """The event log channels that a Windows service writes to: pySigma's list and ours."""
    from sigma.pipelines.common import windows_logsource_mapping  # late: slow to import, only parsing needs it

    channels = {
        service: (found,) if isinstance(found, str) else tuple(found)
        for service, found in windows_logsource_mapping.items()
    }
    for service, more in _MORE_CHANNELS.items():
        channels[service] = tuple(dict.fromkeys((*channels.get(service, ()), *more)))
    return channels


def _on(product: str, source: Source) -> Source:
    """The source, without rows that are known to come from another platform."""
    platform = unless_null(Text(Field("XPlatform", "XPlatform"), (product,)))
    return Source(source.table, source.vocabulary, (platform, *source.where), source.optional)


def together(where: tuple[Expr, ...], detection: Expr) -> Expr:
    """The whole condition of a scope: the source's and the rule's."""
    return And((*where, detection)) if where else detection
