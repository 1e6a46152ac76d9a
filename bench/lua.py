"""How fast Lua is read, and how seldom ordinary Lua is said to do what it does not.

    python bench/lua.py [FOLDER …]      without one: /usr/share and /usr/lib

Static analysis in megabytes of source per CPU second; a cold `perilune analyze`; over all files the share that is given
an intent to start programs, talk or load native code without a word for it in its text, and the share that scores high.
The last line is JSON. `lexer` is the speed of the lexer alone in the same run, which tells a busy machine from a slow one.
"""

from __future__ import annotations

import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from perilune.analysis import lua
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.parse import parse
from perilune.model.rules import Level

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.analysis.lua.test_noise import WORDS

MOST = 40_000_000


def main() -> None:
    folders = [Path(one) for one in sys.argv[1:]] or [Path("/usr/share"), Path("/usr/lib")]
    files = _files(folders)
    if not files:
        print("no Lua files here; name a folder that has some", file=sys.stderr)
        raise SystemExit(1)
    size = sum(map(len, files))
    lua.analyze(b"os.execute('id')")  # loads the tables and the room for command lines
    whole, each, noise = _timed(files)
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
    cold = _cold()
    print(f"cold perilune analyze --no-exec: {cold:.2f} s of CPU time")
    print(f"without a word for it in the text: {noise['wrong']} of {len(files):,} files; high: {noise['high']}")
    figures = {
        "wrong": noise["wrong"], "high": noise["high"], "cold_cpu_s": round(cold, 2),
        "bench": "lua", "files": len(files), "bytes": size, "static_mb_per_cpu_s": round(size / whole / 1e6, 3),
        "median_ms": round(statistics.median(each) * 1000, 2), "p99_ms": round(sorted(each)[int(len(each) * 0.99)] * 1000, 1),
        "lexer_mb_per_cpu_s": round(size / lexed / 1e6, 2), "parser_mb_per_cpu_s": round(size / parsed / 1e6, 2),
        "one_line_300k_s": round(long, 2), "max_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip
    print(json.dumps(figures))


def _files(folders: list[Path]) -> list[bytes]:
    found = sorted({p.resolve() for f in folders for kind in ("*.lua", "*.nse") for p in f.rglob(kind) if p.is_file()})
    random.Random(1).shuffle(found)
    kept: dict[bytes, None] = {}
    for path in found:
        kept[path.read_bytes()] = None
        if sum(map(len, kept)) > MOST:
            break
    return list(kept)


def _timed(files: list[bytes]) -> tuple[float, list[float], dict[str, int]]:
    each = []
    noise = {"wrong": 0, "high": 0}
    for data in files:
        started = time.process_time()
        found = lua.analyze(data)
        each.append(time.process_time() - started)
        text = data.decode("latin-1")
        noise["wrong"] += any(not re.search(WORDS[one], text) for one in found.intents if one in WORDS)
        noise["high"] += found.level >= Level.HIGH
    return sum(each), each, noise


def _cold() -> float:
    """CPU seconds of one command on a small script, the best of three."""
    with tempfile.NamedTemporaryFile(suffix=".lua") as script:
        script.write(b"os.execute('id')\n")
        script.flush()
        command = [sys.executable, "-m", "perilune", "analyze", "--no-exec", script.name]
        return min(_child(command) for _ in range(3))


def _child(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
