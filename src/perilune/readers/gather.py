"""Gathers raw records by kind, so that a reader gives few batches and each of them one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from perilune.ports import Records

ENOUGH = 64  # as many as stay in the processor's cache until a mapping has taken from them what it wants
ENOUGH_BYTES = 4 << 20
UNKNOWN = "record of an unknown kind"
"""How the reason begins for which a record is skipped that no product is known to write."""


class Gathered:
    """Records of one file, by kind, until there are enough of them."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[list[Mapping[str, object]], list[int]]] = {}
        self._count = 0
        self._bytes = 0

    def add(self, kind: str, fields: Mapping[str, object], number: int, size: int) -> None:
        found = self._kinds.get(kind)
        if found is None:
            found = self._kinds[kind] = ([], [])
        found[0].append(fields)
        found[1].append(number)
        self._count += 1
        self._bytes += size

    @property
    def full(self) -> bool:
        return self._count >= ENOUGH or self._bytes >= ENOUGH_BYTES

    def drain(self) -> Iterator[Records]:
        """All that was gathered; the bytes are shared out by count."""
        kinds, self._kinds = self._kinds, {}
        each = self._bytes // max(1, self._count)
        self._count = self._bytes = 0
        for kind, (fields, numbers) in kinds.items():
            yield Records(kind, fields, numbers, each * len(fields))
