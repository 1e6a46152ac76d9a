"""Peeling a text to a fixed point: rewrite it, split it into commands, decode what is encoded, and go on with that.

Breadth first, so that a budget cuts the deepest layers and not the ones beside them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from perilune.analysis import calls, commandline, decoders, encodings, pipes, posix, rewrite_loops, secure_strings
from perilune.analysis.budget import Budget
from perilune.analysis.commandline import Code, Parsed
from perilune.analysis.detect import SHELLS, language_of
from perilune.analysis.rewrite import rewritings_of
from perilune.model.analysis import Command, Layer, LayerState

ROUNDS = 5  # of all rewritings over one text
TAIL = 100_000  # characters of a text that is too long, from its end


@dataclass(slots=True)
class Peeled:
    layers: list[Layer]
    commands: tuple[Command, ...]


def peel(text: str, language: str, budget: Budget, original: str = "") -> Peeled:
    """The layers of a text and its command tree."""
    peeler = _Peeler(budget, original)
    peeler.run(text, language)
    return Peeled(peeler.layers, tuple(peeler.commands_of(0, set())))


@dataclass(slots=True)
class _Peeler:
    budget: Budget
    original: str
    layers: list[Layer] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)  # layer -> what its rewritings left
    parsed: dict[int, list[Parsed]] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)  # id of a Parsed -> the layer of its code
    children: dict[int, list[int]] = field(default_factory=dict)
    fed: dict[int, int] = field(default_factory=dict)  # a pipeline's layer -> id of the Parsed that gets it
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    queue: deque[int] = field(default_factory=deque)

    def run(self, text: str, language: str) -> None:
        self.add("given", None, 0, len(text), text, language)
        while self.queue:
            self.look(self.queue.popleft())

    def add(
        self,
        kind: str,
        parent: int | None,
        start: int,
        end: int,
        text: str,
        language: str,
        state: LayerState = LayerState.WHOLE,
        note: str = "",
        binary: bool = False,
        *,
        further: bool = True,
    ) -> int | None:
        """A new layer's number; that of an equal one if there is one; None where the budget has no room."""
        key = (text, language)
        if text and key in self.seen:
            return self.seen[key]
        depth = 0 if parent is None else self.depth[parent] + 1
        if len(self.layers) >= self.budget.limits.layers or depth > self.budget.limits.depth:
            what = "layers" if depth <= self.budget.limits.depth else "decodings inside one another"
            self.budget.say(f"more {what} than the budget allows: the rest was not decoded")
            return None
        number = len(self.layers)
        self.layers.append(Layer(number, kind, parent, start, end, text, language, state, note, binary))
        self.depth.append(depth)
        self.seen[key] = number
        if parent is not None:
            self.children.setdefault(parent, []).append(number)
        if further and not binary and text:
            self.queue.append(number)
        return number

    def look(self, number: int) -> None:
        layer = self.layers[number]
        if len(layer.text) > self.budget.limits.text:
            self._windows(layer)
            return
        number = self._rewritten(number)
        layer = self.layers[number]
        if not self.budget.spend(len(layer.text) * encodings.PASSES):
            return
        if layer.language in SHELLS or layer.language == "network":
            self._commands(layer)
        if layer.language != "cmd":
            self._calls(layer)
        elif "for " in layer.text.lower():
            for code, start, end in rewrite_loops.commands(layer.text):
                self.add("argument", number, start, end, code, "cmd", note="for /f")
        # What is a layer of its own already is decoded there, where its language is known.
        below = [(self.layers[child].start, self.layers[child].end) for child in self.children.get(number, ())]
        if any(hint in layer.text.lower() for hint in secure_strings.HINTS):
            for one in secure_strings.find(layer.text, self.budget, below):
                self._chain(number, one.start, one.end, one.steps)
                below.append((one.start, one.end))
        if layer.language == "posix" and pipes.is_worth_trying(layer.text):
            self._pipelines(layer)
        for one in encodings.find(layer.text, self.budget, below):
            self._chain(number, one.start, one.end, one.steps)

    def _windows(self, layer: Layer) -> None:
        """The head and the tail of a text that is too long to be looked at as a whole."""
        limit, size = self.budget.limits.text, len(layer.text)
        self.budget.say(f"the text has {size:,} characters: the first {limit:,} and the last {TAIL:,} were looked at")
        for start, end in ((0, limit), (max(limit, size - TAIL), size)):
            text = layer.text[start:end]
            self.add("window", layer.number, start, end, text, layer.language, LayerState.PARTIAL)

    def _rewritten(self, number: int) -> int:
        """The last of the layers that rewriting makes of one."""
        first = number
        for _ in range(ROUNDS):
            before = number
            lower = self.layers[number].text.lower()
            for rewriting in rewritings_of(self.layers[number].language):
                layer = self.layers[number]
                if not any(hint in lower for hint in rewriting.hints):
                    continue
                if not self.budget.spend(len(layer.text)):
                    break
                text = rewriting.apply(layer.text)
                if text == layer.text or len(text) > 2 * self.budget.limits.text:
                    continue
                self.budget.bytes += len(text)
                made = self.add(rewriting.kind, number, 0, len(layer.text), text, layer.language, further=False)
                if made is None or made <= number:
                    break
                number = made
                lower = text.lower()
            if number == before:
                break
        self.last[first] = number
        return number

    def _commands(self, layer: Layer) -> None:
        found = commandline.parse(layer.text, layer.language, self.original if layer.number == 0 else "")
        self.parsed[layer.number] = found
        for one in _flat(found):
            if one.code is not None:
                self._code(layer.number, one, one.code)

    def _code(self, number: int, command: Parsed, code: Code) -> None:
        if code.encoded:
            best, *others = encodings.decode_argument(code.text, self.budget)
            made = self._chain(number, code.start, code.end, [best], code.language)
            for other in others:
                self._chain(number, code.start, code.end, [other], code.language)
        else:
            text = code.text[1:-1] if _QUOTED.fullmatch(code.text) else code.text
            made = self.add("argument", number, code.start, code.end, text, code.language)
        if made is not None and made > number:
            self.codes[id(command)] = made

    def _calls(self, layer: Layer) -> None:
        if layer.language == "posix":
            return
        for call in calls.find(layer.text, layer.language):
            language = call.language or commandline.shell_of(
                call.text, "cmd" if layer.language in _WINDOWS else "posix"
            )
            if call.name.lower() in ("iex", "invoke-expression"):
                language = "powershell"
            self.add("argument", layer.number, call.start, call.end, call.text, language, note=call.name)

    def _pipelines(self, layer: Layer) -> None:
        for one in pipes.evaluate(posix.split(layer.text, 0, min(len(layer.text), commandline.MAX_READ))):
            read = decoders.read(one.data)
            if read is None:
                continue
            language = one.language or language_of(read.text)
            end = min(one.end, len(layer.text))
            self.add(
                "+".join(one.kinds), layer.number, one.start, end, read.text.rstrip("\n"), language, note="pipeline"
            )

    def _chain(
        self, parent: int, start: int, end: int, steps: Sequence[encodings.Step], language: str = ""
    ) -> int | None:
        """Layers of decodings that follow on each other; the number of the last."""
        made: int | None = None
        for step in steps:
            known = language or (
                "" if step.binary else language_of(step.text, _inherited(self.layers[parent].language, step.text))
            )
            made = self.add(step.kind, parent, start, end, step.text, known, step.state, step.note, step.binary)
            if made is None or made <= parent:
                return None
            parent, start, end = made, 0, len(step.text)
        return made

    # --- the command tree --------------------------------------------------------------------------------------

    def commands_of(self, number: int, inside: set[int]) -> list[Command]:
        """The commands of a layer as it stands after its rewritings, with all that they start."""
        if number in inside:
            return []
        inside = inside | {number}
        last = self.last.get(number, number)
        owned = set(self.codes.values())
        free = [child for child in self.children.get(last, []) if child not in owned]
        self._feed(last, free)
        commands = [self._command(one, last, free, inside) for one in self.parsed.get(last, [])]
        for child in free:
            commands += self._by(self.commands_of(child, inside), self.layers[child])
        return commands

    def _command(self, one: Parsed, layer: int, free: list[int], inside: set[int]) -> Command:
        inner = [self._command(sub, layer, free, inside) for sub in one.inner]
        code = self.codes.get(id(one))
        if code is not None:
            inner += self.commands_of(code, inside)
        for child in list(free):
            decoded = self.layers[child]
            if self.fed.get(child) == id(one) or (one.start <= decoded.start and decoded.end <= one.end):
                free.remove(child)
                inner += self._by(self.commands_of(child, inside), decoded)
        row = one.row.name if one.row else ""
        return Command(layer, one.start, min(one.end, len(self.layers[layer].text)), one.image, row, one.technique,
                       one.arguments, one.by, code, tuple(inner))  # fmt: skip

    def _feed(self, layer: int, free: list[int]) -> None:
        """Finds for each evaluated pipeline the command at its end, which gets what comes out."""
        for child in free:
            made = self.layers[child]
            if made.note == "pipeline":
                ends = [
                    one for one in self.parsed.get(layer, []) if one.by == "|" and made.start <= one.start < made.end
                ]
                self.fed[child] = id(max(ends, key=lambda one: one.start)) if ends else 0

    def _by(self, commands: Iterable[Command], layer: Layer) -> list[Command]:
        """Commands won from a layer say so, rather than `given`."""
        by = layer.note if layer.kind == "argument" and layer.note else layer.kind
        return [
            Command(c.layer, c.start, c.end, c.image, c.interpreter, c.technique, c.arguments,
                    by if c.by == "given" else c.by, c.code, c.inner)
            for c in commands
        ]  # fmt: skip


_QUOTED = re.compile(r'"[^"]*\s[^"]*"')  # a whole command line in one more pair of quotes
_CODE = frozenset(("powershell", "python", "javascript", "lua", "perl", "ruby", "php", "vbscript"))
_WINDOWS = frozenset(("powershell", "vbscript", "autohotkey", "autoit", "html"))


def _inherited(language: str, text: str) -> str:
    """The language of decoded text that nothing else tells: code decoded inside code is mostly in the same language."""
    return language if language in _CODE and any(mark in text for mark in "$(=") else ""


def _flat(commands: Sequence[Parsed]) -> list[Parsed]:
    found: list[Parsed] = []
    for one in commands:
        found.append(one)
        found += _flat(one.inner)
    return found
