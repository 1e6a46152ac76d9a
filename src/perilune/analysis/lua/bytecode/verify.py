"""What cannot be in compiled Lua that a compiler wrote: looked for without running anything.

A fault does not stop the reading. `impossible opcode` and its like in otherwise sound chunks speak for a modified VM.
"""

from __future__ import annotations

from collections.abc import Sequence

from perilune.analysis.lua.bytecode.listing import constants_used, layout
from perilune.model.lua import Dialect, Header, Instruction, Prototype

MOST_FAULTS = 60
_REGISTER_FREE = frozenset(("JMP", "EXTRAARG", "RETURN0", "VARARGPREP", "SETTABUP", "CLOSE", "LOADNIL"))


def faults(header: Header, prototypes: Sequence[Prototype]) -> tuple[str, ...]:
    """Every objection with the function and the instruction, at most `MOST_FAULTS`."""
    found: list[str] = []
    by_name = {name: names for name, names, _ in layout(header.dialect)[1]}
    for one in prototypes:
        found += _function(header.dialect, one, by_name)
        if len(found) >= MOST_FAULTS:
            return (*found[:MOST_FAULTS], "and more")
    return tuple(found)


def _function(dialect: Dialect, one: Prototype, by_name: dict[str, tuple[str, ...]]) -> list[str]:
    found = []
    where = f"in function {one.path}"
    if not one.code:
        return [f"no instructions {where}"]
    if one.parameters > one.stack:
        found.append(f"{one.parameters} parameters in a stack of {one.stack} {where}")
    if not one.code[-1].name.startswith("RETURN") and one.code[-1].name not in ("TAILCALL",):
        found.append(f"the last instruction is {one.code[-1].name} and no return {where}")
    for instruction in one.code:
        what = _instruction(dialect, one, instruction, by_name)
        if what:
            found.append(f"{what} {where}, instruction {instruction.pc}")
            if len(found) >= MOST_FAULTS:
                break
    return found


def _instruction(
    dialect: Dialect, one: Prototype, instruction: Instruction, by_name: dict[str, tuple[str, ...]]
) -> str:
    name, operands = instruction.name, instruction.operands
    names = by_name.get(name)
    if names is None:
        return f"impossible opcode {name[3:]}"
    if instruction.comment.startswith("data "):
        return ""
    if instruction.target is not None and not 1 <= instruction.target <= len(one.code):
        return f"jump to {instruction.target}, outside 1 to {len(one.code)}"
    if name == "RETURN" and operands[1] == 1:
        return ""  # returns nothing; A may lie just behind the stack
    if (
        names[:1] == ("A",)
        and name not in _REGISTER_FREE
        and operands[0] >= max(one.stack, 1)
        and _takes_register(dialect, name)
    ):
        return f"register {operands[0]} in a stack of {one.stack}"
    for at in constants_used(name, names, operands):
        if not 0 <= at < len(one.constants):
            return f"constant {at} of {len(one.constants)}"
    if name == "CLOSURE" and operands[1] >= len(one.children):
        return f"function {operands[1]} of {len(one.children)}"
    if name in ("GETUPVAL", "SETUPVAL") and operands[1] >= max(len(one.upvalues), 1):
        return f"upvalue {operands[1]} of {len(one.upvalues)}"
    return ""


def _takes_register(dialect: Dialect, name: str) -> bool:
    """In comparisons of 5.0 to 5.3, A is the wanted outcome."""
    old = dialect in (Dialect.LUA50, Dialect.LUA51, Dialect.LUA52, Dialect.LUA53)
    return not (old and name in ("EQ", "LT", "LE")) and not (old and name == "JMP")
