"""A real Spark standalone cluster on loopback: one master, workers of one core each, on ports that nobody chose."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 120.0  # seconds for a process to say where it listens


@dataclass(frozen=True, slots=True)
class Standalone:
    """`master` is the address to give to `--runner`; the processes are our own."""

    master: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def cpu_seconds(self) -> float:
        """Of the master, the workers, and all that they started."""
        return sum(cpu_of(process.pid) for process in self.processes)


def missing() -> str:
    """What a cluster needs and is not here; empty where nothing is missing."""
    try:
        import pandas  # noqa: F401
        import pyspark  # noqa: F401
    except ImportError:
        return "pyspark is not installed: pip install 'perilune[spark]'"
    return "" if shutil.which("java") or os.environ.get("JAVA_HOME") else "there is no Java for Spark"


@contextmanager
def standalone(folder: Path, workers: int) -> Iterator[Standalone]:
    """The cluster, for as long as it is wanted; its logs lie in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        log = _start(processes, folder / "master.log", "master.Master", "--host", "127.0.0.1", "--port", "0")
        master = _said(log, r"Starting Spark master at (spark://\S+)", processes[0])
        for number in range(workers):
            options = (
                "--host",
                "127.0.0.1",
                "--cores",
                "1",
                "--memory",
                "2g",
                "--work-dir",
                str(folder / f"work{number}"),
            )
            log = _start(processes, folder / f"worker{number}.log", "worker.Worker", *options, master)
            _said(log, r"(Successfully registered with master)", processes[-1])
        yield Standalone(master, processes)
    finally:
        for process in reversed(processes):
            _stop(process)


def _start(processes: list[subprocess.Popen[bytes]], log: Path, name: str, *options: str) -> Path:
    import pyspark

    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", "--webui-port", "0", *options]
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    environment |= {"SPARK_DAEMON_MEMORY": "256m"}
    with log.open("wb") as out:  # a session of its own, so that what a worker starts can be ended with it
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    processes.append(process)
    return log


def _said(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.1)
    raise RuntimeError(f"Spark did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The process, and then what is left of its session."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, of those below it that live, and of those that they have waited for."""
    below: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            number = int(stat.parent.name)
            below.setdefault(int(fields[1]), []).append(number)
            used[number] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    todo, total = [pid], 0.0
    while todo:
        one = todo.pop()
        total += used.get(one, 0.0)
        todo += below.get(one, [])
    return total
