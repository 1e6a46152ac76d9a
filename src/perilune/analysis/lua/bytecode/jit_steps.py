"""What the instructions of LuaJIT do to registers, as far as that is known without running them."""

from __future__ import annotations

from perilune.analysis.lua import operators
from perilune.analysis.lua.bytecode.follow import Follow, Frame, Step, returned
from perilune.analysis.lua.bytecode.luajit import collected
from perilune.analysis.lua.bytecode.stream import BytecodeError
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Value
from perilune.model.lua import Child, Constant, Instruction

_SIGNS = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/", "MOD": "%", "POW": "^"}
MOST_RANGE = 250


def _constant(follow: Follow, frame: Frame, at: int) -> Value:
    found = collected(frame.prototype.constants, at)
    return UNKNOWN if isinstance(found, BytecodeError) else follow.constant(found)


def _number(follow: Follow, frame: Frame, at: int) -> Value:
    numbers = frame.prototype.numbers
    return follow.constant(numbers[at]) if at < len(numbers) else UNKNOWN


def _upvalue(frame: Frame, at: int) -> Value:
    return frame.upvalues[at] if 0 <= at < len(frame.upvalues) else UNKNOWN


def _mov(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], frame.get(at.operands[1]))


def _kstr(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], _constant(follow, frame, at.operands[1]))


def _kshort(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], at.operands[1])


def _knum(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], _number(follow, frame, at.operands[1]))


def _kpri(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], (None, False, True)[at.operands[1] % 3])


def _knil(follow: Follow, frame: Frame, at: Instruction) -> None:
    for register in range(at.operands[0], min(at.operands[1], at.operands[0] + MOST_RANGE) + 1):
        frame.set(register, None)


def _uget(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], _upvalue(frame, at.operands[1]))


def _uset(follow: Follow, frame: Frame, at: Instruction) -> None:
    up, operand = at.operands
    if up < len(frame.upvalues):
        known = frame.get(operand) if at.name == "USETV" else UNKNOWN
        frame.upvalues[up] = _constant(follow, frame, operand) if at.name == "USETS" else known


def _gget(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], follow.global_value(_constant(follow, frame, at.operands[1])))


def _gset(follow: Follow, frame: Frame, at: Instruction) -> None:
    follow.set_global(_constant(follow, frame, at.operands[1]), frame.get(at.operands[0]))


def _key(follow: Follow, frame: Frame, at: Instruction, operand: int) -> Value:
    if at.name.endswith("S"):
        return _constant(follow, frame, operand)
    return operand if at.name.endswith("B") else frame.get(operand)


def _tget(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    frame.set(a, follow.index(frame.get(b), _key(follow, frame, at, c), hidden=at.name == "TGETV"))


def _tset(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    follow.set_index(frame.get(b), _key(follow, frame, at, c), frame.get(a))


def _tnew(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], LuaTable())


def _tdup(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], _constant(follow, frame, at.operands[1]))


def _arithmetic(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    left, right = frame.get(b), frame.get(c)
    if at.name.endswith("VN"):
        right = _number(follow, frame, c)
    elif at.name.endswith("NV"):
        left, right = _number(follow, frame, c), frame.get(b)
    frame.set(a, operators.binary(_SIGNS[at.name[:3]], left, right))


def _unary(follow: Follow, frame: Frame, at: Instruction) -> None:
    sign = {"NOT": "not", "UNM": "-", "LEN": "#"}[at.name]
    frame.set(at.operands[0], operators.unary(sign, frame.get(at.operands[1])))


def _cat(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    value = operators.concatenated([frame.get(n) for n in range(b, min(c, b + MOST_RANGE) + 1)])
    start = frame.prototype.code_at + (at.pc - 1) * 4
    frame.set(a, follow._folded(value, start, start + 4))


def _fnew(follow: Follow, frame: Frame, at: Instruction) -> None:
    found: Constant | BytecodeError = collected(frame.prototype.constants, at.operands[1])
    if not isinstance(found, Child) or found.number not in follow.numbered:
        return
    child = follow.numbered[found.number]
    values = [frame.get(u.index) if u.in_stack else _upvalue(frame, u.index) for u in child.upvalues]
    frame.set(at.operands[0], follow.closure(frame, found.number, values))


def _call(follow: Follow, frame: Frame, at: Instruction) -> None:
    """CALL A B C has C-1 arguments and B-1 results; the M forms add an open list; the T forms return."""
    a = at.operands[0]
    count = at.operands[-1] if at.name.startswith("CALLM") else at.operands[-1] - 1
    first = a + (2 if "FR2" in follow.chunk.header.flags else 1)
    last = first + count
    if at.name.startswith("CALLM"):
        last = max(last, frame.top + 1)
    arguments = [frame.get(n) for n in range(first, min(last, first + MOST_RANGE))]
    result = follow.call_in(frame, at, frame.get(a), arguments)
    if at.name.endswith("T"):
        returned(frame, result)
        return
    results = at.operands[1]
    for register in range(a + 1, a + max(results - 1, 1)):
        frame.set(register, operators.tainted(result))
    frame.set(a, result)
    if results == 0:
        frame.top = a


def _ret(follow: Follow, frame: Frame, at: Instruction) -> None:
    if at.name in ("RET1", "RET"):
        returned(frame, frame.get(at.operands[0]))


def _loop(follow: Follow, frame: Frame, at: Instruction) -> None:
    for register in range(at.operands[0], at.operands[0] + 6):
        frame.set(register, UNKNOWN)


def _vararg(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, results = at.operands[:2]
    for register in range(a, a + max(results - 1, 1)):
        frame.set(register, UNKNOWN)
    frame.top = a if results == 0 else frame.top


def _forget(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], UNKNOWN)


STEPS: dict[str, Step] = {
    "MOV": _mov, "KSTR": _kstr, "KSHORT": _kshort, "KNUM": _knum, "KPRI": _kpri, "KNIL": _knil, "KCDATA": _forget, "UGET": _uget,
    "USETV": _uset, "USETS": _uset, "USETN": _uset, "USETP": _uset, "GGET": _gget, "GSET": _gset, "TGETV": _tget, "TGETS": _tget,
    "TGETB": _tget, "TGETR": _tget, "TSETV": _tset, "TSETS": _tset, "TSETB": _tset, "TSETR": _tset, "TNEW": _tnew, "TDUP": _tdup,
    "NOT": _unary, "UNM": _unary, "LEN": _unary, "CAT": _cat, "FNEW": _fnew, "CALL": _call, "CALLM": _call, "CALLT": _call,
    "CALLMT": _call, "RET": _ret, "RET1": _ret, "FORI": _loop, "ITERC": _forget, "ITERN": _forget, "VARG": _vararg,
    "ISTC": _forget, "ISFC": _forget, "POW": _arithmetic,
    **{f"{name}{kind}": _arithmetic for name in ("ADD", "SUB", "MUL", "DIV", "MOD") for kind in ("VN", "NV", "VV")},
}  # fmt: skip
