"""Finds what others add: readers under the entry point `perilune.readers`, connectors under `perilune.connectors`.

A plugin that cannot be imported, or is not what its port asks, is left out and named; the rest go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from perilune.ports import Connector, Reader

READERS = "perilune.readers"
CONNECTORS = "perilune.connectors"
_READER_PARTS = ("name", "looks_for", "recognises", "read")
_CONNECTOR_PARTS = ("name", "handles", "endpoints", "describe", "check", "act")


@dataclass(frozen=True, slots=True)
class Found:
    """The plugins of one port, and those left out, each with the reason."""

    readers: tuple[Reader, ...] = ()
    connectors: tuple[Connector, ...] = ()
    broken: tuple[str, ...] = ()


def find() -> Found:
    """All readers installed beside Perilune."""
    found, broken = _all(READERS, _READER_PARTS, "Reader")
    return Found(readers=tuple(cast(Reader, one) for one in found), broken=broken)


def find_connectors() -> Found:
    """All connectors installed beside Perilune."""
    found, broken = _all(CONNECTORS, _CONNECTOR_PARTS, "Connector")
    return Found(connectors=tuple(cast(Connector, one) for one in found), broken=broken)


def _all(group: str, parts: tuple[str, ...], port: str) -> tuple[list[object], tuple[str, ...]]:
    loaded = [_load(entry, parts, port) for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)]
    return [one for one in loaded if not isinstance(one, str)], tuple(one for one in loaded if isinstance(one, str))


def _load(entry: EntryPoint, parts: tuple[str, ...], port: str) -> object:
    """The plugin, or why it is left out."""
    try:
        made = entry.load()
        plugin: object = made() if isinstance(made, type) else made
    except Exception as error:  # noqa: BLE001 - one of the three doors: a plugin may fail in any way
        return f"{entry.name} ({entry.value}): {type(error).__name__}: {error}"
    missing = [part for part in parts if not hasattr(plugin, part)]
    if missing:
        return f"{entry.name} ({entry.value}): has no {', '.join(missing)}; see perilune.ports.{port}"
    return plugin
