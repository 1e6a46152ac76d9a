"""A learned history of how interpreters are used, in counts by day, and what it says of one use.

The history is a table of `COUNTS`: on this day, on this host, this interpreter was used with this value of this facet
so many times. A row whose value is null stands for the values that were too many to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import pyarrow as pa

from perilune.model.events import EventRef

VERSION = 1  # of what is kept; another version is not read


class Facet(StrEnum):
    """One side of a use of an interpreter. The value of `HOST` is the host itself."""

    HOST = "host"
    ACCOUNT = "account"
    PARENT = "parent"
    SCRIPT = "script"
    SHAPE = "shape"
    HOUR = "hour"
    CPU = "cpu"
    MEMORY = "memory"


# What a run used, where its source says so, rounded up to the next power of two; larger is the last.
CPU_STEPS = tuple(f"up to {1 << n} %" for n in range(12))
MEMORY_STEPS = tuple(f"up to {1 << n} MiB" for n in range(21))


_TIME = pa.timestamp("us", tz="UTC")
_COLUMNS: dict[str, pa.DataType] = {
    "day": pa.date32(), "facet": pa.string(), "interpreter": pa.string(), "host": pa.string(), "value": pa.string(),
    "runs": pa.int64(), "first": _TIME, "last": _TIME,
}  # fmt: skip
COUNTS = pa.schema(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Use:
    """One run of an interpreter, as the history counts it; `` where its event does not say.

    shape   its arguments with everything particular taken out
    hour    of the week in UTC: `Mon 14`
    cpu, memory  one of the steps
    """

    interpreter: str
    host: str
    account: str
    parent: str
    script: str
    shape: str
    hour: str
    time: datetime
    event: EventRef
    cpu: str = ""
    memory: str = ""

    def value(self, facet: Facet) -> str:
        return self.host if facet is Facet.HOST else str(getattr(self, facet.value))


class Standing(StrEnum):
    """How a use stands to the history."""

    NEW = "new"
    RARE = "rare"
    COMMON = "common"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Learned:
    """What the history says of one facet of a case.

    days      earlier days on which this host saw the same; days on which a finding of this run accuses it do not count
    runs      on those days, a busy day counted as no more than `investigation.baseline.BUSY`
    hosts     hosts that ever saw the same, this one included; `of_hosts` have a history at all
    history   days of this host's history before the case
    needs     what is missing for an answer, where it is unknown
    """

    facet: str
    value: str
    interpreter: str
    host: str
    standing: Standing
    text: str
    days: int = 0
    runs: int = 0
    hosts: int = 0
    of_hosts: int = 0
    history: int = 0
    first: date | None = None
    last: date | None = None
    needs: str = ""
    event: EventRef | None = None
    time: datetime | None = None
