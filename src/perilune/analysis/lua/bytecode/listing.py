"""Raw instructions of Lua 5.0 to 5.5 to named ones, with constants and jump targets resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from perilune.analysis.lua.bytecode.opcodes import PUC
from perilune.model.lua import Child, Constant, Dialect, Instruction, Table, Upvalue

_OLD = (Dialect.LUA50, Dialect.LUA51, Dialect.LUA52, Dialect.LUA53)
_JUMPS = frozenset(("JMP", "FORLOOP", "FORPREP", "TFORLOOP", "TFORPREP"))


def constant_text(value: Constant, most: int = 120) -> str:
    """A constant for people, strings quoted as Lua would."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        return '"' + (text if len(text) <= most else text[:most] + "…").replace("\n", "\\n").replace("\r", "\\r") + '"'
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.14g}" if not value.is_integer() or abs(value) > 1e15 else str(int(value)) + ".0"
    if isinstance(value, Table):
        return f"{{{len(value.array)} items, {len(value.pairs)} pairs}}"
    return f"function {value.number}" if isinstance(value, Child) else str(value)


def strings_of(constants: Sequence[Constant]) -> list[bytes]:
    """All strings among constants, those in constant tables too."""
    found: list[bytes] = []
    for one in constants:
        if isinstance(one, bytes):
            found.append(one)
        elif isinstance(one, Table):
            found += [v for v in (*one.array, *(part for pair in one.pairs for part in pair)) if isinstance(v, bytes)]
    return found


Field = Callable[[int], int]


def _field(at: int, width: int, less: int = 0) -> Field:
    mask = (1 << width) - 1
    return lambda raw: (raw >> at & mask) - less


def _fields_old(dialect: Dialect) -> dict[str, Field]:
    if dialect is Dialect.LUA50:
        a, b, c = (24, 8), (15, 9), (6, 9)
        return {"A": _field(*a), "B": _field(*b), "C": _field(*c), "b": _register(15, 250), "c": _register(6, 250),
                "Bx": _field(6, 18), "K": _negated(_field(6, 18)), "sBx": _field(6, 18, 131071), "Ax": _field(6, 26)}  # fmt: skip
    return {"A": _field(6, 8), "B": _field(23, 9), "C": _field(14, 9), "b": _register(23, 256), "c": _register(14, 256),
            "Bx": _field(14, 18), "K": _negated(_field(14, 18)), "sBx": _field(14, 18, 131071),
            "Ax": _negated(_field(6, 26))}  # fmt: skip


def _register(at: int, constants: int) -> Field:
    """A register, or a constant as a negative number, the way the lister prints it."""

    def field(raw: int) -> int:
        value = raw >> at & 511
        return value if value < constants else constants - 1 - value

    return field


def _negated(field: Field) -> Field:
    return lambda raw: -1 - field(raw)


_NEW: dict[str, Field] = {
    "A": _field(7, 8), "B": _field(16, 8), "C": _field(24, 8), "k": _field(15, 1), "vB": _field(16, 6), "vC": _field(22, 10),
    "sB": _field(16, 8, 127), "sC": _field(24, 8, 127), "Bx": _field(15, 17), "sBx": _field(15, 17, 65535),
    "Ax": _field(7, 25), "J": _field(7, 25, 16777215),
}  # fmt: skip


@lru_cache(maxsize=8)
def layout(dialect: Dialect) -> tuple[int, tuple[tuple[str, tuple[str, ...], tuple[Field, ...]], ...]]:
    """The mask of the opcode, and for each opcode its name, fields and how they are taken."""
    old = dialect in _OLD
    fields = _fields_old(dialect) if old else _NEW
    rows = tuple((name, names, tuple(fields[n] for n in names)) for name, names in PUC[dialect])
    return (0x3F if old else 0x7F), rows


def instructions(
    dialect: Dialect,
    code: Sequence[int],
    constants: Sequence[Constant],
    upvalues: Sequence[Upvalue],
    lines: Sequence[int],
) -> tuple[Instruction, ...]:
    """The listing of one function. What no opcode is becomes `OP_n`."""
    mask, rows = layout(dialect)
    found = []
    data = -1  # the place of a word that is an operand of the instruction before it
    for at, raw in enumerate(code):
        number = raw & mask
        line = lines[at] if at < len(lines) else 0
        if number >= len(rows):
            found.append(Instruction(at + 1, f"OP_{number}", (), line, "no such instruction", None, raw))
            continue
        name, names, fields = rows[number]
        if at == data:
            found.append(Instruction(at + 1, name, tuple(f(raw) for f in fields), line, f"data {raw}", None, raw))
            continue
        operands = tuple(field(raw) for field in fields)
        if name == "SETLIST" and dialect is Dialect.LUA51 and operands[2] == 0:
            data = at + 1
        target = _target(dialect, name, names, operands, at)
        comment = f"to {target}" if target is not None else _comment(name, names, operands, constants, upvalues)
        found.append(Instruction(at + 1, name, operands, line, comment, target, raw))
    return tuple(found)


def _target(dialect: Dialect, name: str, names: tuple[str, ...], operands: tuple[int, ...], at: int) -> int | None:
    """Where a jump goes, counted from one as the listing is."""
    if name not in _JUMPS or names[-1] not in ("sBx", "J", "Bx"):
        return None
    by = operands[-1]
    if names[-1] == "Bx":
        by = -by + 1 if name in ("FORLOOP", "TFORLOOP") else by + 1
        by += {"FORPREP": 1, "TFORPREP": 0}.get(name, -1)
        return at + 1 + by if name.endswith("PREP") else at + 2 - operands[-1]
    return at + 2 + by


_BY_NAME = frozenset(
    ("GETFIELD", "SETFIELD", "GETTABUP", "SETTABUP", "SELF", "EQK", "ADDK", "SUBK", "MULK", "MODK", "POWK", "DIVK", "IDIVK", "BANDK", "BORK", "BXORK")
)  # fmt: skip
_K_VALUE = frozenset(("SETTABUP", "SETTABLE", "SETI", "SETFIELD"))


def _comment(
    name: str,
    names: tuple[str, ...],
    operands: tuple[int, ...],
    constants: Sequence[Constant],
    upvalues: Sequence[Upvalue],
) -> str:
    parts = []
    if name in ("GETUPVAL", "SETUPVAL", "GETTABUP", "SETTABUP"):
        at = operands[0] if name == "SETTABUP" else operands[1]
        if 0 <= at < len(upvalues) and upvalues[at].name:
            parts.append(upvalues[at].name)
    used = constants_used(name, names, operands)
    parts.extend(constant_text(constants[at]) for at in used if 0 <= at < len(constants))
    return " ".join(parts)


def constants_used(name: str, names: tuple[str, ...], operands: tuple[int, ...]) -> list[int]:
    """The numbers of the constants that an instruction uses."""
    found = [-1 - value for field, value in zip(names, operands, strict=True) if field in ("b", "c", "K") and value < 0]
    if name == "LOADK" and names[-1] == "Bx":
        found.append(operands[1])
    elif name == "ERRNNIL" and operands[1]:
        found.append(operands[1] - 1)
    elif name in _BY_NAME and "C" in names:
        if name in ("SETTABUP", "SETFIELD", "EQK"):
            found.append(operands[1])
        elif name != "SELF" or names[-1] != "k" or operands[-1]:
            found.append(operands[2])
    elif name == "EQK":
        found.append(operands[1])
    if name in _K_VALUE and names[-1] == "k" and operands[-1]:
        found.append(operands[2])
    return found
