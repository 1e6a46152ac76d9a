"""What the pack alone says of recorded attacks whose folder or name speaks of an interpreter.

    python bench/samples.py FOLDER [--all]

Prints a Markdown table: each log of FOLDER that a name marks, the sub-technique that the name means, and what the hunt
found in it. `--all` adds the logs without a mark. The last line counts. The names serve to choose and to compare; no
rule knows them.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path

from perilune import pipeline
from perilune.model.rules import Level

# What a name says, in this order: the first that holds is what is expected.
MARKS = (
    (r"t1059[._]?(\d{3})", ""),
    (r"powershell|(?<![a-z])ps(?![a-z])|emotet|psinject", "T1059.001"),
    (r"applescript|osascript", "T1059.002"),
    (r"vbs|vba|wscript|mshta|macro", "T1059.005"),
    (r"jscript|javascript|[^a-z]js(?![a-z])|xsl|sct(?![a-z])|scrobj", "T1059.007"),
    (r"xp_cmdshell|(?<![a-z])cmd(?![a-z])", "T1059.003"),
    (r"bash|unix_?shell", "T1059.004"),
    (r"python", "T1059.006"),
    (r"autoit|autohotkey|ahk", "T1059.010"),
    (r"(?<![a-z])lua", "T1059.011"),
)


def expected(path: Path, folder: Path) -> str:
    """The sub-technique that the log's place and name speak of, or nothing."""
    name = str(path.relative_to(folder)).lower().removesuffix(path.suffix.lower())
    for mark, technique in MARKS:
        if found := re.search(mark, name):
            return technique or f"T1059.{found[1]}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="logs without a mark too")
    options = parser.parse_args()
    hunt = pipeline.hunt([options.folder])
    by_log = defaultdict(list)
    for finding in hunt.findings:
        by_log[finding.event.source].append(finding)
    in_case = {finding.id for case in hunt.cases for finding in case.findings}
    counts: Counter[str] = Counter()
    print("| log | its name says | loudest rule | level | sub-techniques found |\n| --- | --- | --- | --- | --- |")
    for path in sorted(options.folder.rglob("*")):
        wanted = expected(path, options.folder)
        if (
            not path.is_file()
            or path.suffix.lower() not in (".evtx", ".log", ".json", ".jsonl")
            or not (wanted or options.all)
        ):
            continue
        found = [one for one in by_log.get(str(path), ()) if one.id in in_case]
        loudest = max(found, key=lambda one: one.score, default=None)
        techniques = sorted({name for one in found for name in one.techniques if name.startswith("T1059.")})
        counts["marked" if wanted else "other"] += 1
        counts["found"] += bool(wanted and found)
        counts["right"] += bool(wanted and wanted in techniques)
        counts["high"] += bool(wanted and loudest and loudest.level >= Level.HIGH)
        title = loudest.rule_title if loudest else "nothing"
        level = loudest.level.word if loudest else ""
        print(f"| {path.relative_to(options.folder)} | {wanted} | {title} | {level} | {', '.join(techniques)} |")
    print(f"\n{dict(counts)} of {len(hunt.cases)} cases")


if __name__ == "__main__":
    main()
