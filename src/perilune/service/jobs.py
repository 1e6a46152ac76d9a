"""Hunts and queries asked for at the console, each in a process of its own: the same commands as on a terminal.

A log is hostile, and so is an upload: it is read by a process that may take so much memory and time and no more, under
a name that we gave it, and it is never run. What the process says is read back within a bound.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

import orjson

from perilune.errors import PeriluneError, UsageError
from perilune.settings import Settings
from perilune.store.jobs import Job, JobStore

SAMPLES = "samples"
KEPT = 20  # newest jobs whose files are kept
ROWS_MOST = 10_000  # of a query's result that are kept
_ANSWER_MOST = 64 << 20
_MEMORY = 6 << 30
_SECONDS = {"hunt": 1800.0, "query": 180.0}
_QUERY_SECONDS, _QUERY_MEGABYTES = 60, 1024
_SAID_MOST = 4000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(slots=True)
class Crew:
    """Does jobs in one thread of this process; several processes may, over one store."""

    settings: Settings
    store: JobStore
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    poll: float = 1.0
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _bell: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(5)

    def ring(self) -> None:
        self._bell.set()

    def folder(self, job_id: str) -> Path:
        return self.settings.home / "jobs" / job_id

    def place(self, job_id: str) -> Path:
        """A job's folder for files, private and made."""
        folder = self.folder(job_id) / "files"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def uploads(self) -> list[Job]:
        """Jobs whose uploaded files are still there."""
        jobs = self.store.jobs(limit=KEPT)
        return [job for job in jobs if "files" in job.body and (self.folder(job.id) / "files").is_dir()]

    def remove(self, job_id: str) -> None:
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def tidy(self) -> None:
        """Removes the files of all but the newest jobs."""
        kept = {job.id for job in self.store.jobs(limit=KEPT)}
        with suppress(OSError):
            for folder in (self.settings.home / "jobs").iterdir():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def _work(self) -> None:
        while not self._stop.is_set():
            with suppress(PeriluneError):  # the store is away: it is asked again
                while not self._stop.is_set() and (job := self.store.claim(str(os.getpid()), at=self.now())):
                    self.do(job)
            self._bell.wait(self.poll)
            self._bell.clear()

    def do(self, job: Job) -> None:
        """One job, to its end."""
        try:
            with self._source(job) as path:
                state, result = self._run(job, path)
        except (PeriluneError, OSError) as error:
            state, result = "failed", {"problem": str(error)}
        self.store.end(job.id, state, result, at=self.now())
        self.tidy()

    @contextmanager
    def _source(self, job: Job) -> Iterator[list[Path]]:
        name = str(job.body.get("from", ""))
        if "files" in job.body:
            yield sorted(self.place(job.id).iterdir())
        elif name == SAMPLES:
            with as_file(files("perilune") / "content" / "samples") as folder:
                yield sorted(path for path in folder.iterdir() if path.name != "README.txt")
        elif name.startswith("J-"):
            yield sorted((self.folder(name) / "files").iterdir())
        elif name in self.settings.logs:
            yield [Path(self.settings.logs[name]).expanduser()]
        else:
            raise UsageError(f"there is no source {name!r} any more")

    def _run(self, job: Job, paths: list[Path]) -> tuple[str, dict[str, object]]:
        folder = self.folder(job.id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        answer, said = folder / "answer.json", folder / "said.txt"
        command = [sys.executable, "-m", "perilune", *_command(job, folder, answer), *map(str, paths)]
        with answer.open("wb") as out, said.open("wb") as errors:
            child = subprocess.Popen(  # noqa: S603 - our own program, its arguments a list
                command, stdin=subprocess.DEVNULL, stdout=errors if job.kind == "query" else out, stderr=errors,
                start_new_session=True, env=self._environment(),
            )  # fmt: skip
            ended = self._watched(job, child)
        words = said.read_bytes()[-_SAID_MOST:].decode("utf-8", "replace")
        if not ended:
            return "failed", {"problem": "it took too long or was stopped; try less input"}
        if child.returncode not in (0, 1, 3):
            return "failed", {"problem": words or f"its process ended with {child.returncode}"}
        if answer.stat().st_size > _ANSWER_MOST:
            return "failed", {"problem": "its answer is too large to be shown here; ask for less"}
        found = orjson.loads(answer.read_bytes())
        return "ready", (_hunted if job.kind == "hunt" else _queried)(found, words)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PERILUNE_HOME": str(self.settings.home), "PERILUNE_STORE": self.settings.store_url}

    def _watched(self, job: Job, child: subprocess.Popen[bytes]) -> bool:
        """Whether the process came to its end by itself; its whole group is ended otherwise."""
        with suppress(OSError, ValueError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        ends = _SECONDS[job.kind]
        while ends > 0 and not self._stop.is_set():
            try:
                child.wait(1.0)
            except subprocess.TimeoutExpired:
                ends -= 1.0
                with suppress(PeriluneError):
                    self.store.see(job.id, at=self.now())
            else:
                return True
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return False


def safe_name(number: int, name: str) -> str:
    """A file's name as we keep it: recognisable, and nothing else."""
    return f"{number:02}-{_UNSAFE.sub('_', Path(name.replace(chr(92), '/')).name)[-80:].lstrip('.') or 'log'}"


def _command(job: Job, folder: Path, answer: Path) -> list[str]:
    if job.kind == "hunt":
        return ["hunt", "--json", "--quiet", "--jobs", "1"]
    (folder / "query.kql").write_text(str(job.body["query"]), encoding="utf-8")
    limits = ["--timeout", str(_QUERY_SECONDS), "--memory", str(_QUERY_MEGABYTES), "--jobs", "1"]
    return ["kql", "--json", "--output", str(answer), *limits, str(folder / "query.kql")]


def _hunted(found: Mapping[str, object], words: str) -> dict[str, object]:
    """What a page shows of a hunt: its cases by id, what was read, what was not."""
    cases = found.get("cases")
    shown = [
        {name: one.get(name) for name in ("id", "severity", "score", "title", "host")}
        for one in (cases if isinstance(cases, list) else [])
    ]
    return {"cases": shown[:500], "more": max(len(shown) - 500, 0), "input": found.get("input", {}), "said": words}


def _queried(found: Mapping[str, object], words: str) -> dict[str, object]:
    rows = found.get("rows")
    kept = rows if isinstance(rows, list) else []
    return {
        "columns": found.get("columns", []), "rows": kept[:ROWS_MOST], "all": len(kept),
        "cut": bool(found.get("cut")) or len(kept) > ROWS_MOST, "now": found.get("now", ""), "said": words,
    }  # fmt: skip
