"""The labelled command lines of `lines/`: attacks by technique, harmless ones by who runs them.

`python -m tests.analysis.labelled` prints recall and false alarms with intervals, and the lines of the part that may be
tuned on that are judged wrongly. The held-out third is only counted: whoever looks at it has spent it.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perilune.analysis import analyze

FOLDER = Path(__file__).parent / "lines"
MEDIUM, HIGH = 30, 80


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    group: str
    attack: bool

    @property
    def held_out(self) -> bool:
        return zlib.crc32(self.text.encode()) % 3 == 0


def load(name: str) -> list[Line]:
    """The lines of `attack` or `benign`."""
    return list(_lines((FOLDER / f"{name}.txt").read_text(encoding="utf-8"), name == "attack"))


def _lines(text: str, attack: bool) -> Iterator[Line]:
    group = ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line[3:]
        elif line and (group or not line.startswith("#")):
            yield Line(line, group, attack)


def share_at(lines: Sequence[Line], least: int) -> tuple[int, int]:
    """How many of the lines reach a score, and how many there are."""
    return sum(analyze(line.text).score >= least for line in lines), len(lines)


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not total:
        return 0.0, 1.0
    share = hits / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, (middle - spread) / (1 + z * z / total)), min(1.0, (middle + spread) / (1 + z * z / total))


def _said(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{hits:4} of {total:4} = {hits / max(1, total):6.1%} [{low:.1%}, {high:.1%}]"


def main() -> None:
    for held_out in (False, True):
        print("held-out third" if held_out else "part that may be tuned on")
        for name in ("attack", "benign"):
            lines = [line for line in load(name) if line.held_out is held_out]
            print(f"  {name} at medium {_said(*share_at(lines, MEDIUM))}   at high {_said(*share_at(lines, HIGH))}")
    for group in Counter(line.group for line in load("attack")):
        print(f"  {group:10} {_said(*share_at([one for one in load('attack') if one.group == group], MEDIUM))}")
    for line in (one for name in ("attack", "benign") for one in load(name) if not one.held_out):
        found = analyze(line.text)
        if (found.score >= MEDIUM) is not line.attack:
            named = ", ".join(one.id for one in found.capabilities)
            print(f"{found.score:3} {line.group[:10]:10} {line.text[:230]}   <{named}>")


if __name__ == "__main__":
    main()
