"""Writes the three samples that are invented: `windows-sysmon.jsonl`, `defender.json` and `defender-hunt.csv`.

    python tests/content/write_samples.py

People, hosts, companies and hashes do not exist; addresses are the ones set aside for documentation. The same call
writes the same bytes, and a test holds the files to it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

SAMPLES = Path(__file__).resolve().parents[2] / "src/perilune/content/samples"
SYSTEM = "NT AUTHORITY\\SYSTEM"


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    product: str = ""
    company: str = ""
    description: str = ""
    original: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        return self.path.rsplit("\\", 1)[-1]

    @property
    def folder(self) -> str:
        return self.path.rsplit("\\", 1)[0] + "\\"

    def digest(self, kind: str) -> str:
        return hashlib.new(kind, self.path.lower().encode(), usedforsecurity=False).hexdigest()

    def at(self, path: str) -> Program:
        return replace(self, path=path)


def windows(name: str, description: str, folder: str = "C:\\Windows\\System32") -> Program:
    product = "Microsoft® Windows® Operating System"
    return Program(f"{folder}\\{name}", product, "Microsoft Corporation", description, name.upper(), "10.0.26100.1742")


def installed(path: str, product: str, company: str, description: str = "", version: str = "1.0.0.0") -> Program:
    return Program(path, product, company, description or product, path.rsplit("\\", 1)[-1], version)


SERVICES = windows("services.exe", "Services and Controller app")
SVCHOST = windows("svchost.exe", "Host Process for Windows Services")
EXPLORER = windows("explorer.exe", "Windows Explorer", "C:\\Windows")
CMD = windows("cmd.exe", "Windows Command Processor")
CONHOST = windows("conhost.exe", "Console Window Host")
SCHTASKS = windows("schtasks.exe", "Task Scheduler Configuration Tool")
REG = windows("reg.exe", "Registry Console Tool")
POWERSHELL = windows("powershell.exe", "Windows PowerShell", "C:\\Windows\\System32\\WindowsPowerShell\\v1.0")
TASKHOST = windows("taskhostw.exe", "Host Process for Windows Tasks")
SEARCH = windows("SearchIndexer.exe", "Microsoft Windows Search Indexer")
RUNTIME = windows("RuntimeBroker.exe", "Runtime Broker")
NOTEPAD = windows("notepad.exe", "Notepad")
WHOAMI = windows("whoami.exe", "whoami - displays logged on user information")
SYSTEMINFO = windows("systeminfo.exe", "Displays system information")
TASKLIST = windows("tasklist.exe", "Lists the current running tasks")
DEFENDER = installed(
    "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.26090.9-0\\MsMpEng.exe",
    "Microsoft® Windows® Operating System",
    "Microsoft Corporation",
    "Antimalware Service Executable",
    "4.18.26090.9",
)
EDGE = installed(
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
    "Microsoft Edge",
    "Microsoft Corporation",
    version="142.0.3595.65",
)
CHROME = installed(
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", "Google Chrome", "Google LLC", version="142.0.7444.60"
)
OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
OUTLOOK = installed(f"{OFFICE}OUTLOOK.EXE", "Microsoft Outlook", "Microsoft Corporation", version="16.0.19328.20190")
EXCEL = installed(f"{OFFICE}EXCEL.EXE", "Microsoft Excel", "Microsoft Corporation", version="16.0.19328.20190")
WORD = installed(f"{OFFICE}WINWORD.EXE", "Microsoft Word", "Microsoft Corporation", version="16.0.19328.20190")
SPLWOW = windows("splwow64.exe", "Print driver host for applications", "C:\\Windows")
ACROBAT = installed(
    "C:\\Program Files\\Adobe\\Acrobat DC\\Acrobat\\Acrobat.exe", "Adobe Acrobat", "Adobe Inc.", version="25.1.20756.0"
)
ZIP = installed("C:\\Program Files\\7-Zip\\7zFM.exe", "7-Zip", "Igor Pavlov", "7-Zip File Manager", "24.09")
LUAJIT = Program("C:\\luajit.exe")  # its builds carry no version resource


@dataclass(slots=True)
class Process:
    program: Program
    command: str
    pid: int
    user: str
    started: datetime
    parent: Process | None = None
    folder: str = "C:\\Windows\\System32\\"
    level: str = "Medium"

    @property
    def guid(self) -> str:
        return "{" + str(_uuid(f"{self.pid}{self.started}{self.command}")).upper() + "}"


def _uuid(text: str) -> UUID:
    return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(slots=True)
class Desk:
    """One invented computer: a clock, the process identifiers it has given out, and who sits there."""

    computer: str
    user: str
    sid: str
    now: datetime
    chance: random.Random
    pid: int = 3180
    boot: Process = field(init=False)
    shell: Process = field(init=False)

    def __post_init__(self) -> None:
        self.boot = Process(SERVICES, SERVICES.path, 812, SYSTEM, self.now)
        self.shell = Process(EXPLORER, EXPLORER.path, 5012, self.user, self.now)

    @property
    def profile(self) -> str:
        return "C:\\Users\\" + self.user.rsplit("\\", 1)[-1]

    def after(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds, microseconds=self.chance.randrange(1_000_000))
        return self.now

    def own(self, program: Program) -> Program:
        """The user's own copy of a program that is installed in the profile."""
        return program.at(f"{self.profile}\\{program.path}")

    def process(self, program: Program, command: str = "", parent: Process | None = None, **more: str) -> Process:
        self.pid += 4 * self.chance.randrange(3, 90)
        parent = parent or self.shell
        user = more.pop("user", parent.user)
        return Process(program, command or f'"{program.path}"', self.pid, user, self.now, parent, **more)


# Sysmon, as evtx_dump writes it.


@dataclass(slots=True)
class Sysmon:
    desk: Desk
    events: list[dict[str, object]] = field(default_factory=list)
    record: int = 184_200

    def start(self, program: Program, command: str = "", parent: Process | None = None, **more: str) -> Process:
        wait = float(more.pop("wait", "1"))
        at = self.desk.after(wait)
        new = self.desk.process(program, command, parent, **more)
        data = {"RuleName": "-", "UtcTime": _utc(at), **_as_process(new)}
        data |= {
            "FileVersion": program.version or "-",
            "Description": program.description or "-",
            "Product": program.product or "-",
            "Company": program.company or "-",
            "OriginalFileName": program.original or "-",
            "CommandLine": new.command,
            "CurrentDirectory": new.folder,
            "User": new.user,
            "LogonGuid": "{" + str(_uuid(new.user)).upper() + "}",
            "LogonId": "0x3e7" if new.user == SYSTEM else "0x5f1c2",
            "TerminalSessionId": 0 if new.user == SYSTEM else 1,
            "IntegrityLevel": "System" if new.user == SYSTEM else new.level,
            "Hashes": _hashes(program),
            "ParentProcessGuid": new.parent.guid,
            "ParentProcessId": new.parent.pid,
            "ParentImage": new.parent.program.path,
            "ParentCommandLine": new.parent.command,
            "ParentUser": new.parent.user,
        }
        self._add(1, data, version=5)
        return new

    def connect(self, process: Process, address: str, port: int, name: str = "-") -> None:
        data = {"RuleName": "-", "UtcTime": _utc(self.desk.after(0.4)), **_as_process(process), "User": process.user}
        data |= {"Protocol": "tcp", "Initiated": True, "SourceIsIpv6": False, "SourceIp": "10.20.4.57"}
        data |= {"SourceHostname": self.desk.computer, "SourcePort": 49_700 + self.desk.chance.randrange(9_000)}
        data |= {"SourcePortName": "-", "DestinationIsIpv6": False, "DestinationIp": address}
        data |= {"DestinationHostname": name, "DestinationPort": port, "DestinationPortName": "-"}
        self._add(3, data, version=5)

    def load(self, process: Process, library: Program, signature: str = "") -> None:
        data = {"RuleName": "-", "UtcTime": _utc(self.desk.after(0.1)), **_as_process(process)}
        data |= {"ImageLoaded": library.path, "FileVersion": library.version or "-"}
        data |= {"Description": library.description or "-", "Product": library.product or "-"}
        data |= {"Company": library.company or "-", "OriginalFileName": library.original or "-"}
        data |= {"Hashes": _hashes(library), "Signed": str(bool(signature)).lower()}
        data |= {"Signature": signature or "-", "SignatureStatus": "Valid" if signature else "Unavailable"}
        self._add(7, data | {"User": process.user}, version=3)

    def create(self, process: Process, path: str) -> None:
        at = _utc(self.desk.after(0.3))
        data = {"RuleName": "-", "UtcTime": at, **_as_process(process), "TargetFilename": path}
        self._add(11, data | {"CreationUtcTime": at, "User": process.user}, version=2)

    def registry(self, process: Process, key: str, details: str) -> None:
        data = {"RuleName": "-", "EventType": "SetValue", "UtcTime": _utc(self.desk.after(0.3))}
        self._add(13, data | _as_process(process) | {"TargetObject": key, "Details": details, "User": process.user})

    def query(self, process: Process, name: str, *addresses: str) -> None:
        data = {"RuleName": "-", "UtcTime": _utc(self.desk.after(0.2)), **_as_process(process), "QueryName": name}
        results = "".join(f"::ffff:{address};" for address in addresses)
        self._add(22, data | {"QueryStatus": "0", "QueryResults": results, "User": process.user}, version=5)

    def script(self, process: Process, *parts: str) -> None:
        """A PowerShell script block, in as many records as it has parts."""
        block = str(_uuid("".join(parts)))
        for number, text in enumerate(parts, start=1):
            self.desk.after(0.01)
            data = {"MessageNumber": number, "MessageTotal": len(parts), "ScriptBlockText": text}
            data |= {"ScriptBlockId": block, "Path": ""}
            self._add(4104, data, "Microsoft-Windows-PowerShell", "Microsoft-Windows-PowerShell/Operational", process)

    def _add(
        self,
        event: int,
        data: dict[str, object],
        provider: str = "Microsoft-Windows-Sysmon",
        channel: str = "Microsoft-Windows-Sysmon/Operational",
        by: Process | None = None,
        version: int = 2,
    ) -> None:
        self.record += 1
        system = {
            "Provider": {"#attributes": {"Name": provider, "Guid": str(_uuid(provider)).upper()}},
            "EventID": event,
            "Version": version,
            "Level": 3 if event == 4104 else 4,
            "Task": event,
            "Opcode": 0,
            "Keywords": "0x8000000000000000",
            "TimeCreated": {"#attributes": {"SystemTime": self.desk.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}},
            "EventRecordID": self.record,
            "Correlation": None,
            "Execution": {"#attributes": {"ProcessID": by.pid if by else 3016, "ThreadID": 4872}},
            "Channel": channel,
            "Computer": self.desk.computer,
            "Security": {"#attributes": {"UserID": self.desk.sid if by else "S-1-5-18"}},
        }
        self.events.append({"Event": {"System": system, "EventData": data}})


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03}"


def _as_process(process: Process) -> dict[str, object]:
    return {"ProcessGuid": process.guid, "ProcessId": process.pid, "Image": process.program.path}


def _hashes(program: Program) -> str:
    kinds = (("SHA1", "sha1"), ("MD5", "md5"), ("SHA256", "sha256"))
    named = [f"{name}={program.digest(kind).upper()}" for name, kind in kinds]
    return ",".join([*named, f"IMPHASH={_uuid('imp' + program.name).hex.upper()}"])


def sysmon() -> str:
    """A day in an accounts office; at 10:41 a downloaded archive brings a Lua loader."""
    at = datetime(2026, 11, 18, 7, 52, 4, tzinfo=UTC)
    desk = Desk(
        "FIN-PC-12.halvorsen.example",
        "HALVORSEN\\lea.brandt",
        "S-1-5-21-3304811-77120-5561-1147",
        at,
        random.Random(12),
    )
    log = Sysmon(desk)
    _morning(log)
    _archive(log)
    _loader(log)
    _afternoon(log)
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in log.events)


def _morning(log: Sysmon) -> None:
    desk = log.desk
    for service in ("netsvcs -p -s Schedule", "netsvcs -p -s wuauserv", "LocalService -p -s EventSystem"):
        log.start(SVCHOST, f"{SVCHOST.path} -k {service}", desk.boot, user=SYSTEM, wait="8")
    log.start(DEFENDER, "", desk.boot, user=SYSTEM, wait="3")
    log.start(SEARCH, f"{SEARCH.path} /Embedding", desk.boot, user=SYSTEM, wait="20")
    log.start(TASKHOST, "taskhostw.exe", desk.boot, wait="30")
    outlook = log.start(OUTLOOK, wait="95")
    _browse(log, outlook, ("outlook.office.example", "192.0.2.31"), ("autodiscover.halvorsen.example", "192.0.2.12"))
    edge = log.start(EDGE, f'"{EDGE.path}" --profile-directory=Default', wait="240")
    for kind in ("gpu-process", "utility", "renderer", "renderer", "crashpad-handler"):
        log.start(EDGE, f'"{EDGE.path}" --type={kind} --lang=nb', edge, level="Low", wait="1")
    _browse(log, edge, ("intranet.halvorsen.example", "192.0.2.14"), ("news.example", "192.0.2.90"))
    excel = log.start(EXCEL, f'"{EXCEL.path}" "{desk.profile}\\Documents\\Budget 2027.xlsx"', wait="600")
    for number in range(4):
        log.create(excel, f"{desk.profile}\\Documents\\~$Budget 2027-{number}.xlsx")
    _work(log, rounds=10)


def _browse(log: Sysmon, process: Process, *sites: tuple[str, str]) -> None:
    for name, address in sites:
        log.query(process, name, address)
        log.connect(process, address, 443, name)


def _work(log: Sysmon, rounds: int) -> None:
    """What a computer in an office does by itself and with its user."""
    desk = log.desk
    reader = installed("C:\\Program Files\\Common Files\\halvor\\mso.dll", "Office", "Microsoft Corporation")
    for number in range(rounds):
        desk.after(120 + desk.chance.randrange(500))
        match number % 9:
            case 0:
                log.start(SPLWOW, "C:\\Windows\\splwow64.exe 8192")
                log.create(desk.shell, f"{desk.profile}\\Documents\\Invoices\\2026-{4100 + number}.pdf")
            case 1:
                viewer = log.start(ACROBAT, f'"{ACROBAT.path}" "{desk.profile}\\Documents\\Invoices\\2026-4100.pdf"')
                _browse(log, viewer, ("armmf.adobe.example", "198.51.100.40"))
            case 2:
                log.start(RUNTIME, f"{RUNTIME.path} -Embedding", desk.boot, wait="4")
                log.start(CONHOST, f"\\??\\{CONHOST.path} 0xffffffff -ForceV1", desk.boot, user=SYSTEM)
            case 3:
                word = log.start(WORD, f'"{WORD.path}" /n "{desk.profile}\\Documents\\Letter {number}.docx"')
                log.load(word, reader, "Microsoft Corporation")
                log.create(word, f"{desk.profile}\\AppData\\Roaming\\Microsoft\\Word\\AutoRecovery {number}.asd")
            case 4:
                policy = log.start(
                    POWERSHELL, "powershell.exe -NoProfile -File C:\\IT\\inventory.ps1", desk.boot, user=SYSTEM
                )
                log.script(policy, "Get-CimInstance Win32_LogicalDisk | Select-Object DeviceID, FreeSpace")
            case 5:
                log.start(NOTEPAD, f'"{NOTEPAD.path}" {desk.profile}\\Documents\\notes.txt')
                log.registry(
                    desk.shell, f"HKU\\{desk.sid}\\Software\\Microsoft\\Notepad\\iWindowPosX", "DWORD (0x000000d0)"
                )
            case 6:
                log.start(ZIP, f'"{ZIP.path}" "{desk.profile}\\Downloads\\supplier-prices.zip"')
                log.create(desk.shell, f"{desk.profile}\\Downloads\\supplier-prices\\prices.csv")
            case 7:
                log.start(CMD, 'C:\\Windows\\system32\\cmd.exe /c "C:\\IT\\backup.cmd"', desk.boot, user=SYSTEM)
                log.start(SCHTASKS, "schtasks /query /fo csv /tn \\IT\\Backup", desk.boot, user=SYSTEM)
            case _:
                tab = log.start(EDGE, f'"{EDGE.path}" --type=renderer --lang=nb', level="Low")
                _browse(log, tab, ("bank.example", "192.0.2.77"), ("maps.example", "192.0.2.78"))


def _archive(log: Sysmon) -> None:
    """A search for an add-in ends at a repository that is not what it says."""
    desk = log.desk
    desk.now = datetime(2026, 11, 18, 10, 38, 51, tzinfo=UTC)
    edge = log.start(EDGE, f'"{EDGE.path}" --type=renderer --lang=nb', level="Low")
    _browse(log, edge, ("invoice-toolkit.example", "198.51.100.60"))
    log.create(edge, f"{desk.profile}\\Downloads\\InvoiceToolkit_v2.4.zip")
    desk.after(55)
    zip_file = log.start(ZIP, f'"{ZIP.path}" "{desk.profile}\\Downloads\\InvoiceToolkit_v2.4.zip"')
    for name in ("Launcher.cmd", "luajit.exe", "lua51.dll", "uix.txt", "Read me.pdf"):
        log.create(zip_file, f"{desk.profile}\\Downloads\\InvoiceToolkit_v2.4\\{name}")


def _loader(log: Sysmon) -> None:
    desk = log.desk
    folder, home = f"{desk.profile}\\Downloads\\InvoiceToolkit_v2.4\\", f"{desk.profile}\\AppData\\Local\\ODM5\\"
    launcher = log.start(CMD, f'C:\\Windows\\system32\\cmd.exe /c ""{folder}Launcher.cmd" "', folder=folder, wait="41")
    log.start(CONHOST, f"\\??\\{CONHOST.path} 0xffffffff -ForceV1", launcher)
    first = log.start(LUAJIT.at(f"{folder}luajit.exe"), "luajit.exe uix.txt", launcher, folder=folder)
    log.load(first, Program(f"{folder}lua51.dll"))
    log.query(first, "ip-api.com", "198.51.100.95")
    log.connect(first, "198.51.100.95", 80, "ip-api.com")
    log.connect(first, "203.0.113.61", 80)
    for name in ("ODM5.exe", "lua51.dll", "uix.txt"):
        log.create(first, f"{home}{name}")
    task = f'schtasks /create /sc daily /st 10:52 /f /tn AudioManager_ODM5 /tr "{home}ODM5.exe {home}uix.txt"'
    inner = log.start(CMD, f"C:\\Windows\\system32\\cmd.exe /c {task}", first, folder=folder, wait="3")
    log.start(SCHTASKS, task, inner, folder=folder)
    run = f"HKU\\{desk.sid}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion"
    log.registry(first, f"{run}\\Run\\ODM5", f'"{home}ODM5.exe" "{home}uix.txt"')
    log.registry(first, f"{run}\\Explorer\\StartupApproved\\Run\\ODM5", "Binary Data")
    exclude = log.start(
        POWERSHELL, "powershell -NoProfile -WindowStyle Hidden -Command -", first, folder=folder, wait="6"
    )
    # Cut in the middle of a word, as long blocks are: neither part says it alone.
    log.script(
        exclude,
        "$ErrorActionPreference = 'SilentlyContinue'\n" + "# settings\n" * 12 + "Add-MpPref",
        "erence -ExclusionPath $env:SystemDrive -ExclusionExtension .exe, .dll -Force\n",
    )
    log.create(first, "C:\\Windows\\Setup\\Scripts\\ErrorHandler.cmd")
    desk.now = datetime(2026, 11, 18, 10, 52, 0, tzinfo=UTC)
    schedule = desk.process(SVCHOST, f"{SVCHOST.path} -k netsvcs -p -s Schedule", desk.boot)
    second = log.start(
        LUAJIT.at(f"{home}ODM5.exe"), f"{home}ODM5.exe {home}uix.txt", schedule, user=desk.user, folder=home
    )
    log.load(second, Program(f"{home}lua51.dll"))
    log.query(second, "polygon.drpc.org", "198.51.100.118")
    log.connect(second, "198.51.100.118", 443, "polygon.drpc.org")
    for _ in range(3):
        desk.after(58)
        log.connect(second, "203.0.113.61", 80)
    look = log.start(CMD, "C:\\Windows\\system32\\cmd.exe /c whoami /all & tasklist", second, folder=home, wait="5")
    log.start(WHOAMI, "whoami /all", look, folder=home)
    log.start(TASKLIST, "tasklist", look, folder=home)


def _afternoon(log: Sysmon) -> None:
    log.desk.now = datetime(2026, 11, 18, 11, 20, 0, tzinfo=UTC)
    _work(log, rounds=40)


# Microsoft Defender: rows of the advanced-hunting tables.


@dataclass(slots=True)
class Hunting:
    desk: Desk
    domain: str
    rows: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    report: int = 5_100

    def start(self, program: Program, command: str = "", parent: Process | None = None, **more: str) -> Process:
        at = self.desk.after(float(more.pop("wait", "2")))
        new = self.desk.process(program, command, parent, **more)
        row = self._row("DeviceProcessEvents", "ProcessCreated", at, new.parent)
        row |= _file(program) | _version(program, "ProcessVersionInfo") | self._account(new.user)
        row |= {"ProcessId": new.pid, "ProcessCommandLine": new.command, "ProcessIntegrityLevel": new.level}
        row |= {"ProcessTokenElevation": "TokenElevationTypeLimited", "ProcessCreationTime": self._time(at)}
        row |= {"LogonId": 391_106, "CreatedProcessSessionId": 1, "IsProcessRemoteSession": False}
        return new

    def connect(self, process: Process, address: str, port: int, name: str = "") -> None:
        row = self._row("DeviceNetworkEvents", "ConnectionSuccess", self.desk.after(1), process)
        row |= {"RemoteIP": address, "RemotePort": port, "RemoteUrl": name, "LocalIP": "10.8.0.23"}
        row |= {"LocalPort": 50_100 + len(self.rows), "Protocol": "Tcp", "RemoteIPType": "Public"}

    def create(self, process: Process, path: str, origin: str = "") -> None:
        row = self._row("DeviceFileEvents", "FileCreated", self.desk.after(1), process)
        row |= _file(Program(path)) | ({"FileOriginUrl": origin} if origin else {})

    def load(self, process: Process, library: Program) -> None:
        self._row("DeviceImageLoadEvents", "ImageLoaded", self.desk.after(1), process).update(_file(library))

    def registry(self, process: Process, key: str, name: str, data: str) -> None:
        row = self._row("DeviceRegistryEvents", "RegistryValueSet", self.desk.after(1), process)
        row |= {"RegistryKey": key, "RegistryValueName": name, "RegistryValueData": data, "RegistryValueType": "String"}

    def cmdlet(self, process: Process, command: str) -> None:
        row = self._row("DeviceEvents", "PowerShellCommand", self.desk.after(1), process)
        row["AdditionalFields"] = json.dumps({"Command": command})

    def _row(self, table: str, action: str, at: datetime, by: Process) -> dict[str, object]:
        self.report += 1
        device = hashlib.sha1(self.desk.computer.encode(), usedforsecurity=False).hexdigest()
        row: dict[str, object] = {"Timestamp": self._time(at), "DeviceId": device, "DeviceName": self.desk.computer}
        row |= {"ActionType": action, "ReportId": self.report, "AdditionalFields": None, "AppGuardContainerId": ""}
        row |= {f"InitiatingProcess{name}": value for name, value in _file(by.program, lower=True).items()}
        row |= _version(by.program, "InitiatingProcessVersionInfo")
        row |= self._account(by.user, "InitiatingProcess")
        row |= {"InitiatingProcessId": by.pid, "InitiatingProcessCommandLine": by.command}
        row |= {"InitiatingProcessCreationTime": self._time(by.started), "InitiatingProcessIntegrityLevel": by.level}
        row |= {"InitiatingProcessParentFileName": by.parent.program.name if by.parent else "userinit.exe"}
        row |= {"InitiatingProcessParentId": by.parent.pid if by.parent else 4_420}
        row |= {"InitiatingProcessSessionId": 1, "IsInitiatingProcessRemoteSession": False}
        self.rows.append((table, row))
        return row

    def _account(self, user: str, prefix: str = "") -> dict[str, object]:
        domain, _, name = user.partition("\\")
        sid = "S-1-5-18" if user == SYSTEM else self.desk.sid
        upn = "" if user == SYSTEM else f"{name}@{self.domain}"
        account = {"AccountDomain": domain.lower(), "AccountName": name.lower(), "AccountSid": sid, "AccountUpn": upn}
        return {prefix + key: value for key, value in account.items()}

    def _time(self, at: datetime) -> str:
        """Defender's times have seven digits after the second."""
        return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{(at.microsecond * 7) % 10}Z"


def _file(program: Program, *, lower: bool = False) -> dict[str, object]:
    # Defender lower-cases the path of the program that acted, not that of the program that was started.
    path = program.path.lower() if lower else program.path
    named = {"FileName": program.name.lower() if lower else program.name, "FolderPath": path}
    sums = {kind: program.digest(kind.lower()) for kind in ("SHA1", "SHA256", "MD5")}
    return named | sums | {"FileSize": int(program.digest("md5")[:5], 16)}


def _version(program: Program, prefix: str) -> dict[str, object]:
    values = {
        "CompanyName": program.company,
        "ProductName": program.product,
        "ProductVersion": program.version,
        "InternalFileName": program.original.removesuffix(".exe"),
        "OriginalFileName": program.original,
        "FileDescription": program.description,
    }
    return {prefix + name: value for name, value in values.items()}


# Installed in the profile of each user.
CODE = installed(
    "AppData\\Local\\Programs\\Microsoft VS Code\\Code.exe",
    "Visual Studio Code",
    "Microsoft Corporation",
    version="1.106.0",
)
NODE = installed("C:\\Program Files\\nodejs\\node.exe", "Node.js", "Node.js", "Node.js JavaScript Runtime", "22.11.0")
GIT = installed("C:\\Program Files\\Git\\cmd\\git.exe", "Git", "The Git Development Community", version="2.51.0.1")
LANGUAGE_SERVER = Program(".vscode\\extensions\\sumneko.lua-3.15.0-win32-x64\\server\\bin\\lua-language-server.exe")


def event_hub() -> str:
    """A developer's laptop: a dependency of a dependency starts a Lua interpreter after installation."""
    at = datetime(2026, 11, 19, 8, 4, 33, tzinfo=UTC)
    desk = Desk("dev-lt-21", "BRIGHTWELL\\ines.okafor", "S-1-5-21-900142-3317-66120-2209", at, random.Random(21))
    log = Hunting(desk, "brightwell.example")
    code = log.start(desk.own(CODE))
    log.start(desk.own(LANGUAGE_SERVER), "lua-language-server.exe --stdio", code)
    _develop(log, code, 6)
    _dependency(log, code)
    _develop(log, code, 9)
    records = [
        {
            "time": row["Timestamp"],
            "tenantId": str(_uuid("brightwell")),
            "operationName": "Publish",
            "category": f"AdvancedHunting-{table}",
            "properties": row | {"MachineGroup": "Laptops"},
            "Tenant": "DefaultTenant",
        }
        for table, row in log.rows
    ]
    return json.dumps({"records": records}, indent=1, ensure_ascii=False) + "\n"


def _develop(log: Hunting, code: Process, rounds: int) -> None:
    desk = log.desk
    for number in range(rounds):
        desk.after(120 + desk.chance.randrange(500))
        terminal = log.start(POWERSHELL, f'"{POWERSHELL.path}" -NoLogo', code)
        log.start(GIT, "git.exe status -z -uall", code)
        test = log.start(NODE, '"C:\\Program Files\\nodejs\\node.exe" node_modules\\vitest\\vitest.mjs run', terminal)
        log.connect(test, "192.0.2.140", 443, "registry.example")
        log.create(code, f"C:\\src\\dashboard\\src\\panel{number}.ts")


def _dependency(log: Hunting, code: Process) -> None:
    desk = log.desk
    desk.after(260)
    package = "C:\\src\\dashboard\\node_modules\\theme-tokens-lite\\"
    home = f"{desk.profile}\\AppData\\Local\\ODE3\\"
    terminal = log.start(POWERSHELL, f'"{POWERSHELL.path}" -NoLogo', code)
    npm = log.start(
        NODE, f'"{NODE.path}" "C:\\Program Files\\nodejs\\node_modules\\npm\\bin\\npm-cli.js" install', terminal
    )
    for name in ("postinstall.js", "luajit.exe", "lua51.dll", "resource.txt"):
        log.create(npm, f"{package}{name}", "https://registry.example/theme-tokens-lite/-/theme-tokens-lite-1.0.7.tgz")
    shell = log.start(CMD, "C:\\Windows\\system32\\cmd.exe /d /s /c node postinstall.js", npm)
    install = log.start(NODE, "node postinstall.js", shell)
    loader = log.start(LUAJIT.at(f"{package}luajit.exe"), "luajit.exe resource.txt", install, wait="1")
    log.load(loader, Program(f"{package}lua51.dll"))
    log.connect(loader, "203.0.113.140", 80)
    for name in ("ODE3.exe", "lua51.dll", "resource.txt"):
        log.create(loader, f"{home}{name}")
    task = f'schtasks /create /sc daily /st 09:15 /f /tn CloudDrive_ODE3 /tr "{home}ODE3.exe {home}resource.txt"'
    log.start(SCHTASKS, task, log.start(CMD, f"C:\\Windows\\system32\\cmd.exe /c {task}", loader))
    run = f"HKEY_CURRENT_USER\\{desk.sid}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    log.registry(loader, run, "ODE3", f'"{home}ODE3.exe" "{home}resource.txt"')
    command = "Add-MpPreference -ExclusionPath $env:SystemDrive -ExclusionExtension .exe, .dll -Force"
    hide = log.start(POWERSHELL, f"powershell -Command {command}", loader)
    log.cmdlet(hide, command)
    second = log.start(
        LUAJIT.at(f"{home}ODE3.exe"), f'"{home}ODE3.exe" "{home}resource.txt"', log.desk.shell, wait="300"
    )
    log.load(second, Program(f"{home}lua51.dll"))
    log.connect(second, "203.0.113.140", 80)


# As Microsoft documents them; the export has them all, filled or not.
EXPORTED = """
Timestamp DeviceId DeviceName ActionType FileName FolderPath SHA1 SHA256 MD5 FileSize
ProcessVersionInfoCompanyName ProcessVersionInfoProductName ProcessVersionInfoProductVersion
ProcessVersionInfoInternalFileName ProcessVersionInfoOriginalFileName ProcessVersionInfoFileDescription
ProcessId ProcessCommandLine ProcessIntegrityLevel ProcessTokenElevation ProcessCreationTime
AccountDomain AccountName AccountSid AccountUpn AccountObjectId LogonId
InitiatingProcessAccountDomain InitiatingProcessAccountName InitiatingProcessAccountSid
InitiatingProcessAccountUpn InitiatingProcessAccountObjectId InitiatingProcessLogonId
InitiatingProcessIntegrityLevel InitiatingProcessTokenElevation
InitiatingProcessSHA1 InitiatingProcessSHA256 InitiatingProcessMD5 InitiatingProcessFileName
InitiatingProcessFileSize InitiatingProcessVersionInfoCompanyName InitiatingProcessVersionInfoProductName
InitiatingProcessVersionInfoProductVersion InitiatingProcessVersionInfoInternalFileName
InitiatingProcessVersionInfoOriginalFileName InitiatingProcessVersionInfoFileDescription
InitiatingProcessId InitiatingProcessCommandLine InitiatingProcessCreationTime InitiatingProcessFolderPath
InitiatingProcessParentId InitiatingProcessParentFileName InitiatingProcessParentCreationTime
InitiatingProcessSignerType InitiatingProcessSignatureStatus ReportId AppGuardContainerId AdditionalFields
InitiatingProcessSessionId IsInitiatingProcessRemoteSession InitiatingProcessRemoteSessionDeviceName
InitiatingProcessRemoteSessionIP CreatedProcessSessionId IsProcessRemoteSession
ProcessRemoteSessionDeviceName ProcessRemoteSessionIP
""".split()


def hunt_export() -> str:
    """DeviceProcessEvents of three computers, as exported from a hunt for Lua: one of them is attacked."""
    rows = sorted(
        (row for host in (_lounge(), _studio(), _reception()) for _, row in host.rows), key=lambda row: row["Timestamp"]
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, EXPORTED, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: "" if row.get(name) is None else row[name] for name in EXPORTED} for row in rows)
    return text.getvalue()


def _host(name: str, user: str, seed: int, hour: int) -> Hunting:
    at = datetime(2026, 11, 17, hour, 12, 9, tzinfo=UTC)
    return Hunting(
        Desk(name, f"ORCHARD\\{user}", f"S-1-5-21-51-{seed}-77-11{seed}", at, random.Random(seed)), "orchard.example"
    )


def _lounge() -> Hunting:
    """Games that run Lua."""
    log = _host("lounge-pc1", "guest", 31, 11)
    chrome = log.start(CHROME)
    blizzard = "C:\\Program Files (x86)\\Battle.net\\Battle.net.exe"
    battle = log.start(installed(blizzard, "Battle.net", "Blizzard Entertainment", version="2.43.0.15530"))
    wow = "C:\\Program Files (x86)\\World of Warcraft\\_retail_\\Wow.exe"
    game = installed(wow, "World of Warcraft", "Blizzard Entertainment", "World of Warcraft Retail", "11.2.5.63906")
    log.start(game, f'"{wow}" -launch -uid wow_enus', battle, wait="70")
    roblox = f"{log.desk.profile}\\AppData\\Local\\Roblox\\Versions\\version-8f2a1c77d04e4b15\\RobloxPlayerBeta.exe"
    player = installed(roblox, "Roblox", "Roblox Corporation", "Roblox Game Client", "0.700.0.7000")
    log.start(player, f'"{roblox}" roblox-player:1+launchmode:play+gameinfo:x', chrome, wait="1900")
    balatro = "C:\\Program Files (x86)\\Steam\\steamapps\\common\\Balatro\\Balatro.exe"
    steam = log.start(installed("C:\\Program Files (x86)\\Steam\\steam.exe", "Steam", "Valve Corporation"), wait="800")
    log.start(installed(balatro, "LÖVE", "LÖVE World Domination Inc.", "LÖVE 11.5", "11.5"), f'"{balatro}"', steam)
    for _ in range(12):
        log.start(CHROME, f'"{CHROME.path}" --type=renderer', chrome, wait="90", level="Low")
    return log


def _studio() -> Hunting:
    """A programmer who writes Lua for a living."""
    log = _host("studio-ws9", "tuan.le", 32, 9)
    desk = log.desk
    code = log.start(desk.own(CODE))
    log.start(desk.own(LANGUAGE_SERVER), "lua-language-server.exe --stdio", code)
    lua = installed("C:\\Program Files\\Lua\\5.4\\lua54.exe", "Lua", "Lua.org", "Lua Interpreter", "5.4.7")
    for number in range(10):
        terminal = log.start(CMD, "C:\\Windows\\System32\\cmd.exe", code, wait="200")
        log.start(lua, f"lua54.exe spec\\run.lua --only {number}", terminal, folder="C:\\src\\engine\\")
        log.start(GIT, "git.exe log -S os.execute( --oneline", code)
    return log


def _reception() -> Hunting:
    """A document brings a Lua interpreter to the public folder."""
    log = _host("reception-pc4", "front.desk", 33, 13)
    outlook = log.start(OUTLOOK)
    edge = log.start(EDGE, wait="300")
    for _ in range(8):
        log.start(EDGE, f'"{EDGE.path}" --type=renderer', edge, wait="120", level="Low")
    document = (
        f"{log.desk.profile}\\AppData\\Local\\Microsoft\\Windows\\INetCache\\Content.Outlook\\7K2\\Visit list.docm"
    )
    word = log.start(WORD, f'"{WORD.path}" /n "{document}" /o ""', outlook, wait="240")
    public = "C:\\Users\\Public\\"
    shell = log.start(CMD, f"cmd.exe /c cd /d {public} && lua.exe data\\main.lua", word, wait="9")
    interpreter = log.start(Program(f"{public}lua.exe"), "lua.exe data\\main.lua", shell, folder=public, wait="1")
    for program, command in (
        (WHOAMI, "whoami /all"),
        (SYSTEMINFO, "systeminfo"),
        (TASKLIST, "tasklist /v"),
    ):
        log.start(
            program, command, log.start(CMD, f"C:\\Windows\\system32\\cmd.exe /c {command}", interpreter, wait="20")
        )
    task = f'schtasks /create /tn "Sync Center" /sc minute /mo 30 /tr "{public}lua.exe {public}data\\main.lua" /f'
    log.start(SCHTASKS, task, log.start(CMD, f"C:\\Windows\\system32\\cmd.exe /c {task}", interpreter, wait="14"))
    log.start(Program(f"{public}lua.exe"), f"{public}lua.exe {public}data\\main.lua", log.desk.boot, wait="1750")
    for _ in range(6):
        log.start(EDGE, f'"{EDGE.path}" --type=renderer', edge, wait="150", level="Low")
    return log


WRITERS: dict[str, Callable[[], str]] = {
    "windows-sysmon.jsonl": sysmon,
    "defender.json": event_hub,
    "defender-hunt.csv": hunt_export,
}


def written() -> Iterator[tuple[Path, bytes]]:
    for name, write in WRITERS.items():
        yield SAMPLES / name, write().encode()


if __name__ == "__main__":
    for path, data in written():
        path.write_bytes(data)
        print(f"{path.name}: {len(data):,} bytes")
