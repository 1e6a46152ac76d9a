"""What a piece of Lua comes to: what it is, what it calls, what it can do, and where each of that stands.

A span is `(layer, start, end)`, characters of that layer's text as in `model.analysis`. A layer of bytecode has its
bytes as text, one character each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from perilune.model.analysis import Capability, Indicator, Layer, Weighed
from perilune.model.rules import Level


class Form(StrEnum):
    SOURCE = "source"
    BYTECODE = "bytecode"
    MODIFIED = "modified-bytecode"  # the right magic, but instructions that no released VM has
    CARRIER = "carrier"  # no Lua itself; Lua was found inside
    NONE = "none"


class Dialect(StrEnum):
    LUA = "Lua"  # nothing says which
    LUA50 = "Lua 5.0"
    LUA51 = "Lua 5.1"
    LUA52 = "Lua 5.2"
    LUA53 = "Lua 5.3"
    LUA54 = "Lua 5.4"
    LUA55 = "Lua 5.5"
    LUAJIT = "LuaJIT"
    LUAJIT20 = "LuaJIT 2.0"
    LUAJIT21 = "LuaJIT 2.1"
    LUAU = "Luau"
    GLUA = "GLua"  # Garry's Mod: C operators on top of LuaJIT
    CFXLUA = "CfxLua"  # FiveM's Lua 5.4 with compound assignment and hashes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why something is believed, and where that stands."""

    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """What some bytes are. `confidence` is 1.0 where a format proves itself; `host`: the program it is written for."""

    form: Form
    dialect: Dialect = Dialect.LUA
    confidence: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    host: str = ""


_BARE = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|0x[\da-fA-F]+|nil|true|false")


def argument_text(value: str | None, most: int) -> str:
    """`"text"`, `12`, the name of a function, or `?` for what is not known."""
    if value is None:
        return "?"
    if value.startswith("="):
        return value[1:]
    if _BARE.fullmatch(value):
        return value
    return f'"{value[:most]}{"…" if len(value) > most else ""}"'


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a known API, by its full name however it was written.

    arguments  what is known of each: a constant as text, the name of an API as `=name`, or None
    via        how it was recognised: `plain`, `alias`, `folded` (the name was computed), `evaluated`, `bytecode`
    """

    name: str
    layer: int
    start: int
    end: int
    arguments: tuple[str | None, ...] = ()
    via: str = "plain"
    function: str = ""

    def text(self, most: int = 100, arguments: int = 12) -> str:
        """`os.execute("id", 1, ?)`: a question mark for what is not known, each argument cut to `most`."""
        shown = [argument_text(one, most) for one in self.arguments[:arguments]]
        return f"{self.name}({', '.join(shown)}{', …' if len(self.arguments) > arguments else ''})"


@dataclass(frozen=True, slots=True)
class Literal:
    """A string of the program, as it is when the program uses it. `how`: `literal`, or what won it."""

    text: str
    layer: int
    start: int
    end: int
    how: str = "literal"


@dataclass(frozen=True, slots=True)
class Shape:
    """Measures of a text that tell written code from generated code."""

    size: int
    lines: int
    longest_line: int
    entropy: float
    tokens: int
    comment_share: float
    name_length: float
    string_share: float
    escape_share: float
    number_share: float


@dataclass(frozen=True, slots=True)
class Obfuscation:
    """A tool, or a way, that made the text hard to read. It says nothing about what the text does."""

    name: str
    confidence: float
    layer: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `operands` as the reference lister prints them, `comment` with constants and targets."""

    pc: int
    name: str
    operands: tuple[int, ...]
    line: int = 0
    comment: str = ""
    target: int | None = None
    raw: int = 0


@dataclass(frozen=True, slots=True)
class Upvalue:
    name: str = ""
    in_stack: bool = False
    index: int = 0
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Table:
    """A constant table of LuaJIT: its array part and its pairs."""

    array: tuple[Constant, ...] = ()
    pairs: tuple[tuple[Constant, Constant], ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """A constant of LuaJIT that stands for a function: the number of its prototype."""

    number: int


# A string constant is its bytes; None is nil.
Constant = bytes | int | float | bool | complex | None | Table | Child


@dataclass(frozen=True, slots=True)
class Prototype:
    """One function of compiled Lua. `number` counts through the chunk, `path` is like `main/0/2`."""

    number: int
    path: str
    start: int
    end: int
    source: str
    line: int
    last_line: int
    parameters: int
    vararg: bool
    stack: int
    code: tuple[Instruction, ...]
    constants: tuple[Constant, ...]
    upvalues: tuple[Upvalue, ...]
    locals: tuple[Local, ...]
    children: tuple[int, ...]
    numbers: tuple[Constant, ...] = ()  # LuaJIT keeps numbers apart from other constants
    code_at: int = 0  # where the first instruction lies


@dataclass(frozen=True, slots=True)
class Header:
    """The head of compiled Lua: what it needs to be loaded."""

    dialect: Dialect
    size: int
    little: bool = True
    int_size: int = 4
    size_t: int = 8
    instruction_size: int = 4
    integer_size: int = 8
    number_size: int = 8
    integral: bool = False
    stripped: bool = False
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Compiled Lua read whole or as far as it goes. `faults`: what the verifier objects to, with offsets."""

    header: Header
    prototypes: tuple[Prototype, ...]
    faults: tuple[str, ...] = ()
    strings: tuple[tuple[int, bytes], ...] = ()

    @property
    def modified(self) -> bool:
        return any(fault.startswith("impossible opcode") for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of Lua, in its layer: the file itself, what was inside it, or what its code unpacks."""

    layer: int
    identity: Identity
    shape: Shape | None = None
    chunk: Chunk | None = None


@dataclass(frozen=True, slots=True)
class LuaAnalysis:
    """Everything that can be said of a file of Lua.

    layers        the given file first, then what was found inside, each with its span in its parent
    calls         `via` is `run` where a controlled run showed them: their layer is that run's record
    capabilities  with the calls and strings that show them
    runs          controlled runs, of the file or of what lies in it; none where none was asked for
    decoys        what was made up for the runs and the calls then carried, and what it stands for: never to be blocked
    unseen        what could not be seen, and why, in words
    cut           what the budget left out
    """

    name: str
    sha256: str
    size: int
    units: tuple[Unit, ...]
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    literals: tuple[Literal, ...]
    capabilities: tuple[Capability, ...]
    indicators: tuple[Indicator, ...]
    obfuscations: tuple[Obfuscation, ...]
    reasons: tuple[Weighed, ...]
    score: int
    level: Level
    unseen: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    decoys: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> Identity:
        return self.units[0].identity

    @property
    def techniques(self) -> tuple[str, ...]:
        found = [t for one in self.capabilities if one.weight > 0 for t in one.techniques]
        return tuple(dict.fromkeys(found))

    @property
    def intents(self) -> tuple[str, ...]:
        """The ids of what it can do, sorted: the same for the same program, however it is wrapped."""
        return tuple(sorted({one.id for one in self.capabilities}))


class Outcome(StrEnum):
    """How a controlled run ended. Nothing here means harmless."""

    EXPLAINED = "explained"  # it ran to its end, or until it waited for something that will never come
    PARTIAL = "partial"
    STALLED = "stalled"
    TAMPERED = "tampered"  # it found out, attacked the cage or forged the trace
    NOT_EXECUTED = "not executed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the running program did, by the full name of the API as `Call` has it.

    arguments  as bounded text, one character per byte; an object is `=name`
    carries    kinds of marked data in the arguments: `network`, `request`, `file`, `environment`, `process`, `argument`
    number     the pass it was seen in;  at: milliseconds of processor time since that pass began
    """

    name: str
    arguments: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    number: int = 1
    at: float = 0.0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """Code that the program loaded while it ran. `depth`: 1 where the file itself loaded it."""

    code: bytes
    how: str
    name: str = ""
    depth: int = 1
    number: int = 1
    carries: tuple[str, ...] = ()
    compiled: bool = True  # the VM took it
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the program, in a fresh process. `why`: what was different this time; `end`: how it ended."""

    number: int
    runtime: str
    why: str
    end: str
    steps: int = 0
    cpu_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Trace:
    """What a controlled run showed.

    strings    those that the program built while it ran
    isolation  the layers that were proved shut before it ran
    unseen     what was not seen, and why
    cut        what the budget left out
    """

    outcome: Outcome
    reason: str = ""
    dialect: Dialect | None = None
    events: tuple[Event, ...] = ()
    chunks: tuple[Loaded, ...] = ()
    strings: tuple[str, ...] = ()
    passes: tuple[Pass, ...] = ()
    isolation: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A controlled run of the program in layer `of`. `record` is the layer that has a line for each call, if it ran."""

    of: int
    trace: Trace
    record: int | None = None
