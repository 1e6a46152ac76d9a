"""What a plugin author implements. Each port is a few methods; `plugins.py` finds implementations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from perilune.model.sources import Problem


@dataclass(frozen=True, slots=True)
class Records:
    """Raw records of one kind, on their way to a mapping.

    kind     what a mapping is chosen by, e.g. `evtx:Microsoft-Windows-Sysmon/1`, `auditd:execve`
    fields   one mapping of raw names to raw values per record
    numbers  the records' numbers in their file, same length
    """

    kind: str
    fields: Sequence[Mapping[str, object]]
    numbers: Sequence[int]


class Reader(Protocol):
    """Turns the bytes of one format into raw records. Stateless between files."""

    name: str

    def recognises(self, head: bytes) -> bool:
        """Whether the first bytes (up to 64 KiB) are this format's; never looks at a name."""
        ...

    def read(self, stream: BinaryIO) -> Iterator[Records | Problem]:
        """All records, in batches of bounded size; faults as counted problems, never as exceptions."""
        ...
