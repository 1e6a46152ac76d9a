"""How fast Lua is read: static analysis in megabytes of source per CPU second, over the Lua files of this machine.

    python bench/lua.py [FOLDER …]      without one: /usr/share and /usr/lib

The last line is JSON. `lexer` is the speed of the lexer alone in the same run, which tells a busy machine from a slow one.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import time
from pathlib import Path

from perilune.analysis import lua
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.parse import parse

MOST = 8_000_000


def main() -> None:
    folders = [Path(one) for one in sys.argv[1:]] or [Path("/usr/share"), Path("/usr/lib")]
    files = _files(folders)
    if not files:
        print("no Lua files here; name a folder that has some", file=sys.stderr)
        raise SystemExit(1)
    size = sum(map(len, files))
    lua.analyze(b"os.execute('id')")  # loads the tables and the room for command lines
    whole, each = _timed(files)
    print(f"{len(files):,} files, {size / 1e6:.1f} MB of source, one thread")
    print(
        f"static analysis   {size / whole / 1e6:6.2f} MB/s of CPU time; median file {statistics.median(each) * 1000:.1f} ms"
    )
    texts = [one.decode("latin-1") for one in files]
    started = time.process_time()
    tokens = [lex(one) for one in texts]
    lexed = time.process_time() - started
    started = time.process_time()
    for one in tokens:
        parse(one)
    parsed = time.process_time() - started
    print(f"lexer alone       {size / lexed / 1e6:6.2f} MB/s;  parser alone {size / parsed / 1e6:.2f} MB/s")
    line = _one_line(300_000)
    started = time.process_time()
    lua.analyze(line)
    long = time.process_time() - started
    print(f"one line of {len(line):,} characters: {long:.2f} s")
    figures = {
        "bench": "lua", "files": len(files), "bytes": size, "static_mb_per_cpu_s": round(size / whole / 1e6, 3),
        "median_ms": round(statistics.median(each) * 1000, 2), "p99_ms": round(sorted(each)[int(len(each) * 0.99)] * 1000, 1),
        "lexer_mb_per_cpu_s": round(size / lexed / 1e6, 2), "parser_mb_per_cpu_s": round(size / parsed / 1e6, 2),
        "one_line_300k_s": round(long, 2), "max_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip
    print(json.dumps(figures))


def _files(folders: list[Path]) -> list[bytes]:
    found = sorted({p.resolve() for f in folders for kind in ("*.lua", "*.nse") for p in f.rglob(kind) if p.is_file()})
    random.Random(1).shuffle(found)
    kept: list[bytes] = []
    for path in found:
        if sum(map(len, kept)) > MOST:
            break
        kept.append(path.read_bytes())
    return kept


def _timed(files: list[bytes]) -> tuple[float, list[float]]:
    each = []
    for data in files:
        started = time.process_time()
        lua.analyze(data)
        each.append(time.process_time() - started)
    return sum(each), each


def _one_line(size: int) -> bytes:
    """A text in the shape that obfuscators leave: one function, a dispatch loop, strings in escapes, all on one line."""
    rng = random.Random(2)
    parts = ["return(function(...)local d,s=" + str(rng.randrange(1 << 24)) + ",{"]
    while sum(map(len, parts)) < size:
        text = "".join(f"\\{rng.randrange(256):03d}" for _ in range(30))
        parts.append(
            f'"{text}";[{rng.randrange(1 << 16)}-{rng.randrange(1 << 16)}]=(function(a,b)return a[b+{rng.randrange(99)}]end);'
        )
    parts.append("}while d do if d<" + str(1 << 23) + " then d=d-1 else d=s[d]end end end)(...)")
    return "".join(parts).encode()


if __name__ == "__main__":
    main()
