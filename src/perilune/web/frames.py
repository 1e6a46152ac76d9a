"""A case's page without what differs from reader to reader: laid out once, kept while nothing is added to the case."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from perilune import __version__
from perilune.model.case import Case
from perilune.report import view
from perilune.triage import guides
from perilune.web.look import environment
from perilune.web.rooms import Rooms

# Where the bar and the acts of a reader go. No text of a log can hold them: they are made at each start.
BAR, ACTS = secrets.token_hex(16), secrets.token_hex(16)
KEPT_BYTES = 32 << 20
# What a page writes out; `?more` and the report hold more, and the page says how much is left out.
SHORT = view.Budget(
    findings=4, repeats=3, nodes=26, timeline=26, entities=5, sources=10, explained=5, entries=30, facts=3,
    columns=12, evidence=6, text=400, answer=280, layers=4, rows=6,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """The page around its two places."""

    before: str
    between: str
    after: str

    @property
    def size(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(slots=True)
class Frames:
    """The last used ones, up to so many bytes."""

    most: int = KEPT_BYTES
    _held: OrderedDict[Hashable, Frame] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, make: Callable[[], Frame]) -> Frame:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()
        with self._lock:
            if key not in self._held:
                self._held[key] = made
                self._size += made.size
            while self._size > self.most:
                self._size -= self._held.popitem(last=False)[1].size
        return made


FRAMES = Frames()


def frame(held: Rooms, case_id: str, more: bool) -> Frame:
    """The frame of a case as it is now."""
    line, last = held.cases.stamp(case_id)
    key = (held.settings.store_url, line.id, last, line.status, more)
    return FRAMES.get(key, lambda: lay_out(held.cases.load(line.id), held, more))


def lay_out(case: Case, held: Rooms, more: bool) -> Frame:
    found = view.lay_out(case, case.sources, case.explained, view.Budget() if more else SHORT)
    text = environment().get_template("console_case.html.j2").render(
        view=found,
        case=case,
        more=more,
        cut=bool(found.findings_cut or found.tree_cut or found.timeline_cut or case.findings),
        guide=guides.render(case) if case.findings else None,
        generated=held.now(),
        version=__version__,
        bar_mark=BAR,
        acts_mark=ACTS,
    )  # fmt: skip
    before, _, rest = text.lstrip().partition(BAR)
    between, _, after = rest.partition(ACTS)
    return Frame(before, between, after)
