"""What controlled execution costs: cold start of the cage, processor time of warm runs over Lua files of this machine.

    python bench/lua_cage.py [--quick] [FILE or FOLDER …]      without one: /usr/share and /usr/lib

Processor time is that of this process, the zygote and every child, over all passes of a file. The last line is JSON.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from perilune.analysis.lua import cage, identify
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.run.spawn import Zygote
from perilune.model.lua import Form, Identity

MOST, MOST_QUICK = 1500, 150


def main() -> None:
    arguments = [one for one in sys.argv[1:] if one != "--quick"]
    ready, why = cage.available()
    if not ready:
        print(f"not executed: {why}", file=sys.stderr)
        raise SystemExit(1)
    paths = _files([Path(one) for one in arguments] or [Path("/usr/share"), Path("/usr/lib")])
    paths = paths[: MOST_QUICK if "--quick" in sys.argv else MOST]
    if not paths:
        print("no Lua files here; name a folder that has some", file=sys.stderr)
        raise SystemExit(1)
    cold = min(_cold() for _ in range(3))
    print(f"cold start of the cage, with its proofs: {cold:.0f} ms")
    each, passes, ends = _warm(paths)
    ordered = sorted(each)
    median, p99 = statistics.median(each), ordered[int(len(ordered) * 0.99)]
    print(f"{len(each):,} files, {passes:,} passes; processor time of a file:")
    print(f"median {median:.1f} ms, p99 {p99:.1f} ms, most {ordered[-1]:.0f} ms")
    print(", ".join(f"{name} {count}" for name, count in ends.most_common()))
    figures = {
        "bench": "lua_cage", "files": len(each), "passes": passes, "cold_ms": round(cold, 1),
        "median_cpu_ms": round(median, 2), "p99_cpu_ms": round(p99, 1), "max_cpu_ms": round(ordered[-1]),
        "outcomes": dict(ends),
    }  # fmt: skip
    print(json.dumps(figures))


def _files(places: list[Path]) -> list[Path]:
    found = {
        p.resolve()
        for one in places
        for kind in ("*.lua", "*.nse")
        for p in ([one] if one.is_file() else one.rglob(kind))
    }
    paths = sorted(p for p in found if p.is_file() and p.stat().st_size < 2_000_000)
    random.Random(1).shuffle(paths)
    return paths


def _cold() -> float:
    started = time.perf_counter()
    zygote = Zygote()
    took = time.perf_counter() - started
    zygote.close()
    return took * 1000


def _warm(paths: list[Path]) -> tuple[list[float], int, Counter[str]]:
    each: list[float] = []
    passes = 0
    ends: Counter[str] = Counter()
    for warm in (True, False):
        for path in paths[:20] if warm else paths:
            code = path.read_bytes()
            identity = _identity(code)
            before = time.process_time() * 1000 + _zygote_ms()
            trace = cage.run(code, identity, name=path.name)
            if not warm:
                each.append(
                    time.process_time() * 1000 + _zygote_ms() - before + sum(one.cpu_ms for one in trace.passes)
                )
                passes += len(trace.passes)
                ends[str(trace.outcome)] += 1
    return each, passes, ends


def _zygote_ms() -> float:
    """The zygote's own processor time, to a nanosecond."""
    pid = cage._cage.get().pid
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def _identity(code: bytes) -> Identity:
    if known := identify.by_magic(code):
        return known
    dialect, sure, evidence = identify.dialect_of(lex(code.decode("latin-1")))
    return Identity(Form.SOURCE, dialect, sure, evidence)


if __name__ == "__main__":
    main()
