"""Makes process events for the benchmarks, from a seed: the same file every time.

The shape follows what Windows fleets show: mostly services, browsers and their helpers, some shells; few programs,
many repetitions of the same command line (about 5 % of a million are distinct, drawn with a long tail), a share that
is unique, and a few rows made from the rules themselves, in random case, so that nearly every rule has something to
find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perilune.model.rules import And, Expr, Not, Number, Or, Rule, Text, Wildcard
from perilune.model.tables import COLUMNS
from perilune.store.parquet import MARK

ROW_GROUP = 500_000
TEXTS = (
    "FolderPath FileName ProcessCommandLine XCurrentDirectory XUser ProcessIntegrityLevel XHashes "
    "ProcessVersionInfoOriginalFileName ProcessVersionInfoProductName ProcessVersionInfoCompanyName "
    "ProcessVersionInfoFileDescription XFileVersion InitiatingProcessFolderPath InitiatingProcessCommandLine "
    "XInitiatingProcessUser DeviceName XPlatform XProvider"
).split()
MADE = frozenset(TEXTS) - {"XPlatform", "XProvider", "DeviceName"}
NUMBERS = ("LogonId", "ProcessId")

_SYSTEM = "C:\\Windows\\System32\\"
_PROGRAMS = (  # how often of a hundred, name, folder, product, company, arguments with holes
    (14, "svchost.exe", _SYSTEM, "Windows", "Microsoft Corporation", "-k netsvcs -p -s {word}"),
    (11, "conhost.exe", _SYSTEM, "Windows", "Microsoft Corporation", "0xffffffff -ForceV1"),
    (6, "backgroundTaskHost.exe", _SYSTEM, "Windows", "Microsoft Corporation", "-ServerName:App.{hex}.mca"),
    (5, "RuntimeBroker.exe", _SYSTEM, "Windows", "Microsoft Corporation", "-Embedding"),
    (5, "SearchProtocolHost.exe", _SYSTEM, "Windows Search", "Microsoft Corporation", "Global\\Us{hex}_{n} 1 -{n}"),
    (4, "taskhostw.exe", _SYSTEM, "Windows", "Microsoft Corporation", "{word}"),
    (6, "dllhost.exe", _SYSTEM, "Windows", "Microsoft Corporation", "/Processid:{{{guid}}}"),
    (2.5, "cmd.exe", _SYSTEM, "Windows", "Microsoft Corporation",
     '/c "C:\\Program Files\\{word}\\bin\\{word}.bat" {n}'),
    (2.5, "cmd.exe", _SYSTEM, "Windows", "Microsoft Corporation", "/c dir {path}"),
    (0.8, "powershell.exe", _SYSTEM + "WindowsPowerShell\\v1.0\\", "Windows", "Microsoft Corporation",
     '-NoProfile -ExecutionPolicy Bypass -File "C:\\Scripts\\{word}.ps1" -Id {n}'),
    (0.8, "powershell.exe", _SYSTEM + "WindowsPowerShell\\v1.0\\", "Windows", "Microsoft Corporation",
     "-NoLogo -Command \"Get-{word} | Where-Object {{$_.Id -eq {n}}}\""),
    (0.8, "rundll32.exe", _SYSTEM, "Windows", "Microsoft Corporation", "{path}\\{word}.dll,Control_RunDLL {n}"),
    (0.5, "reg.exe", _SYSTEM, "Windows", "Microsoft Corporation", 'query "HKLM\\SOFTWARE\\{word}" /v {word}'),
    (0.4, "schtasks.exe", _SYSTEM, "Windows", "Microsoft Corporation", "/query /tn {word}"),
    (0.4, "sc.exe", _SYSTEM, "Windows", "Microsoft Corporation", "query {word}"),
    (0.4, "net.exe", _SYSTEM, "Windows", "Microsoft Corporation", "use Z: \\\\{word}\\share"),
    (0.8, "msiexec.exe", _SYSTEM, "Windows Installer", "Microsoft Corporation", "/V"),
    (3, "wmiprvse.exe", _SYSTEM + "wbem\\", "Windows", "Microsoft Corporation", "-secured -Embedding"),
    (12, "chrome.exe", "C:\\Program Files\\Google\\Chrome\\Application\\", "Google Chrome", "Google LLC",
     "--type=renderer --lang=en-US --renderer-client-id={n} --field-trial-handle={n},i,{hex}"),
    (11, "msedge.exe", "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\", "Microsoft Edge",
     "Microsoft Corporation", "--type=utility --utility-sub-type=network.mojom.NetworkService --mojo={hex}"),
    (2, "WINWORD.EXE", "C:\\Program Files\\Microsoft Office\\root\\Office16\\", "Microsoft Office",
     "Microsoft Corporation", '/n "{path}\\{word} {n}.docx" /o ""'),
    (2, "python.exe", "C:\\Python311\\", "Python", "Python Software Foundation", "{path}\\{word}.py --config {n}.ini"),
    (4, "git.exe", "C:\\Program Files\\Git\\cmd\\", "Git", "The Git Development Community", "fetch origin {hex}"),
    (3, "node.exe", "C:\\Program Files\\nodejs\\", "Node.js", "Node.js", "{path}\\{word}.js --port={n}"),
    (1, "java.exe", "C:\\Program Files\\Java\\bin\\", "Java", "Oracle Corporation", "-Xmx{n}m -jar {word}.jar"),
)  # fmt: skip
_WEIGHTS = [program[0] for program in _PROGRAMS]
_PARENTS = [program for program in _PROGRAMS if program[1] in ("svchost.exe", "cmd.exe", "chrome.exe", "git.exe")]
_WORDS = "inventory report update agent backup sync monitor printer report billing cache index audit health".split()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How many rows, how many distinct ones among them, and how many of a thousand are made from rules."""

    rows: int
    seed: int = 1059
    distinct: float = 0.055
    unique: float = 0.015
    from_rules: float = 0.002


def write(path: Path, recipe: Recipe, rules: Sequence[Rule]) -> Path:
    """The events as one Parquet file of several row groups; kept when it is already there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        columns = [(n, COLUMNS[n]) for n in ("Timestamp", *TEXTS, *NUMBERS, "XSourceRecord")]
        schema = pa.schema(columns).with_metadata({MARK: b"DeviceProcessEvents"})  # so that `hunt` knows it
        with pq.ParquetWriter(partial, schema, compression="zstd", dictionary_pagesize_limit=16 << 20) as writer:
            for batch in batches(recipe, rules):
                writer.write_table(batch.cast(schema))
        partial.rename(path)
    return path


def batches(recipe: Recipe, rules: Sequence[Rule]) -> Iterator[pa.Table]:
    """The events, a row group at a time."""
    rng = np.random.default_rng(recipe.seed)
    pool = _pool(max(200, int(recipe.rows * recipe.distinct)), random.Random(recipe.seed))
    odd = list(_odd_rows(rules, random.Random(recipe.seed + 1)))
    for start in range(0, recipe.rows, ROW_GROUP):
        yield _batch(start, min(ROW_GROUP, recipe.rows - start), recipe, pool, odd, rng)


def _batch(
    start: int, count: int, recipe: Recipe, pool: pa.Table, odd: list[dict[str, object]], rng: np.random.Generator
) -> pa.Table:
    ranks = (len(pool) * rng.random(count) ** 6).astype(np.int64)  # a long tail
    uniform = rng.random(count) < recipe.distinct
    ranks[uniform] = rng.integers(0, len(pool), int(uniform.sum()))
    table = pool.take(pa.array(ranks))
    columns = {name: table.column(name).to_numpy(zero_copy_only=False).copy() for name in table.column_names}
    _make_unique(columns, np.flatnonzero(rng.random(count) < recipe.unique), start)
    if odd:
        for row in np.flatnonzero(rng.random(count) < recipe.from_rules):
            for name, value in odd[int(rng.integers(len(odd)))].items():
                columns[name][row] = value
    columns["DeviceName"] = np.array([f"pc{n:04}.example.org" for n in range(400)], object)[rng.integers(0, 400, count)]
    columns["ProcessId"] = rng.integers(4, 65_000, count)
    begin = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(milliseconds=50 * start)
    times = np.datetime64(begin.replace(tzinfo=None), "us") + np.arange(count) * np.timedelta64(50_000, "us")
    found = {name: pa.array(columns[name], COLUMNS[name]) for name in (*TEXTS, *NUMBERS)}
    record = pa.array(np.arange(start, start + count))
    return pa.table({"Timestamp": pa.array(times).cast(COLUMNS["Timestamp"]), **found, "XSourceRecord": record})


def _make_unique(columns: dict[str, np.ndarray], rows: np.ndarray, start: int) -> None:
    for row in rows:
        columns["ProcessCommandLine"][row] = f"{columns['ProcessCommandLine'][row]} --run {start + row:08x}-{row:x}"


def _pool(size: int, chance: random.Random) -> pa.Table:
    rows = [_ordinary(chance, at) for at in range(size)]
    return pa.table({name: [row.get(name) for row in rows] for name in (*TEXTS, *NUMBERS)})


def _ordinary(chance: random.Random, at: int) -> dict[str, object]:
    name, folder, product, company, arguments = chance.choices(_PROGRAMS, _WEIGHTS)[0][1:]
    parent = chance.choice(_PARENTS)[1:]
    user = f"CORP\\user{chance.randrange(300)}" if chance.random() < 0.6 else "NT AUTHORITY\\SYSTEM"
    quoted = f'"{folder}{name}"' if chance.random() < 0.5 else f"{folder}{name}"
    filled = _filled(arguments, chance)
    return {
        "FolderPath": folder + name if chance.random() < 0.95 else f"C:\\Users\\u{chance.randrange(900)}\\{name}",
        "FileName": name,
        "ProcessCommandLine": f"{quoted} {filled}",
        "XCurrentDirectory": "C:\\Windows\\system32\\" if chance.random() < 0.7 else _path(chance) + "\\",
        "XUser": user,
        "ProcessIntegrityLevel": chance.choice(("System", "High", "Medium", "Low")),
        "XHashes": f"SHA1={chance.getrandbits(160):040X},MD5={at % 2000:032X},IMPHASH={at % 500:032X}",
        "ProcessVersionInfoOriginalFileName": name,
        "ProcessVersionInfoProductName": product,
        "ProcessVersionInfoCompanyName": company,
        "ProcessVersionInfoFileDescription": product + " component",
        "XFileVersion": f"10.0.{19041 + at % 40}.{at % 7}",
        "InitiatingProcessFolderPath": parent[1] + parent[0],
        "InitiatingProcessCommandLine": f"{parent[1]}{parent[0]} {_filled(parent[4], random.Random(at % 3000))}",
        "XInitiatingProcessUser": user,
        "XPlatform": "windows",
        "XProvider": "Microsoft-Windows-Sysmon",
        "LogonId": chance.choice((999, 996, 70_000 + at % 5000)),
    }


def _filled(arguments: str, chance: random.Random) -> str:
    return arguments.format(
        word=chance.choice(_WORDS) + str(chance.randrange(60)),
        n=chance.randrange(30_000),
        hex=f"{chance.getrandbits(48):012x}",
        guid=f"{chance.getrandbits(32):08X}-0000-4000-8000-{chance.getrandbits(48):012X}",
        path=_path(chance),
    )


def _path(chance: random.Random) -> str:
    return f"C:\\Users\\user{chance.randrange(300)}\\Documents\\{chance.choice(_WORDS)}{chance.randrange(40)}"


def _odd_rows(rules: Sequence[Rule], chance: random.Random) -> Iterator[dict[str, object]]:
    """For each rule a row that meets one of its branches, its negations left to luck."""
    for at, rule in enumerate(rules):
        for scope in rule.scopes:
            if scope.table == "DeviceProcessEvents":
                row = dict(_ordinary(chance, at))
                made: dict[str, str] = {}
                _meet(scope.expr, made, chance)
                yield row | {name: _recased(text, chance) for name, text in made.items() if name in MADE}


def _meet(expr: Expr, row: dict[str, str], chance: random.Random) -> None:
    match expr:
        case And(of=parts):
            for part in parts:
                _meet(part, row, chance)
        case Or(of=parts) if parts:
            _meet(chance.choice(parts), row, chance)
        case Text(field=field, parts=parts):
            _write(row, field.column, parts)
        case Not() | Number() | _:
            return


def _write(row: dict[str, str], column: str, parts: tuple[str | Wildcard, ...]) -> None:
    text = "".join("x" if isinstance(part, Wildcard) else part for part in parts)
    if column not in row:
        row[column] = text
    elif parts and parts[0] is Wildcard.MANY:
        row[column] += " " + text.removeprefix("x")
    else:
        row[column] = text + " " + row[column]


def _recased(text: str, chance: random.Random) -> str:
    return "".join(c.upper() if chance.random() < 0.3 and len(c.upper()) == 1 else c for c in text)
