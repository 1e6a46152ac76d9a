"""Measures the readers: records per CPU second and peak memory, each format against a baseline in the same run.

    python bench/readers.py            # all formats
    python bench/readers.py --quick    # a tenth of the records, for a look

The baseline is the least that any Python reader of the format must do: decode every record and drop it.
  evtx    the `evtx` package's JSON text of each record, parsed by orjson; recorded files of about 30 records each
  evtx-whole  the same of files of 20 MB
  jsonl   Defender rows, one a line: orjson of each line
  csv     the rows of csv.reader
  auditd  each line split into its `name=value` words

  sysmon  process starts as `evtx_dump` writes them, nested, about 1.7 kB each
  hub     Defender rows one by one in the streaming API's envelope
  query   Defender rows as the `results` of one document: orjson of the whole

    python bench/readers.py --only sysmon --records 500000 --keep bench/out    # 860 MB, kept for other runs

Each measurement is a process of its own, so that its peak memory is its own. `flat` is the peak of ten times the
input divided by the peak of one. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PERILUNE_DATA", CHECKOUT.parent / "shared" / "data"))
FORMATS = ("evtx", "evtx-whole", "sysmon", "jsonl", "hub", "query", "csv", "auditd")
ROUNDS = 3


# --- inputs, made the same in every run


def row(number: int) -> dict[str, object]:
    """One Defender row of the usual width, with the usual share of repeated values."""
    image = f"C:\\Program Files\\Tool{number % 97}\\tool{number % 97}.exe"
    texts = {
        name: f"{name} {number % 50}"
        for name in (
            "SHA1 SHA256 MD5 ProcessVersionInfoCompanyName ProcessVersionInfoProductName AccountSid AccountUpn "
            "DeviceId InitiatingProcessMD5 InitiatingProcessSHA1 InitiatingProcessAccountName "
            "InitiatingProcessAccountDomain InitiatingProcessFileName InitiatingProcessParentFileName "
            "InitiatingProcessVersionInfoCompanyName"
        ).split()
    }
    return {
        "Timestamp": f"2026-03-02T08:{number // 60 % 60:02}:{number % 60:02}.1234567Z",
        "DeviceName": f"ws{number % 40}.example.test",
        "ActionType": "ProcessCreated",
        "FileName": image.rsplit("\\", 1)[1],
        "FolderPath": image,
        "ProcessId": 1000 + number % 60_000,
        "ProcessCommandLine": f'"{image}" --input C:\\data\\{number}.txt --level {number % 9}',
        "ProcessCreationTime": f"2026-03-02T08:{number // 60 % 60:02}:{number % 60:02}.0344972Z",
        "AccountDomain": "example",
        "AccountName": f"user{number % 30}",
        "InitiatingProcessId": number % 60_000,
        "InitiatingProcessFolderPath": "c:\\windows\\system32\\cmd.exe",
        "InitiatingProcessCommandLine": f"cmd.exe /c start{number % 300}.bat",
        "InitiatingProcessCreationTime": "2026-03-02T08:00:00.0344972Z",
        "ReportId": number,
        "AdditionalFields": None,
        **texts,
    }


def make_jsonl(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row(number)) + "\n" for number in range(records))


def make_hub(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        for number in range(records):
            wrapped = {"time": "2026-03-02T08:00:00Z", "tenantId": "0f0f", "operationName": "Publish",
                       "category": "AdvancedHunting-DeviceProcessEvents", "properties": row(number)}  # fmt: skip
            out.write(json.dumps(wrapped) + "\n")


def make_query(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.write('{"Schema": [], "Results": [\n')
        out.writelines((",\n" if number else "") + json.dumps(row(number)) for number in range(records))
        out.write("\n]}\n")


_IMAGES = [
    (f"C:\\{folder}\\{name}.exe", product, company)
    for folder, product, company in (
        ("Windows\\System32", "Microsoft® Windows® Operating System", "Microsoft Corporation"),
        ("Windows\\SysWOW64", "Microsoft® Windows® Operating System", "Microsoft Corporation"),
        ("Program Files\\Vendor\\Suite\\bin", "Vendor Suite", "Vendor GmbH"),
        ("Users\\Public\\Documents\\tools", "-", "-"),
    )
    for name in "svchost cmd powershell rundll32 wmiprvse taskhostw conhost notepad msiexec chrome backup agent".split()
]


def sysmon(number: int, chance: random.Random) -> dict[str, object]:
    """A process start as Sysmon 13 logs it. Images and users repeat, command lines in part, ids and times do not."""
    image, product, company = _IMAGES[min(int(chance.expovariate(0.15)), len(_IMAGES) - 1)]
    parent, *_ = _IMAGES[chance.randrange(8)]
    name, host, user = image.rsplit("\\", 1)[1], number % 40, f"CORP\\user{chance.randrange(30)}"
    kind = chance.randrange(20_000) if chance.random() < 0.9 else number
    moment = f"2026-03-02 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}"
    digest = f"{zlib.crc32(image.encode()):08X}"
    guid = f"747F3D96-{number % 65_536:04X}-5F93-0000-{number:012X}"
    return {"Event": {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon",
                                         "Guid": "5770385F-C22A-43E0-BF4C-06F5698FFBD9"}},
            "EventID": 1, "Version": 5, "Level": 4, "Task": 1, "Opcode": 0, "Keywords": "0x8000000000000000",
            "TimeCreated": {"#attributes": {"SystemTime": moment.replace(" ", "T") + "122Z"}},
            "EventRecordID": number, "Correlation": None,
            "Execution": {"#attributes": {"ProcessID": 3208, "ThreadID": 4804}},
            "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": f"ws{host}.corp.example",
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": {
            "RuleName": "-", "UtcTime": moment, "ProcessGuid": guid, "ProcessId": 1000 + number % 60_000,
            "Image": image, "FileVersion": "10.0.17763.1 (WinBuild.160101.0800)",
            "Description": f"{name} of {product}", "Product": product, "Company": company, "OriginalFileName": name,
            "CommandLine": f'"{image}" /job:{kind} --config C:\\ProgramData\\Vendor\\{kind % 97}.json '
                           f"--output C:\\Users\\user{kind % 30}\\AppData\\Local\\Temp\\{kind:x}.log",
            "CurrentDirectory": f"C:\\Users\\user{kind % 30}\\AppData\\Local\\Temp\\", "User": user,
            "LogonGuid": f"747F3D96-4690-5F93-0000-{host:012X}", "LogonId": f"0x{500_000 + host:x}",
            "TerminalSessionId": 1, "IntegrityLevel": chance.choice(("Medium", "High", "System")),
            "Hashes": f"SHA1={digest * 5},MD5={digest * 4},SHA256={digest * 8},IMPHASH={digest * 4}",
            "ParentProcessGuid": f"747F3D96-51CD-5F93-0000-{number % 3000:012X}", "ParentProcessId": number % 3000,
            "ParentImage": parent, "ParentCommandLine": f"{parent} -k netsvcs -p -s Service{kind % 300}",
            "ParentUser": "NT AUTHORITY\\SYSTEM",
        },
    }}  # fmt: skip


def make_sysmon(path: Path, records: int) -> None:
    import orjson

    chance = random.Random(1059)
    with path.open("wb") as out:
        out.writelines(orjson.dumps(sysmon(number, chance)) + b"\n" for number in range(records))


def make_csv(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(row(0))
        writer.writerows(row(number).values() for number in range(records))


def make_auditd(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        for number in range(records // 7):
            out.writelines(_event(number))


def _event(number: int) -> Iterator[str]:
    head = f"msg=audit({1795278900 + number // 250}.{number % 250 * 4:03}:{number}):"
    script = f"local t = {{}} for i = 1, {number} do t[i] = i end".encode().hex().upper()
    yield (
        f"type=SYSCALL {head} arch=c000003e syscall=59 success=yes exit=0 a0=55a61f3f8f50 a1=55a61f3f9270 "
        f"a2=55a61f3fa950 a3=596cf1e36f6b15ce items=2 ppid={number % 3000} pid={number % 30000} auid=4294967295 uid=0 "
        "gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295 "
        'comm="lua5.4" exe="/usr/bin/lua5.4" key="exec"\n'
    )
    yield f'type=EXECVE {head} argc=3 a0="lua5.4" a1="-e" a2={script}\n'
    yield f'type=CWD {head} cwd="/srv/app"\n'
    for item, name in enumerate(("/usr/bin/lua5.4", "/lib64/ld-linux-x86-64.so.2")):
        yield (
            f'type=PATH {head} item={item} name="{name}" inode=260831 dev=fe:00 mode=0100755 ouid=0 ogid=0 '
            "rdev=00:00 nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\n"
        )
    yield f"type=PROCTITLE {head} proctitle={script[:256]}\n"
    yield f"type=EOE {head}\n"


def make_evtx(path: Path, records: int) -> None:
    """Recorded files, the smaller ones first, until there are enough records; linked, not copied."""
    path.mkdir()
    size = 0
    for number, source in enumerate(sorted(DATA.glob("evtx/*/*.evtx")) + sorted(DATA.glob("evtx/*/*/*.evtx"))):
        if size < records * 1500:
            size += source.stat().st_size
            (path / f"{number:03}.evtx").symlink_to(source)


def make_evtx_whole(path: Path, records: int) -> None:
    """Files of 20 MB as a log collector copies them: the chunks of a recorded security log again and again."""
    path.mkdir()
    data = (DATA / "evtx" / "damaged" / "security_bad_string_cache.evtx").read_bytes()
    times = max(1, min(10, records // 2261))
    head = bytearray(data[:4096])
    struct.pack_into("<H", head, 42, times * ((len(data) - 4096) // 65_536))
    for number in range(max(1, records // (2261 * times))):
        (path / f"{number:03}.evtx").write_bytes(bytes(head) + data[4096:] * times)


MAKERS: dict[str, Callable[[Path, int], None]] = {
    "evtx": make_evtx,
    "evtx-whole": make_evtx_whole,
    "sysmon": make_sysmon,
    "jsonl": make_jsonl,
    "hub": make_hub,
    "query": make_query,
    "csv": make_csv,
    "auditd": make_auditd,
}


# --- baselines and the readers


def decode_evtx(path: Path) -> int:
    import orjson
    from evtx import PyEvtxParser

    count = 0
    for source in sorted(path.iterdir()):
        records = PyEvtxParser(str(source), 1).records_json()
        while True:
            try:
                orjson.loads(next(records)["data"])  # type: ignore[index]  # an older stub
            except StopIteration:
                break
            except RuntimeError:
                continue
            count += 1
    return count


def decode_jsonl(path: Path) -> int:
    import orjson

    with path.open("rb") as lines:
        return sum(orjson.loads(line) is not None for line in lines)


def decode_query(path: Path) -> int:
    import orjson

    document: dict[str, list[object]] = orjson.loads(path.read_bytes())
    return len(document["Results"])


def decode_csv(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as lines:
        return sum(1 for _ in csv.reader(lines)) - 1


def decode_auditd(path: Path) -> int:
    count = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            count += 1
    return count


def read(path: Path) -> int:
    from perilune import readers
    from perilune.model.sources import SourceReport

    return sum(item.records for item in readers.read([path]) if isinstance(item, SourceReport))


BASELINES: dict[str, Callable[[Path], int]] = {
    "evtx": decode_evtx,
    "evtx-whole": decode_evtx,
    "sysmon": decode_jsonl,
    "jsonl": decode_jsonl,
    "hub": decode_jsonl,
    "query": decode_query,
    "csv": decode_csv,
    "auditd": decode_auditd,
}


def measure(work: Callable[[Path], int], path: Path, rounds: int) -> dict[str, float]:
    """The best of some rounds, in CPU seconds of this process, and its peak memory."""
    best, count = float("inf"), 0
    for _ in range(rounds):
        begin = time.process_time()
        count = work(path)
        best = min(best, time.process_time() - begin)
    return {"records": count, "cpu": best, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_a_process(what: str, file_format: str, path: Path, rounds: int = ROUNDS) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, file_format, str(path), str(rounds)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout))


def make(file_format: str, path: Path, records: int) -> Path:
    """The input, unless it is there from an earlier run."""
    if not path.exists():
        made = path.with_name(path.name + ".new")
        MAKERS[file_format](made, records)
        made.rename(path)
    return path


def compare(file_format: str, folder: Path, records: int) -> dict[str, float]:
    small = make(file_format, folder / f"{file_format}-{records // 10}", records // 10)
    large = make(file_format, folder / f"{file_format}-{records}", records)
    baseline = in_a_process("baseline", file_format, large)
    ours = in_a_process("read", file_format, large)
    first = in_a_process("read", file_format, small, 1)
    # an audit event is several lines; both sides are counted in lines there
    per_second = baseline["records"] / ours["cpu"]
    return {
        "records": baseline["records"],
        "baseline_per_second": round(baseline["records"] / baseline["cpu"]),
        "per_second": round(per_second),
        "share": round(baseline["cpu"] / ours["cpu"], 2),
        "peak_mb": round(ours["peak_mb"]),
        "flat": round(ours["peak_mb"] / first["peak_mb"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--only", choices=FORMATS, help="one format")
    parser.add_argument("--records", type=int, help="how many, instead of 100,000")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where inputs are kept for further runs")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        what, file_format, path, rounds = given.measure
        work = BASELINES[file_format] if what == "baseline" else read
        print(json.dumps(measure(work, Path(path), int(rounds))))
        return
    records = given.records or (10_000 if given.quick else 100_000)
    found: dict[str, dict[str, float]] = {}
    for file_format in (given.only,) if given.only else FORMATS:
        if file_format.startswith("evtx") and not DATA.is_dir():
            print(f"{file_format}: no recorded files at {DATA}; set PERILUNE_DATA")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[file_format] = compare(file_format, given.keep or Path(folder), records)
        figures = found[file_format]
        print(
            f"{file_format:10} {figures['per_second']:>9,} records/CPU s, {figures['share']:.0%} of the baseline's "
            f"{figures['baseline_per_second']:,}; peak {figures['peak_mb']} MB, {figures['flat']} times that of a tenth"
        )
    print(json.dumps({"bench": "readers", "quick": given.quick, "formats": found}))


if __name__ == "__main__":
    main()
