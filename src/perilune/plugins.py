"""Finds what others add: readers announced under the entry point `perilune.readers`.

A plugin that cannot be imported, or is not what its port asks, is left out and named; the rest go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from perilune.ports import Reader

READERS = "perilune.readers"
_READER_PARTS = ("name", "looks_for", "recognises", "read")


@dataclass(frozen=True, slots=True)
class Found:
    """The plugins of one port, and those left out, each with the reason."""

    readers: tuple[Reader, ...] = ()
    broken: tuple[str, ...] = ()


def find() -> Found:
    """All plugins installed beside Perilune."""
    readers: list[Reader] = []
    broken: list[str] = []
    for entry in sorted(entry_points(group=READERS), key=lambda entry: entry.name):
        loaded = _load(entry)
        if isinstance(loaded, str):
            broken.append(loaded)
        else:
            readers.append(loaded)
    return Found(tuple(readers), tuple(broken))


def _load(entry: EntryPoint) -> Reader | str:
    """The plugin, or why it is left out."""
    try:
        made = entry.load()
        plugin = made() if isinstance(made, type) else made
    except Exception as error:  # noqa: BLE001 - one of the three doors: a plugin may fail in any way
        return f"{entry.name} ({entry.value}): {type(error).__name__}: {error}"
    missing = [part for part in _READER_PARTS if not hasattr(plugin, part)]
    if missing:
        return f"{entry.name} ({entry.value}): has no {', '.join(missing)}; see perilune.ports.Reader"
    return cast(Reader, plugin)
