"""The lake's newest rows, before they are Parquet: an append-only log of Arrow streams in segments of bounded size.

Bytes count only once the manifest names them; what a crash left behind them is written over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from perilune.errors import StoreError
from perilune.model.tables import Table
from perilune.store.lake_manifest import Batch
from perilune.store.parquet import MARK

FOLDER = "log"
SEGMENT_BYTES = 64 << 20


class Log:
    """Appends batches to the newest segment."""

    def __init__(self, folder: Path, batches: Sequence[Batch]) -> None:
        self._folder = folder / FOLDER
        self._folder.mkdir(exist_ok=True)
        named = {batch.segment for batch in batches}
        last = max((_number(path.name) for path in self._folder.glob("*.arrows")), default=0)
        for path in self._folder.glob("*.arrows"):
            if path.name not in named:
                path.unlink()
        self._number = last
        self._file = -1
        self._end = 0
        self.close_segment()  # the last one may end in what a crash left

    @property
    def segment(self) -> str:
        return f"{self._number:012}.arrows"

    def close_segment(self) -> None:
        """What comes next goes into a new segment."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._end = -1, 0
        self._number += 1

    def append(self, tables: Iterable[Table]) -> tuple[str, int, int]:
        """Writes a batch to disk for good; gives its segment, start and length. A StoreError where it cannot."""
        payload = _encoded(tables)
        if self._end and self._end + len(payload) > SEGMENT_BYTES:
            self.close_segment()
        try:
            if self._file < 0:
                path = self._folder / self.segment
                self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            _write_at(self._file, payload, self._end)
            os.fdatasync(self._file)
        except OSError as error:
            raise StoreError(f"the lake cannot be written: {error.strerror}", where=str(self._folder)) from error
        return self.segment, self._end, len(payload)

    def keep(self, length: int) -> None:
        """The last append counts: the next one goes behind it."""
        self._end += length

    def remove(self, segments: Iterable[str]) -> None:
        for name in segments:
            (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def read(folder: Path, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Table]]]:
    """The tables of batches."""
    for batch in batches:
        with (folder / FOLDER / batch.segment).open("rb") as stream:
            stream.seek(batch.start)
            payload = stream.read(batch.length)
        if len(payload) != batch.length:
            raise StoreError("the lake's log is shorter than it was", where=batch.segment)
        yield batch, list(_decoded(payload))


def _encoded(tables: Iterable[Table]) -> bytes:
    out = pa.BufferOutputStream()
    for table in tables:
        schema = table.data.schema.with_metadata({MARK: table.name.encode()})
        with pa.ipc.new_stream(out, schema) as writer:
            writer.write_table(table.data.replace_schema_metadata(schema.metadata))
    return out.getvalue().to_pybytes()


def _decoded(payload: bytes) -> Iterator[Table]:
    source = pa.BufferReader(payload)
    try:
        while source.tell() < len(payload):
            with pa.ipc.open_stream(source) as reader:
                data = reader.read_all()
            name = (data.schema.metadata or {})[MARK].decode()
            yield Table(name, data.replace_schema_metadata(None))
    except (pa.ArrowException, KeyError, OSError) as error:
        raise StoreError(f"the lake's log cannot be read: {error}") from error


def _write_at(file: int, payload: bytes, at: int) -> None:
    view = memoryview(payload)
    while view:
        done = os.pwrite(file, view, at)
        view, at = view[done:], at + done


def _number(name: str) -> int:
    digits = name.partition(".")[0]
    return int(digits) if digits.isdecimal() else 0
