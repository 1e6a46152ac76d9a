"""What a controlled run showed, put beside what was read: its record becomes a layer, its calls and strings count.

The record has a line for each call and each string that was built, so that whatever is concluded from the run can be
pointed at like anything else. Code that was loaded while it ran is read in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from perilune.analysis.lua.apis import Mark
from perilune.analysis.lua.run import marks
from perilune.analysis.lua.work import Program, Waiting, Work
from perilune.model.lua import Call, Event, Form, Identity, Literal, Loaded, Outcome, Run, Trace

Execute = Callable[[bytes, Identity, str], Trace]
MOST_RUNS = 4  # programs of one file
MOST_LINE = 2_000
MOST_STRINGS = 500
LEAST_CODE = 200  # characters; a shorter string is told even where the code that was loaded holds it
MOST_COMPARED = 400
_RUNNABLE = (Form.SOURCE, Form.BYTECODE)


def run_all(work: Work, execute: Execute, name: str) -> Iterator[Run]:
    """Runs the file, or the programs that lie in it; what a program unpacks runs with it."""
    programs = [one for one in work.programs if one.unit.identity.form in _RUNNABLE and _on_its_own(work, one)]
    for one in programs[:MOST_RUNS]:
        yield _run(work, one, execute, one.given.name or name)
    if len(programs) > MOST_RUNS:
        work.cut.append(f"of {len(programs)} programs inside only {MOST_RUNS} were run")


def _on_its_own(work: Work, one: Program) -> bool:
    forms = {unit.layer: unit.identity.form for unit in work.units}
    return one.given.parent is None or forms.get(one.given.parent) is Form.CARRIER


def _run(work: Work, one: Program, execute: Execute, name: str) -> Run:
    trace = execute(one.given.data, one.unit.identity, name)
    work.unseen |= dict.fromkeys(trace.unseen)
    work.cut += trace.cut
    if trace.outcome is Outcome.NOT_EXECUTED:
        return Run(one.unit.layer, trace)
    record = _Record(len(work.layers), trace.chunks)
    record.calls(trace.events)
    record.loads(trace.chunks)
    record.strings(trace.strings[:MOST_STRINGS])
    text = "\n".join(record.lines)
    whole = len(work.layers[one.unit.layer].text)
    work.add(Waiting(b"", "run", one.unit.layer, 0, whole, note="what it did in a controlled run"), text)
    work.calls += record.called
    work.literals += record.built
    work.marks += _marks(work, record)
    for chunk, start, end in record.loaded:
        _follow(work, one, record.layer, chunk, (start, end))
    return Run(one.unit.layer, trace, record.layer)


class _Record:
    """The lines of a run, and what stands on which."""

    def __init__(self, layer: int, chunks: Iterable[Loaded] = ()) -> None:
        self.layer = layer
        self.codes = [chunk.code.decode("latin-1") for chunk in chunks]
        self.lines: list[str] = []
        self.at = 0
        self.called: list[Call] = []
        self.built: list[Literal] = []
        self.loaded: list[tuple[Loaded, int, int]] = []
        self.carried: list[tuple[str, tuple[str, ...], int, int]] = []

    def _line(self, text: str) -> tuple[int, int]:
        shown = text[:MOST_LINE].replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        start = self.at
        self.lines.append(shown)
        self.at += len(shown) + 1
        return start, start + len(shown)

    def calls(self, events: Iterable[Event]) -> None:
        for one in events:
            call = Call(one.name, self.layer, 0, 0, one.arguments, "run")
            start, end = self._line(call.text(MOST_LINE) + (f"  {one.times} times" if one.times > 1 else ""))
            self.called.append(replace(call, start=start, end=end, arguments=marks.known(one.arguments)))
            for text in one.arguments:
                if not text.startswith("="):
                    self._string(marks.own(text), start, end)
            if one.carries:
                self.carried.append((one.name, one.carries, start, end))

    def loads(self, chunks: Iterable[Loaded]) -> None:
        for one in chunks:
            start, end = self._line(f"{one.how}: {len(one.code):,} bytes of code")
            self.loaded.append((one, start, end))
            if one.carries:
                self.carried.append((one.how, one.carries, start, end))

    def strings(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._string(text, *self._line(text))

    def _string(self, text: str, start: int, end: int) -> None:
        """A string that it used, but for code that it loaded: that is read as code, in a layer of its own."""
        if len(text) < LEAST_CODE or not any(text[:MOST_COMPARED] in code for code in self.codes):
            self.built.append(Literal(text, self.layer, start, end, "run"))


def _marks(work: Work, record: _Record) -> Iterator[Mark]:
    """Data from outside that reached code, a program or the network: the run proved it."""
    for name, kinds, start, end in record.carried:
        for taken in sorted(work.apis.takes(name)):
            shown = f"data from outside ({', '.join(kinds)}) was given to {name}"
            yield from (Mark(f"{kind}-data-to-{taken}", record.layer, start, end, shown) for kind in kinds)


def _follow(work: Work, one: Program, layer: int, chunk: Loaded, span: tuple[int, int]) -> None:
    if chunk.carries or len(chunk.code) < 2:
        return  # our own marked data, no code of the sample's
    if chunk.code not in one.given.data:
        shown = f"{chunk.how}: {chunk.code[:120].decode('latin-1')}"
        work.marks.append(Mark("unpacked-code", layer, *span, shown))
    note = f"code given to {chunk.how} while it ran" + ("; cut" if chunk.cut else "")
    depth = min(chunk.depth, 8)
    work.follow(Waiting(chunk.code, chunk.how, layer, *span, note=note, sure=True, depth=depth))
