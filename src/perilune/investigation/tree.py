"""Process trees over any sensor, from the rows of one host.

A process is identified by its sensor's own id where there is one (Sysmon's ProcessGuid, Defender's
ProcessUniqueId), else by its PID and start. A parent is found by its own id, else as the newest earlier start
of its PID, which survives PID reuse; a parent that no record describes is known only by what its child says of it.
On Linux one process may exec several programs in turn: each is a node below the one it replaced.
"""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa

from perilune.model.case import ProcessNode
from perilune.model.tables import EventRef, Table

COLUMNS = """
    Timestamp ProcessCreationTime ProcessId ProcessUniqueId FileName FolderPath ProcessCommandLine XUser
    AccountName InitiatingProcessId InitiatingProcessUniqueId InitiatingProcessCreationTime
    InitiatingProcessFileName InitiatingProcessFolderPath InitiatingProcessCommandLine
    InitiatingProcessAccountName XInitiatingProcessUser XPlatform XSourceFile XSourceRecord
""".split()

MAX_DEPTH = 64  # ancestors followed; a longer chain is a fault of the log or of an attacker
EXEC_GAP = timedelta(seconds=10)  # between programs of one process; later, the PID may be another process's
_NO_ID = "{00000000-0000-0000-0000-000000000000}"
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

Row = Mapping[str, object]


@dataclass(slots=True)
class Forest:
    """All processes of one host, by key."""

    nodes: dict[str, ProcessNode] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[int, list[tuple[datetime, str]]] = field(default_factory=lambda: defaultdict(list))
    parent_pids: dict[str, object] = field(default_factory=dict)

    def ancestors(self, key: str) -> list[ProcessNode]:
        """From the parent upwards, at most `MAX_DEPTH`; a loop in the log ends it."""
        found: list[ProcessNode] = []
        seen = {key}
        parent = self.nodes[key].parent if key in self.nodes else None
        while parent is not None and parent not in seen and len(found) < MAX_DEPTH:
            seen.add(parent)
            found.append(self.nodes[parent])
            parent = self.nodes[parent].parent
        return found

    def running(self, pid: int, at: datetime | None) -> str | None:
        """The key of the newest process with this PID that had started by then."""
        starts = self.starts.get(pid)
        if not starts:
            return None
        if at is None:
            return starts[-1][1]
        index = bisect_right(starts, at, key=lambda start: start[0])
        return starts[index - 1][1] if index else None

    def actor(self, row: Row) -> str | None:
        """The key of the process that an event is about: the started one, else the one that acted."""
        if (row.get("ProcessId") is not None or _unique(row.get("ProcessUniqueId"))) and row.get("FolderPath"):
            key = _unique(row.get("ProcessUniqueId"))
            if key in self.nodes:
                return key
            found = self.running(_pid(row.get("ProcessId")), _moment(row))
            if found:
                return found
        key = _unique(row.get("InitiatingProcessUniqueId"))
        if key in self.nodes:
            return key
        return self.running(_pid(row.get("InitiatingProcessId")), _time(row.get("Timestamp")))


# What starts unrelated things: a tree is cut below these, so that two intrusions do not become one case.
SESSION_ROOTS = frozenset(
    """
    init systemd launchd cron crond atd sshd login gdm-session-worker sddm containerd-shim
    containerd-shim-runc-v2 dockerd supervisord runsvdir s6-svscan tini dumb-init system smss.exe
    wininit.exe winlogon.exe services.exe svchost.exe userinit.exe explorer.exe taskeng.exe taskhostw.exe
    sihost.exe runtimebroker.exe wmiprvse.exe
""".split()
)


def anchor(forest: Forest, key: str) -> str:
    """The process that this one's story starts at: its highest ancestor below a session root.

    An ancestor of which nothing but a PID is known may be a session root, so it is taken for one.
    """
    top = key
    for node in forest.ancestors(key):
        name = _base(node.path or node.name)
        if not name or name in SESSION_ROOTS or node.pid in (0, 1):
            break
        top = node.key
    return top


def grow(processes: Table, others: Iterable[Row] = ()) -> Forest:
    """The forest of one host's process starts, with processes that other events' rows only name as stubs."""
    forest = Forest()
    with _uncollected():
        rows = sorted(_rows(processes), key=lambda row: _moment(row) or _NEVER)
        planted: dict[str, _Start] = {}
        for start in rows:
            _plant(forest, planted, start)
        for other in others:
            _stub_actor(forest, planted, other)
        _link(forest, planted)
    return forest


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps the collector of cycles away while a tree grows.

    A hack: nothing made here is garbage, and walking 100,000 young objects again and again takes a quarter of the time
    (bench/triage.py). It ends when a forest is columns and nodes are made only for what a case shows.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def prune(forest: Forest, wanted: Sequence[str], limit: int) -> tuple[tuple[ProcessNode, ...], int]:
    """The wanted processes, their ancestors and descendants, depth first; and how many were left out.

    Wanted processes and their ancestors come before descendants when the limit is short.
    """
    keep = dict.fromkeys(key for key in wanted if key in forest.nodes)
    for key in list(keep):
        keep.update(dict.fromkeys(node.key for node in forest.ancestors(key)))
    below = dict.fromkeys(key for key in _descendants(forest, list(keep)[: len(wanted)]) if key not in keep)
    chosen = [*keep, *below][:limit]
    cut = len(keep) + len(below) - len(chosen)
    return tuple(_walk(forest, set(chosen))), cut


def marked(node: ProcessNode, findings: Iterable[str]) -> ProcessNode:
    """The node with the ids of the findings on it."""
    return replace(node, findings=tuple(findings))


def _rows(table: Table) -> list[dict[str, object]]:
    names = [name for name in COLUMNS if table.has(name)]
    columns = [_values(table.data.column(name)) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: Any) -> list[object]:
    """A column as Python values, each text once: a host's thousands of starts name few programs and users."""
    if not pa.types.is_string(column.type):
        return cast("list[object]", column.to_pylist())
    coded = column.combine_chunks().dictionary_encode()
    texts = [*coded.dictionary.to_pylist(), None]
    places = coded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return [texts[place] for place in places.tolist()]


@dataclass(frozen=True, slots=True)
class _Start:
    """A process start whose parent is not yet found."""

    key: str
    pid: int | None
    time: datetime | None
    row: Row


def _plant(forest: Forest, planted: dict[str, _Start], row: Row) -> None:
    """Takes the process that a start describes; its node is made once its parent is known."""
    time = _moment(row)
    pid = row.get("ProcessId")
    key = _unique(row.get("ProcessUniqueId")) or f"{pid}@{_stamp(time)}"
    if key in planted:  # two execs of one process in one microsecond, or the same record twice
        if planted[key].row.get("ProcessCommandLine") == row.get("ProcessCommandLine"):
            return
        key = f"{key}#{len(planted)}"
    planted[key] = _Start(key, _pid(pid) if pid is not None else None, time, row)
    forest.parent_pids[key] = row.get("InitiatingProcessId")
    if pid is not None:
        forest.starts[_pid(pid)].append((time or _NEVER, key))


def _link(forest: Forest, planted: Mapping[str, _Start]) -> None:
    """Makes each planted process's node below its parent, adding a stub where no record describes that."""
    for key, start in planted.items():
        parent = _parent_key(forest, planted, start)
        if parent == key:
            parent = None
        forest.nodes[key] = _node(start, parent)
        if parent is not None:
            forest.children[parent].append(key)


def _node(start: _Start, parent: str | None) -> ProcessNode:
    row = start.row
    return ProcessNode(
        key=start.key,
        parent=parent,
        depth=0,
        pid=start.pid,
        name=_text(row.get("FileName")),
        path=_text(row.get("FolderPath")),
        command_line=_text(row.get("ProcessCommandLine")),
        user=_text(row.get("XUser") or row.get("AccountName")),
        time=start.time,
        event=EventRef("DeviceProcessEvents", _text(row.get("XSourceFile")), _pid(row.get("XSourceRecord"))),
    )


def _parent_key(forest: Forest, planted: Mapping[str, _Start], start: _Start) -> str | None:
    row = start.row
    if (unique := _unique(row.get("InitiatingProcessUniqueId"))) is not None:
        _know(forest, planted, unique, row)
        return unique
    if (replaced := _replaced(forest, planted, start)) is not None:
        return replaced
    pid = row.get("InitiatingProcessId")
    if pid is None:
        return None
    found = forest.running(_pid(pid), start.time)
    if found is not None and found != start.key and _agrees(_path(forest, planted, found), row):
        return found
    key = f"{pid}@{_stamp(_time(row.get('InitiatingProcessCreationTime')))}"
    _know(forest, planted, key, row)
    return key


def _know(forest: Forest, planted: Mapping[str, _Start], key: str, row: Row) -> None:
    """Adds a stub for a parent that no record describes."""
    if key not in planted and key not in forest.nodes:
        forest.nodes[key] = _stub(key, row)


def _path(forest: Forest, planted: Mapping[str, _Start], key: str) -> str:
    return _text(planted[key].row.get("FolderPath")) if key in planted else forest.nodes[key].path


def _replaced(forest: Forest, planted: Mapping[str, _Start], start: _Start) -> str | None:
    """The program that this exec replaced in the same process: same PID and parent, started just before."""
    if start.row.get("XPlatform") != "linux" or start.pid is None or start.time is None:
        return None
    starts = [key for _, key in forest.starts[start.pid]]
    position = starts.index(start.key)
    if position == 0:
        return None
    before = starts[position - 1]
    time = planted[before].time if before in planted else forest.nodes[before].time
    if time is None or start.time - time > EXEC_GAP:
        return None
    return before if forest.parent_pids.get(before) == start.row.get("InitiatingProcessId") else None


def _agrees(path: str, row: Row) -> bool:
    """Whether the child's word about its parent fits the node that has the parent's PID."""
    said = _text(row.get("InitiatingProcessFolderPath")) or _text(row.get("InitiatingProcessFileName"))
    if not said or not path:
        return True
    return _base(said) == _base(path)


def _stub_actor(forest: Forest, planted: Mapping[str, _Start], row: Row) -> None:
    key = _unique(row.get("InitiatingProcessUniqueId"))
    pid = row.get("InitiatingProcessId")
    if key is None:
        if pid is None or forest.running(_pid(pid), _time(row.get("Timestamp"))) is not None:
            return
        key = f"{pid}@{_stamp(_time(row.get('InitiatingProcessCreationTime')))}"
    if key not in planted and key not in forest.nodes:
        stub = _stub(key, row)
        forest.nodes[key] = stub
        if stub.pid is not None:
            forest.starts[stub.pid].insert(0, (stub.time or _NEVER, key))


def _stub(key: str, row: Row) -> ProcessNode:
    """A process known only because another row names it as the one that acted."""
    path = _text(row.get("InitiatingProcessFolderPath"))
    pid = row.get("InitiatingProcessId")
    return ProcessNode(
        key=key,
        parent=None,
        depth=0,
        pid=_pid(pid) if pid is not None else None,
        name=_text(row.get("InitiatingProcessFileName")) or _base(path),
        path=path,
        command_line=_text(row.get("InitiatingProcessCommandLine")),
        user=_text(row.get("XInitiatingProcessUser") or row.get("InitiatingProcessAccountName")),
        time=_time(row.get("InitiatingProcessCreationTime")),
        event=None,
    )


def _descendants(forest: Forest, keys: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    stack = list(reversed(keys))
    while stack:
        for child in forest.children.get(stack.pop(), ()):
            if child not in found:
                found[child] = None
                stack.append(child)
    return list(found)


def _walk(forest: Forest, chosen: set[str]) -> list[ProcessNode]:
    """Depth first, siblings by time; depth counts chosen ancestors only."""
    roots = [key for key in chosen if forest.nodes[key].parent not in chosen]
    order: list[ProcessNode] = []
    seen: set[str] = set()
    stack = [(key, 0) for key in _by_time(forest, roots, newest_first=True)]
    while stack:
        key, depth = stack.pop()
        if key in seen:
            continue
        seen.add(key)
        node = forest.nodes[key]
        order.append(replace(node, depth=depth, parent=node.parent if depth else None))
        below = [child for child in forest.children.get(key, ()) if child in chosen]
        stack.extend((child, depth + 1) for child in _by_time(forest, below, newest_first=True))
    return order


def _by_time(forest: Forest, keys: Iterable[str], *, newest_first: bool) -> list[str]:
    return sorted(keys, key=lambda k: (forest.nodes[k].time or _NEVER, k), reverse=newest_first)


def _moment(row: Row) -> datetime | None:
    return _time(row.get("ProcessCreationTime")) or _time(row.get("Timestamp"))


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _stamp(time: datetime | None) -> str:
    return time.isoformat() if time else "?"


def _unique(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and value and value != _NO_ID else None


def _pid(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _base(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].lower()
