"""Measures the readers: records per CPU second and peak memory, each format against a baseline in the same run.

    python bench/readers.py            # all formats
    python bench/readers.py --quick    # a tenth of the records, for a look

The baseline is the least that any Python reader of the format must do: decode every record and drop it.
  evtx    the `evtx` package's JSON text of each record, parsed by orjson
  jsonl   orjson of each line
  csv     the rows of csv.reader
  auditd  each line split into its `name=value` words

Each measurement is a process of its own, so that its peak memory is its own. `flat` is the peak of ten times the
input divided by the peak of one. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PERILUNE_DATA", CHECKOUT.parent / "shared" / "data"))
FORMATS = ("evtx", "jsonl", "csv", "auditd")
ROUNDS = 3


# --- inputs, made the same in every run


def row(number: int) -> dict[str, object]:
    """One Defender row of the usual width, with the usual share of repeated values."""
    image = f"C:\\Program Files\\Tool{number % 97}\\tool{number % 97}.exe"
    texts = {
        name: f"{name} {number % 50}"
        for name in (
            "SHA1 SHA256 MD5 ProcessVersionInfoCompanyName ProcessVersionInfoProductName AccountSid AccountUpn DeviceId "
            "InitiatingProcessMD5 InitiatingProcessSHA1 InitiatingProcessAccountName InitiatingProcessAccountDomain "
            "InitiatingProcessFileName InitiatingProcessParentFileName InitiatingProcessVersionInfoCompanyName"
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


MAKERS: dict[str, Callable[[Path, int], None]] = {
    "evtx": make_evtx,
    "jsonl": make_jsonl,
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
                orjson.loads(next(records)["data"])
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
    "jsonl": decode_jsonl,
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


def compare(file_format: str, folder: Path, records: int) -> dict[str, float]:
    small, large = folder / f"small.{file_format}", folder / f"large.{file_format}"
    MAKERS[file_format](small, records // 10)
    MAKERS[file_format](large, records)
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
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        what, file_format, path, rounds = given.measure
        work = BASELINES[file_format] if what == "baseline" else read
        print(json.dumps(measure(work, Path(path), int(rounds))))
        return
    records = 10_000 if given.quick else 100_000
    found: dict[str, dict[str, float]] = {}
    for file_format in (given.only,) if given.only else FORMATS:
        if file_format == "evtx" and not DATA.is_dir():
            print(f"evtx: no recorded files at {DATA}; set PERILUNE_DATA")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[file_format] = compare(file_format, Path(folder), records)
        figures = found[file_format]
        print(
            f"{file_format:7} {figures['per_second']:>9,} records/CPU s, {figures['share']:.0%} of the baseline's "
            f"{figures['baseline_per_second']:,}; peak {figures['peak_mb']} MB, {figures['flat']} times that of a tenth"
        )
    print(json.dumps({"bench": "readers", "quick": given.quick, "formats": found}))


if __name__ == "__main__":
    main()
