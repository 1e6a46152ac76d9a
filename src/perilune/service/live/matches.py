"""The matches of a stream that has no end: as those of a hunt, but the oldest are let go with their rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from perilune.judging import Hits
from perilune.model.rules import Role, Rule


class Matches(Hits):
    """The matches on the rows of a window."""

    def take(self, table: str, start: int, matches: Iterable[tuple[Rule, int]]) -> None:
        """Takes the matches on a batch whose first row has the place `start` in the window."""
        held = self._rows[table]
        for rule, index in matches:
            if rule.role is Role.PART:
                self._part(rule, table, start + index)
                continue
            held.append((self._number[id(rule)], start + index))
            if rule.role is Role.DETECTION:
                self.counts[rule.id or rule.digest] += 1

    def forget(self, table: str, before: int) -> None:
        """Lets go the matches on rows of a table that are kept no longer."""
        self._rows[table] = [held for held in self._rows[table] if held[1] >= before]
        for key in [key for key in self._parts if key[1] == table]:
            self._parts[key] = array("q", (row for row in self._parts[key] if row >= before))
        for shown in [shown for shown in self.shown if shown[1][0] == table and shown[1][1] < before]:
            del self.shown[shown]
