"""What a walk over a program keeps: calls of known APIs, strings, code that is run, and where data goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from perilune.analysis.lua.apis import Apis, Mark
from perilune.analysis.lua.names import OPENS, of_loadlib
from perilune.analysis.lua.values import Ref, Value, is_unknown, shown, tags_of
from perilune.model.lua import Call, Literal

MOST_CALLS = 5_000


@dataclass(slots=True)
class Scanned:
    """What a walk found. `chunks`: constant text that is run as code. `open_calls`: known APIs with unknown arguments."""

    calls: list[Call] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    chunks: list[Literal] = field(default_factory=list)
    open_calls: int = 0
    open_code: int = 0  # of these, those that run code
    hidden: int = 0
    indexed: int = 0  # computed keys on the table of globals that stayed unknown


class Recording:
    """The keeping side of a walk; what is walked, and how values are found, is the heir's."""

    def __init__(self, text: str, layer: int, apis: Apis) -> None:
        self.text = text
        self.layer = layer
        self.apis = apis
        self.found = Scanned()
        self.function = ""

    def _folded(self, value: Value, start: int, end: int) -> Value:
        if isinstance(value, str) and len(value) > 2:
            self.found.literals.append(Literal(value, self.layer, start, end, "folded"))
        return value

    def result(self, base: Ref, arguments: list[Value]) -> Ref:
        """What a call gives that reaches out of the program: named after it, with what its data comes from."""
        if base.path.startswith(OPENS):
            return Ref(base.path[len(OPENS) :])
        if base.path == "package.loadlib":
            return Ref(of_loadlib(arguments))
        tags = base.tags | self.apis.gives(base.name)
        for one in arguments:
            tags = tags_of(one) | tags if tags_of(one) else tags
        return Ref(f"{base.path}()", base.hidden, tags)

    def record(self, base: Ref, arguments: list[Value], start: int, end: int) -> None:
        """Keeps a call of a known API, what goes into it and what follows from that."""
        name = base.name
        if len(self.found.calls) >= MOST_CALLS:
            return
        texts = tuple(shown(one) for one in arguments[:8])
        via = "folded" if base.hidden else self.via(name, start)
        call = Call(name, self.layer, start, end, texts, via, self.function)
        if call not in self.found.calls[-8:]:
            self.found.calls.append(call)
        if base.hidden:
            self.mark("hidden-call", start, end)
            self.found.hidden += 1
        takes = self.apis.takes(name)
        if takes:
            self._flows(takes, arguments, start, end)
        if "code" in takes and arguments and isinstance(arguments[0], str) and name not in ("dofile", "loadfile"):
            self.found.chunks.append(Literal(arguments[0], self.layer, start, end, name))
        if takes and any(is_unknown(one) or isinstance(one, Ref) for one in arguments[:1]):
            self.found.open_calls += 1
            self.found.open_code += "code" in takes

    def via(self, name: str, start: int) -> str:
        return "plain" if self.text.startswith(name.partition(".")[0], start) else "alias"

    def _flows(self, takes: frozenset[str], arguments: list[Value], start: int, end: int) -> None:
        tags = frozenset().union(*(tags_of(one) for one in arguments))
        for tag in tags:
            for target in takes:
                self.mark(f"{tag}-data-to-{target}", start, end)

    def mark(self, name: str, start: int, end: int) -> None:
        self.found.marks.append(Mark(name, self.layer, start, end, self.text[start : min(end, start + 160)]))
