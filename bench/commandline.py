"""Measures the analysis of command lines: how often it is right, and how fast.

    PERILUNE_DATA=… python bench/commandline.py [--quick]

The labelled lines are `commands/benign.jsonl` and `commands/attack.jsonl` of a folder that is not in the repository.
Lines are split in two halves by a checksum of their text: the development half was looked at while capabilities were
written, the held-out half was only counted. `tests/analysis/lines` has lines of our own, a third of them held out. Two baselines stand beside: a list of keywords, and the weights of a
published command-line analysis, restated from a description of it. The last line of the output is JSON.
"""

# ruff: noqa: E501 - tables of patterns and of output

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perilune.analysis import analyze

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.analysis import labelled
from tests.analysis.labelled import wilson

BANDS = (("low", 10), ("medium", 30), ("high", 80), ("critical", 95))


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    attack: bool
    technique: str
    held_out: bool


def load(folder: Path) -> list[Line]:
    lines: list[Line] = []
    for name, attack in (("benign", False), ("attack", True)):
        for record in (folder / "commands" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            one = json.loads(record)
            if one["cmd"].strip():
                held_out = zlib.crc32(one["cmd"].encode()) % 2 == 1
                lines.append(Line(one["cmd"], attack, one.get("tech", ""), held_out))
    return lines


# --- baselines -------------------------------------------------------------------------------------------------------

KEYWORDS = """
powershell -enc -encodedcommand frombase64string iex invoke-expression downloadstring downloadfile mimikatz hidden bypass
-nop certutil bitsadmin mshta regsvr32 rundll32 wscript cscript vssadmin schtasks base64 /dev/tcp nc -e netcat whoami curl
wget chmod +x /tmp/ lsass procdump psexec amsi
""".split()


def keyword_score(text: str) -> int:
    """40 points for each keyword: one is `medium`, two are `high`."""
    lower = text.lower()
    return min(100, 40 * sum(word in lower for word in KEYWORDS))


# Families, weights and groups as published; the words are a restatement of what each family is said to look for.
PUBLISHED: tuple[tuple[str, int, str, str], ...] = (
    ("mixed case powershell", 25, "high", r"(?-i:(?!powershell|PowerShell|Powershell|POWERSHELL)[pP][oO][wW][eE][rR][sS][hH][eE][lL][lL])"),
    ("powershell patterns", 35, "high", r"-w(indowstyle)?\s+hidden|-nop\b|-noni\b|downloadstring|downloadfile|invoke-webrequest|net\.webclient|\.connect\(|\.send\(|\.receive\(|start-bitstransfer|add-type|reflection\.assembly|frombase64string|-enc(odedcommand)?\b"),
    ("malicious commands", 25, "high", r"mimikatz|invoke-expression|invoke-shellcode|invoke-mimikatz|bloodhound|powersploit|powercat|rubeus|psexec|netripper|get-keystrokes|invoke-dllinjection"),
    ("amsi", 25, "high", r"amsiutils|amsiscanbuffer\(\)\w|amsiinitfailed"),
    ("reversed", 25, "high", r"llehsrewop"),
    ("macos", 25, "high", r"osascript.*(do shell script|display dialog|keychain|system events)"),
    ("exfiltration", 15, "medium", r"curl.*(-f|--data|-t)\s|ftp\s.*put|invoke-restmethod.*post|uploadfile"),
    ("lateral movement", 15, "medium", r"\\\\[\w.]+\\(c|admin|ipc)\$|wmic.*/node|enter-pssession|invoke-command.*-computername|winrs"),
    ("obfuscated", 15, "medium", r"\^\w\^|`\w`|'\s*\+\s*'|\[char\]|-join|-replace.*-replace"),
    ("indicators", 10, "medium", r"https?://|\b(?!10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"),
    ("reconnaissance", 10, "low", r"\b(dir|tree|ping|hostname|whoami|ipconfig|systeminfo|netstat|tasklist|net (user|group|view)|nslookup|arp|route|quser)\b"),
    ("base64", 5, "low", r"[A-Za-z0-9+/]{40,}={0,2}"),
    ("suspicious parameters", 5, "low", r"-noprofile|-executionpolicy\s+bypass|-ep\s+bypass|-noninteractive|-windowstyle"),
)  # fmt: skip
_PUBLISHED = tuple(
    (name, weight, group, re.compile(pattern, re.IGNORECASE)) for name, weight, group, pattern in PUBLISHED
)


def published_score(text: str) -> int:
    """The sum of the families' weights and one bonus for more than one, in per cent of 120."""
    hits = [(weight, group) for _, weight, group, pattern in _PUBLISHED if pattern.search(text)]
    groups = {group for _, group in hits}
    bonus = 0 if len(hits) < 2 else 30 if "high" in groups else 20 if "medium" in groups else 10
    return min(100, round(100 * (sum(weight for weight, _ in hits) + bonus) / 120))


# The published bands begin at 26 (medium) and 51 (high); ours at 30 and 80. Each scorer is judged by its own.
SCORERS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "perilune": (lambda text: analyze(text).score, 30, 80),
    "keywords": (keyword_score, 40, 80),
    "published weights": (published_score, 26, 51),
}

# --- output ----------------------------------------------------------------------------------------------------------


def share(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{hits:6,} of {total:6,} = {hits / total if total else 0:6.1%} [{low:.1%}, {high:.1%}]"


def accuracy(lines: Sequence[Line], scores: Sequence[int], name: str, least: int) -> dict[str, object]:
    harmless = [score for line, score in zip(lines, scores, strict=True) if not line.attack]
    attacks = [score for line, score in zip(lines, scores, strict=True) if line.attack]
    interpreters = [
        s for line, s in zip(lines, scores, strict=True) if line.attack and line.technique.startswith("T1059")
    ]
    false, true, of_t1059 = (sum(score >= least for score in some) for some in (harmless, attacks, interpreters))
    print(
        f"  {name:9} >= {least:3}  recall T1059 {share(of_t1059, len(interpreters))}   recall all {share(true, len(attacks))}"
    )
    print(
        f"                    false alarms {share(false, len(harmless))} = {1000 * false / max(1, len(harmless)):.1f} per 1,000   precision {share(true, true + false)}"
    )
    return {"recall_t1059": of_t1059 / max(1, len(interpreters)), "n_t1059": len(interpreters), "recall": true / max(1, len(attacks)),
            "false_per_1000": 1000 * false / max(1, len(harmless)), "precision": true / max(1, true + false)}  # fmt: skip


def by_technique(lines: Sequence[Line], scores: Sequence[int]) -> dict[str, object]:
    found: dict[str, list[int]] = {}
    for line, score in zip(lines, scores, strict=True):
        if line.attack and line.technique.startswith("T1059"):
            found.setdefault(line.technique, []).append(score)
    print("recall at medium by sub-technique, both halves")
    for technique, some in sorted(found.items()):
        print(f"  {technique:10} {share(sum(score >= 30 for score in some), len(some))}")
    return {technique: [sum(score >= 30 for score in some), len(some)] for technique, some in sorted(found.items())}


def own_lines() -> dict[str, object]:
    """The lines that are in the repository, by part and by technique."""
    found: dict[str, object] = {}
    for held_out in (False, True):
        for name, least in (("attack", 30), ("attack", 80), ("benign", 30), ("benign", 80)):
            hits, total = labelled.share_at([one for one in labelled.load(name) if one.held_out is held_out], least)
            part = f"own lines, {'held-out third' if held_out else 'tuned part'}, {name} at {least}"
            print(f"{part:45} {share(hits, total)}")
            found[part] = [hits, total]
    return found


def speed(lines: Sequence[Line], repeats: int) -> dict[str, object]:
    """Distinct harmless lines per CPU second, best and worst of several runs; the 99th percentile of single lines."""
    texts = list(dict.fromkeys(line.text for line in lines if not line.attack))
    rates, times = [], []
    for _ in range(repeats):
        before = time.process_time()
        for text in texts:
            start = time.process_time()
            analyze(text)
            times.append(time.process_time() - start)
        rates.append(len(texts) / (time.process_time() - before))
    times.sort()
    p99 = times[int(len(times) * 0.99)] * 1000
    print(f"speed: {min(rates):,.0f} to {max(rates):,.0f} distinct lines per CPU second over {repeats} runs of {len(texts):,}; "
          f"99th percentile {p99:.2f} ms, slowest {times[-1] * 1000:.1f} ms")  # fmt: skip
    hostile = "cmd /c " * 1_400_000
    before = time.process_time()
    analyze(hostile)
    print(f"a hostile line of {len(hostile) / 1e6:.1f} MB: {time.process_time() - before:.1f} CPU seconds")
    return {
        "per_cpu_second": [round(min(rates)), round(max(rates))],
        "p99_ms": round(p99, 3),
        "hostile_s": round(time.process_time() - before, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the harmless lines, one run")
    options = parser.parse_args()
    folder = Path(os.environ.get("PERILUNE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "commands").is_dir():
        print(f"no labelled command lines at {folder}; set PERILUNE_DATA")
        return 2
    lines = load(folder)
    if options.quick:
        lines = [line for number, line in enumerate(lines) if line.attack or number % 10 == 0]
    analyze("warm up")
    result: dict[str, object] = {"lines": len(lines)}
    for name, (scorer, medium, high) in SCORERS.items():
        scores = [scorer(line.text) for line in lines]
        for half, held_out in (("development half", False), ("held-out half", True)):
            print(f"{name}, {half}")
            chosen = [(line, score) for line, score in zip(lines, scores, strict=True) if line.held_out is held_out]
            some, their = [line for line, _ in chosen], [score for _, score in chosen]
            bands = BANDS if name == "perilune" else (("medium", medium), ("high", high))
            result[f"{name}, {half}"] = {band: accuracy(some, their, band, least) for band, least in bands}
        if name == "perilune":
            result["techniques"] = by_technique(lines, scores)
    result["own"] = own_lines()
    result["speed"] = speed(lines, 1 if options.quick else 3)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {result['peak_mb']} MB")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
