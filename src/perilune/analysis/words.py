"""Words and segments: what every shell's own splitting gives, with the place of each word in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Word(NamedTuple):
    """One argument. `text` is its value, quotes and escapes taken off; `start` and `end` are where it stands."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class Segment:
    """One simple command of a chain.

    op     what joined it to the one before: ``, `;`, `|`, `&&`, `||`, `&`, a new line
    here   the word of a here-string or the body of a here-document
    files  redirections as (operator, target)
    subs   chains inside it: `$(…)`, backticks, `<(…)`
    """

    op: str = ""
    words: list[Word] = field(default_factory=list)
    here: Word | None = None
    files: list[tuple[str, Word]] = field(default_factory=list)
    subs: list[tuple[str, list[Segment]]] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.words[0].start

    @property
    def end(self) -> int:
        return self.words[-1].end
