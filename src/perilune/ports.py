"""What a plugin author implements. Each port is a few methods; `plugins.py` finds implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

from perilune.model.actions import Action, Endpoint, Kind, Observation, Receipt, Request, TargetType
from perilune.model.sources import Problem

if TYPE_CHECKING:
    import pyarrow as pa

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of one reading. A limit that was met is said in the file's report; nothing is cut silently.

    max_file_bytes        bytes taken from one file or archive member, after unpacking
    max_archive_ratio     unpacked bytes per packed byte, looked at once more than 16 MiB came out
    max_spool_bytes       an archive's member kept in a temporary file, where a reader has to seek in it
    max_archive_depth     archives within archives
    max_archive_members   members of one archive
    max_line_bytes        one line of a text format
    max_record_bytes      one JSON value of a document that is not lines
    max_text_chars        one joined text: a script of many blocks, an argument of many pieces
    max_faults            faults in a row after which a file is given up
    max_kinds             kinds of problem or of skipped record kept for one file
    max_join_window       records that may lie between the parts of one event
    max_join_bytes        bytes held back while parts are waited for
    max_processes         processes remembered as possible parents
    batch_rows            rows of one Table, at most
    batch_bytes           bytes of raw records gathered for one Table, roughly
    """

    max_file_bytes: int = 64 << 30
    max_archive_ratio: int = 250
    max_spool_bytes: int = 4 << 30
    max_archive_depth: int = 3
    max_archive_members: int = 100_000
    max_line_bytes: int = 16 * MIB
    max_record_bytes: int = 64 * MIB
    max_text_chars: int = 64 * MIB
    max_faults: int = 10_000
    max_kinds: int = 50
    max_join_window: int = 1024
    max_join_bytes: int = 64 * MIB
    max_processes: int = 65_536
    batch_rows: int = 16_384
    batch_bytes: int = 32 * MIB


@dataclass(frozen=True, slots=True)
class Records:
    """Raw records of one kind, on their way to a mapping.

    kind     what a mapping is chosen by, e.g. `windows:Microsoft-Windows-Sysmon/1`, `auditd:execve`
    fields   one mapping of raw names to raw values per record
    numbers  the records' numbers in their file, same length
    size     bytes that they took in the file, roughly
    """

    kind: str
    fields: Sequence[Mapping[str, object]]
    numbers: Sequence[int]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """Raw records of one kind that were decoded to columns at once, nested objects to structs.

    Their numbers are `numbers`, or count up from `first`.
    """

    kind: str
    data: pa.Table
    first: int
    size: int = 0
    numbers: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Halves:
    """Windows events of one kind, of which only the head is decoded; see `readers.halves`.

    events  each with its `System` decoded, and with its `EventData` as JSON text
    """

    kind: str
    events: Sequence[object]
    numbers: Sequence[int]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table as they are: what was read and mapped before."""

    table: str
    data: pa.Table


@dataclass(frozen=True, slots=True)
class Count:
    """So many more records were found in the file; `skipped` of them give no row of their own, by reason."""

    found: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """Part of the file could not be read: the file's report says `partial`, and names this problem."""

    problem: Problem


Read = Records | Columns | Halves | Rows | Count | Problem | Lost


class Reader(Protocol):
    """Turns the bytes of one format into raw records. Stateless between files.

    name         the format's name, as shown in reports
    looks_for    what its files begin with, in words: shown when no reader recognises a file

    A reader of logs whose times have no year may also have `dated(changed: datetime) -> Reader`: it is then asked
    for a reader of a file that was last changed at that time. `placed(path, changed)` is asked instead where a reader
    has it.
    """

    @property
    def name(self) -> str: ...

    @property
    def looks_for(self) -> str: ...

    def recognises(self, head: bytes) -> bool:
        """Whether the first bytes (up to 64 KiB, UTF-8 where they are text) are this format's; never by name."""
        ...

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        """All records, in batches of bounded size; faults as counted problems, never as exceptions."""
        ...


class Connector(Protocol):
    """A product or a host that actions are done on.

    name     as given to `--connector`
    handles  the kinds of action that it can do, each with a type of target; others are refused when a plan is made
    """

    @property
    def name(self) -> str: ...

    @property
    def handles(self) -> frozenset[tuple[Kind, TargetType]]: ...

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        """Every machine that goes by this name: none, one, or several."""
        ...

    def describe(self, action: Action) -> Sequence[Request]:
        """What `act` would send or change, exactly; asks and changes nothing."""
        ...

    def check(self, action: Action) -> Observation:
        """Whether the action's effect is there now. Reads only. Raises ConnectorError where it cannot tell."""
        ...

    def act(self, action: Action, key: str) -> Receipt:
        """Does it once. `key` names this act for ever: a second call with it must not double the effect.

        What an inverse needs is kept under the key before anything is changed, and `look_again` is called right
        before each request or write that changes something. Raises ConnectorError where nobody can say whether it
        happened.
        """
        ...


_look: ContextVar[Callable[[], None]] = ContextVar("look", default=lambda: None)


def look_again() -> None:
    """Raises where leave to act has ended since it was given: what a connector reads, waits and tries first takes time.

    A worker that was asleep, an approval that ended while a product was busy: both are found out here, as late as it
    can be. What the engine asks is kept in the context, so that a connector's layers need not hand it down.
    """
    _look.get()()


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Everything that is called within asks `look` when it calls `look_again`."""
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)
