"""The disassembly of compiled Lua as lines, constants and jump targets resolved."""

from __future__ import annotations

from collections.abc import Iterator

from perilune.model.lua import Chunk, Instruction, Prototype


def listing(chunk: Chunk, most: int) -> Iterator[str]:
    """At most that many instructions of all functions together; what is left out is said."""
    left = most
    for one in chunk.prototypes:
        if left <= 0:
            yield f"… {sum(len(p.code) for p in chunk.prototypes) - most:,} more instructions …"
            break
        yield head(one)
        yield from (line(instruction) for instruction in one.code[:left])
        left -= len(one.code)
    yield from (f"fault: {fault}" for fault in chunk.faults)


def head(one: Prototype) -> str:
    lines = f", lines {one.line}–{one.last_line}" if one.last_line else ""
    vararg = "+" if one.vararg else ""
    return (
        f"function {one.path}: {len(one.code)} instructions, {one.parameters}{vararg} parameters, "
        f"{one.stack} registers, {len(one.constants) + len(one.numbers)} constants, {len(one.upvalues)} upvalues{lines}"
    )


def line(one: Instruction) -> str:
    where = f"[{one.line}]" if one.line else ""
    operands = " ".join(map(str, one.operands))
    comment = f"; {one.comment}" if one.comment else ""
    return f"  {one.pc:5} {where:<7}{one.name:<11} {operands:<14}{comment}".rstrip()
