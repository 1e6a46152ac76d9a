"""What a watcher tells of itself and of its sources, kept in its lake: for `watch --status` and for the console."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perilune.errors import StoreError
from perilune.service.live.taking import Taker
from perilune.store.events import EventLake, is_lake
from perilune.store.lake_manifest import Manifest

if TYPE_CHECKING:
    from perilune.service.live.watcher import Watcher

SILENT = 15.0  # seconds without a word after which a watcher is taken for dead
_RESERVE = 1 << 20  # bytes kept for telling that the disk is full

Plain = dict[str, object]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a lake's watcher. `state`: watching, stopped, silent (it ended without a word), never."""

    state: str
    watcher: Mapping[str, object]
    sources: Mapping[str, Mapping[str, object]]


def write(watcher: Watcher, state: str) -> None:
    """Keeps what there is to tell."""
    reserve = watcher.lake.folder / "reserve"
    try:
        _note(watcher, state)
    except StoreError:
        if not reserve.exists():
            raise
        reserve.unlink()  # the disk is full: room for these words
        _note(watcher, state)
    if not watcher.problems and not reserve.exists():
        try:
            reserve.write_bytes(bytes(_RESERVE))
        except OSError:
            reserve.unlink(missing_ok=True)


def _note(watcher: Watcher, state: str) -> None:
    watcher.lake.manifest.note("watcher", {"watcher": _watcher(watcher, state)})
    watcher.lake.manifest.note("source", _sources(watcher))


def _watcher(watcher: Watcher, state: str) -> Plain:
    delays = sorted(watcher.delays)
    batches = watcher.lake.manifest.batches()
    detected = watcher.lake.manifest.detected
    return {
        "state": state,
        "at": time.time(),
        "since": watcher.began,
        "process": os.getpid(),
        "problems": dict(watcher.problems),
        "delay_p50": _at(delays, 0.5),
        "delay_p95": _at(delays, 0.95),
        "not_looked_at": sum(batch.rows for batch in batches if batch.seq > detected),
        "memory_mb": _memory(),
        "refused": dict(watcher.detector.refused),
        **watcher.counts(),
    }


def _sources(watcher: Watcher) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    for source in watcher.taker.sources:
        tally, said = watcher.taker.tallies[source.name], source.state
        found[source.name] = {
            "doing": said.doing if said.doing in ("gone", "failed") else "reading" if said.waiting else "waiting",
            "problem": said.problem,
            "behind_bytes": said.waiting,
            "streams": said.streams,
            "lost": dict(said.lost),
            "bytes": tally.bytes,
            "records": tally.records,
            "rows": tally.rows,
            "last": tally.last or None,
            "faults": dict(tally.problems),
            "skipped": dict(tally.skipped),
        }
    return found


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None


def _memory() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() >> 20
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def resume(taker: Taker, lake: EventLake) -> None:
    """Counts go on where the watcher before left them: a loss must not be forgotten by a restart."""
    before = lake.manifest.notes("source")
    for source in taker.sources:
        said, tally = before.get(source.name, {}), taker.tallies[source.name]
        tally.bytes, tally.records, tally.rows = (_int(said.get(name)) for name in ("bytes", "records", "rows"))
        last = said.get("last")
        tally.last = last if isinstance(last, float) else 0.0
        for counts, name in ((tally.problems, "faults"), (tally.skipped, "skipped"), (source.state.lost, "lost")):
            found = said.get(name)
            counts.update({str(what): _int(count) for what, count in found.items()} if isinstance(found, dict) else {})
    gone = set(before) - {source.name for source in taker.sources}
    lake.manifest.forget_notes("source", gone)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def load(folder: Path) -> Status:
    """What was told last."""
    if not is_lake(folder):
        return Status("never", {}, {})
    manifest = Manifest(folder, write=False)
    try:
        watcher = manifest.notes("watcher").get("watcher", {})
        sources = manifest.notes("source")
    finally:
        manifest.close()
    state = str(watcher.get("state", "never"))
    at = watcher.get("at")
    if state == "watching" and isinstance(at, float) and time.time() - at > SILENT:
        state = "silent"
    return Status(state, watcher, sources)
