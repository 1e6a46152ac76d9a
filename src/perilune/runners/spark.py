"""Spreads work over an existing Apache Spark cluster. Work items go out and small Arrow tables come back, never rows.

The tasks are those of `local.run`: prepared once in each process, then one item after the other. Only Python of the
cluster's workers is used, through `mapInArrow`; Spark moves and repeats the items, and knows no rule either. Needs
`pyspark` (extra `perilune[spark]`), Java, and this same version of Perilune where the workers run.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import pyarrow as pa

from perilune.errors import PeriluneError, UsageError
from perilune.runners.local import Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Item = TypeVar("Item")
State = TypeVar("State")
Tables = tuple[pa.Table, ...]

PER_CORE = 4  # items of one job for each core: what a job gives is held at once
PATIENCE = 5.0  # seconds for a master to answer
SCHEMA = "number long, result binary"
_MASTER = re.compile(r"local(\[(\d+|\*)\])?|spark://[^\s/]+")
_CONFIGURED = {
    "spark.app.name": "perilune",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "2g",  # the results of a job pass through it
    "spark.driver.maxResultSize": "1900m",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # or the first worker gets all the work
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "10s",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """An open session of a cluster; `cores` is how many items it does at the same time."""

    session: SparkSession
    cores: int


def is_master(text: str) -> bool:
    """Whether a text names a Spark master that can be used: `spark://host:7077`, `local[2]`."""
    return _MASTER.fullmatch(text) is not None


@contextmanager
def open_cluster(master: str, extra: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A session on a master, closed at the end. Raises what is missing: pyspark, Java, the master, our version."""
    if not is_master(master):
        raise UsageError(f"{master!r} is no Spark master", hint="give spark://HOST:7077, or local[2] to try it here")
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError("pyspark is not installed", hint="pip install 'perilune[spark]'") from None
    _answers(master)
    settings = {**_CONFIGURED, **_on_loopback(master), **(extra or {})}
    try:
        asked = SparkConf().setMaster(master).setAll(list(settings.items()))
        session = SparkSession.builder.config(conf=asked).getOrCreate()
    except failures() as error:
        hint = "Spark needs Java 17 or later, with JAVA_HOME or java on the PATH"
        raise PeriluneError(f"no Spark session: {_first_line(error)}", where=master, hint=hint) from None
    try:
        context: Any = session.sparkContext
        if context.pythonExec == "python3":  # PYSPARK_PYTHON says nothing: the same Python as this, there too
            context.pythonExec = sys.executable
        yield Cluster(session, context.defaultParallelism)
    finally:
        session.stop()


def _answers(master: str) -> None:
    """Says at once that no master is there, for which Spark would need a minute."""
    if master.startswith("local"):
        return
    for one in master.removeprefix("spark://").split(","):
        host, _, port = one.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host, int(port)), PATIENCE):
            return
    raise PeriluneError(
        "the Spark master does not answer", where=master, hint="start it, or see its address in its log"
    )


def _on_loopback(master: str) -> dict[str, str]:
    """A cluster on this machine is spoken to over loopback, whatever the machine's name resolves to."""
    if not re.match(r"local|spark://(127\.|localhost:)", master):
        return {}
    return {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


def run(
    cluster: Cluster,
    task: Task[State, Item, Tables],
    items: Iterable[Item],
    *,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Tables]:
    """The result of each item, in the order of the items, some jobs of `PER_CORE` items per core after each other."""
    shared = cluster.session.sparkContext.broadcast((uuid4().hex, task))
    done = 0
    rest = iter(items)
    try:
        while chunk := list(islice(rest, cluster.cores * PER_CORE)):
            try:
                results = _job(cluster, _Work(shared, chunk), len(chunk))
            except failures() as error:
                raise _failed(error) from None
            yield from (_unpacked(result) for result in results)
            done += len(chunk)
            if progress is not None:
                progress(done)
    finally:
        with suppress(*failures()):
            shared.destroy()


def _job(cluster: Cluster, work: _Work, count: int) -> list[bytes]:
    frame = cluster.session.range(0, count, 1, count).mapInArrow(work, SCHEMA)
    found: Any = frame.toArrow()
    results = dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
    return [results[number] for number in range(count)]


def failures() -> tuple[type[Exception], ...]:
    """What Spark raises."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError


def _failed(error: Exception) -> PeriluneError:
    text = str(error)
    if other := re.search(r"the workers have Perilune \S+, this is \S+", text):
        return PeriluneError(other.group(), hint="install the same version on all machines")
    if "No module named 'perilune" in text:
        return PeriluneError("the workers' Python has no Perilune", hint="PYSPARK_PYTHON names the Python they use")
    return PeriluneError(f"the cluster gave up: {last_cause(text)}", hint="the executors' logs say more")


def last_cause(text: str) -> str:
    """The line of a traceback that names the error."""
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*[\w.]*(Error|Exception)\b", line)]
    return (lines[-1] if lines else " ".join(text.split()))[:300]


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n", 1)[0].split())[:300]


# --- in a worker


class _Work:
    """What Spark calls there: for each number, that item of the chunk."""

    def __init__(self, shared: Any, items: Sequence[object]) -> None:
        self._shared = shared
        self._items = items
        self._version = version("perilune")

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if (theirs := version("perilune")) != self._version:  # other rules by the same names, perhaps
            raise RuntimeError(f"the workers have Perilune {theirs}, this is {self._version}")
        for batch in batches:
            numbers: list[int] = batch.column(0).to_pylist()  # type: ignore[assignment]
            for number in numbers:
                token, task = self._shared.value
                result = _packed(task.do(_state(token, task), self._items[number]))
                arrays: list[Any] = [pa.array([number], pa.int64()), pa.array([result], pa.binary())]
                yield pa.RecordBatch.from_arrays(arrays, names=["number", "result"])


_prepared: tuple[str, object] = ("", None)


def _state(token: str, task: Task[object, object, object]) -> object:
    """The task's state, made once in each worker process."""
    global _prepared
    if _prepared[0] != token:
        pa.set_cpu_count(1)  # the processes are the parallelism
        pa.set_io_thread_count(1)
        _prepared = (token, task.prepare())
    return _prepared[1]


def _packed(tables: Tables) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _unpacked(result: bytes) -> Tables:
    source = pa.BufferReader(result)
    found = []
    while source.tell() < source.size():
        found.append(pa.ipc.open_stream(source).read_all())
    return tuple(found)
