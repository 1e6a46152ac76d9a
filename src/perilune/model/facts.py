"""What the events around a case come to: facts in plain words with their events, and which sources could speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from perilune.model.events import EventRef
from perilune.model.people import Criticality


class Source(StrEnum):
    """A kind of record that an answer needs. Its value is the word for it in `needs`."""

    PROCESSES = "process events"
    NETWORK = "network events"
    FILES = "file events"
    REGISTRY = "registry events"
    SCRIPTS = "script contents"
    APPLICATION = "application logs"
    INVENTORY = "software inventory or package logs"
    LOGONS = "logon and account events"
    SCHEDULE = "a staff schedule"
    ASSETS = "an asset file"
    LISTS = "a list of known bad addresses"
    BASELINE = "a learned history"
    RESOURCES = "CPU or memory figures of processes"
    OTHER_HOSTS = "logs of other hosts"


# Where each comes from, for the analyst who has to fetch it.
ORIGINS: Mapping[Source, str] = {
    Source.PROCESSES: "Sysmon 1, Security 4688, auditd execve, DeviceProcessEvents",
    Source.NETWORK: "Sysmon 3 and 22, DeviceNetworkEvents, auditd connect, Zeek, firewall logs",
    Source.FILES: "Sysmon 11, DeviceFileEvents, auditd watches",
    Source.REGISTRY: "Sysmon 12 to 14, DeviceRegistryEvents",
    Source.SCRIPTS: "PowerShell 4104, AMSI events, the script files themselves",
    Source.APPLICATION: "error logs of nginx, HAProxy, Redis, Prosody and other hosts of scripts",
    Source.INVENTORY: "dpkg, rpm, MSI or pip logs, DeviceTvmSoftwareInventory",
    Source.LOGONS: "Security 4624 to 4740, auditd USER_* records, sshd and sudo logs",
    Source.SCHEDULE: "people/*.yml or *.ics in the content folder",
    Source.ASSETS: "assets/*.yml in the content folder",
    Source.LISTS: "lists/*.csv or *.json in the content folder",
    Source.BASELINE: "`perilune baseline build` over older logs",
    Source.RESOURCES: "a sensor that counts CPU and memory by process",
    Source.OTHER_HOSTS: "the same logs of more than this host",
}


class Kind(StrEnum):
    """What a fact is about."""

    PERSISTENCE = "persistence"
    CHANGE = "software and system changes"
    CREDENTIAL = "credential access"
    PRIVILEGE = "privilege escalation"
    ACCESS = "unauthorised access"
    CONNECTION = "connections"
    DOWNLOAD = "downloads"
    CHILD = "child processes"
    ELSEWHERE = "other hosts"
    RELATED = "related activity"
    ALERT = "other alerts"
    ERROR = "script errors"
    USE = "runs of the interpreter"
    HOURS = "working hours"
    BASELINE = "learned history"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that an event shows.

    name   which sort within its kind: `Run key`, `sudo`, `listed address`; of a learned history, what it is about:
           `host`, `account`, `parent`, `script`, `hour`, `frequency` or `resources`
    value  what it is about: the key, the file, the address
    own    whether a process of the case's trees did it; None where the event names no process
    tags   what answers are made of; of a learned history, `usual` or `unusual`
    """

    kind: Kind
    name: str
    text: str
    value: str = ""
    event: EventRef | None = None
    time: datetime | None = None
    host: str = ""
    own: bool | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many records of a source were read for the case's host, near its time, and at all."""

    near: int = 0
    host: int = 0
    begin: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known around one case.

    found     by kind, oldest first, bounded
    cut       by kind, how many more there were
    coverage  by source, what was read; a source that is absent was not read at all
    """

    found: Mapping[Kind, tuple[Fact, ...]] = field(default_factory=dict)
    cut: Mapping[Kind, int] = field(default_factory=dict)
    coverage: Mapping[Source, Coverage] = field(default_factory=dict)
    begin: datetime | None = None
    end: datetime | None = None
    criticality: Criticality | None = None
    role: str = ""
    expected: tuple[str, ...] = ()  # the interpreters that the asset file expects on the host

    def of(self, kind: Kind) -> tuple[Fact, ...]:
        return self.found.get(kind, ())

    def has(self, source: Source) -> bool:
        """Whether the source could speak of this host at this time."""
        return (held := self.coverage.get(source)) is not None and held.near > 0
