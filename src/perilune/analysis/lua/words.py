"""Which of many words a text holds, in one pass: asking for each alone took ten times as long."""

from __future__ import annotations

from collections.abc import Iterable

import ahocorasick_rs


class Words:
    def __init__(self, words: Iterable[str]) -> None:
        self._words = sorted(set(words))
        self._scan = ahocorasick_rs.AhoCorasick(self._words)

    def inside(self, text: str) -> frozenset[str]:
        """The words that stand anywhere in a text, parts of longer ones too."""
        hits = self._scan.find_matches_as_indexes(text, overlapping=True)
        return frozenset(self._words[number] for number in {hit[0] for hit in hits})
