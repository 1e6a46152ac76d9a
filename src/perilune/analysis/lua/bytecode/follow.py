"""Compiled Lua to the calls that it makes: registers are followed through each function, once, in the order of code.

What holds for source holds here: aliases, tables, constants and upvalues are resolved, nothing is run. The two
machines differ only in how their instructions name what they do; that is what `puc_steps` and `jit_steps` translate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perilune.analysis.lua import operators
from perilune.analysis.lua.apis import Apis, Mark
from perilune.analysis.lua.bytecode.listing import strings_of
from perilune.analysis.lua.library import STRING_METHODS
from perilune.analysis.lua.names import GLOBALS, of_index
from perilune.analysis.lua.scan import Scan
from perilune.analysis.lua.values import UNKNOWN, FunctionValue, LuaTable, Ref, Value, is_unknown, tags_of
from perilune.model.lua import Chunk, Constant, Instruction, Literal, Prototype, Table

MOST_DEPTH = 60
LEAST_STRING = 3


class Frame:
    """One function while it is followed: what its registers and upvalues hold."""

    def __init__(self, prototype: Prototype, upvalues: Sequence[Value], tags: frozenset[str]) -> None:
        self.prototype = prototype
        self.upvalues = list(upvalues)
        given = operators.tainted(Ref("", tags=tags)) if tags else UNKNOWN
        self.registers: dict[int, Value] = dict.fromkeys(range(prototype.parameters), given)
        self.top = 0  # the first register of an open list of values
        self.returned: list[Value] = []

    def get(self, register: int) -> Value:
        return self.registers.get(register, UNKNOWN)

    def set(self, register: int, value: Value) -> None:
        self.registers[register] = value


Step = Callable[["Follow", Frame, Instruction], None]


class Follow(Scan):
    """The walk of `Scan`, over prototypes instead of a tree."""

    def __init__(self, chunk: Chunk, layer: int, apis: Apis, steps: dict[str, Step], *, data: bytes) -> None:
        super().__init__("", layer, apis)
        self.chunk = chunk
        self.data = data
        self.steps = steps
        self.numbered = {one.number: one for one in chunk.prototypes}
        self.depth = 0
        self.level = 1
        self.width = chunk.header.instruction_size
        self.skip = 0
        self.walked: set[int] = set()
        self.captured: dict[int, Sequence[Value]] = {}

    def start(self) -> None:
        """From the main function; functions that nothing reached are followed on their own."""
        for one in self.chunk.prototypes:
            self._strings(one)
        for one in self.chunk.prototypes:
            if one.number not in self.walked:
                self.walk(one, [Ref("_G")] if one.path == "main" else [])

    def _strings(self, one: Prototype) -> None:
        at = one.start
        for text in dict.fromkeys(strings_of(one.constants)):
            if len(text) >= LEAST_STRING:
                place = self.data.find(text, at, one.end)
                start, end = (place, place + len(text)) if place >= 0 else (one.start, one.end)
                self.found.literals.append(Literal(text.decode("latin-1"), self.layer, start, end, "constant"))

    def walk(self, one: Prototype, upvalues: Sequence[Value], tags: frozenset[str] = frozenset()) -> FunctionValue:
        self.walked.add(one.number)
        if self.depth < MOST_DEPTH:
            outer, self.function = self.function, one.path
            self.depth += 1
            frame = Frame(one, upvalues, tags)
            self.skip = 0
            for instruction in one.code:
                if self.skip:
                    self.skip -= 1
                    continue
                step = self.steps.get(instruction.name)
                if step is not None:
                    step(self, frame, instruction)
            self.depth -= 1
            self.skip = 0
            self.function = outer
            known = [value for value in frame.returned if value is not None]
            self.results[id(one)] = known[0] if len(known) == 1 else operators.tainted(*known) if known else None
        return FunctionValue(one, tags)

    # What instructions do

    def constant(self, value: Constant) -> Value:
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, Table):
            table = LuaTable()
            for at, item in enumerate(value.array):
                if at:
                    table.set(at, self.constant(item))
            for key, item in value.pairs:
                table.set(self.constant(key), self.constant(item))
            return table
        return value if value is None or isinstance(value, bool | int | float) else UNKNOWN

    def global_value(self, name: Value) -> Value:
        if not isinstance(name, str):
            return UNKNOWN
        return self.globals[name] if name in self.globals else Ref(name)

    def set_global(self, name: Value, value: Value) -> None:
        if isinstance(name, str):
            self._set_name(name, value)

    def index(self, base: Value, key: Value, *, hidden: bool = False) -> Value:
        if isinstance(base, LuaTable):
            return UNKNOWN if is_unknown(key) else base.get(key)
        if isinstance(base, str) and isinstance(key, str) and key in STRING_METHODS:
            return Ref(f"string.{key}")
        if not isinstance(base, Ref) or not isinstance(key, str):
            return operators.tainted(base)
        if base.path in GLOBALS and key in self.globals:
            return self.globals[key]
        return Ref(of_index(base.path, key), base.hidden or hidden, base.tags)

    def set_index(self, base: Value, key: Value, value: Value) -> None:
        if isinstance(base, LuaTable):
            if is_unknown(key) or key is None:
                base.open = True
            else:
                base.set(key, value)
        elif isinstance(base, Ref) and base.path in GLOBALS and isinstance(key, str):
            self.globals[key] = value

    def call_in(self, frame: Frame, at: Instruction, base: Value, arguments: list[Value]) -> Value:
        """A call: a method's object is no argument, functions given to an API are followed with its data."""
        first = arguments[0] if arguments else None
        if (
            isinstance(base, Ref)
            and isinstance(first, Ref)
            and base.path.startswith((f"{first.path}.", f"{first.path}:"))
        ):
            arguments = arguments[1:]
        gives = self.apis.gives(base.name) if isinstance(base, Ref) else frozenset()
        for n, one in enumerate(arguments):
            if gives and isinstance(one, FunctionValue) and isinstance(one.node, Prototype) and not one.tags:
                arguments[n] = self.walk(one.node, self.captured.get(one.node.number, ()), gives)
        start = frame.prototype.code_at + (at.pc - 1) * self.width
        return self.call(base, arguments, start, start + self.width)

    def closure(self, frame: Frame, number: int, upvalues: Sequence[Value]) -> Value:
        one = self.numbered.get(number)
        if one is None:
            return UNKNOWN
        skipped = self.skip
        self.captured[number] = upvalues
        found = self.walk(one, upvalues)
        self.skip = skipped
        return found

    def via(self, name: str, start: int) -> str:
        return "bytecode"

    def mark(self, name: str, start: int, end: int) -> None:
        self.found.marks.append(Mark(name, self.layer, start, end, f"instruction at byte {start:,}"))


def returned(frame: Frame, value: Value) -> None:
    if value is not None and (tags_of(value) or isinstance(value, Ref | FunctionValue | LuaTable)):
        frame.returned.append(value)
