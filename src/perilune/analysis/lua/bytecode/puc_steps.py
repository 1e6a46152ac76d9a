"""What the instructions of Lua 5.0 to 5.5 do to registers, as far as that is known without running them."""

from __future__ import annotations

from perilune.analysis.lua import operators
from perilune.analysis.lua.bytecode.follow import Follow, Frame, Step, returned
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value
from perilune.model.lua import Dialect, Instruction

_ARITHMETIC = {
    "ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/", "MOD": "%", "POW": "^", "IDIV": "//", "BAND": "&", "BOR": "|", "BXOR": "~",
    "SHL": "<<", "SHR": ">>",
}  # fmt: skip
MOST_RANGE = 250


def _constant(follow: Follow, frame: Frame, at: int) -> Value:
    constants = frame.prototype.constants
    return follow.constant(constants[at]) if 0 <= at < len(constants) else UNKNOWN


def _rk(follow: Follow, frame: Frame, operand: int) -> Value:
    return _constant(follow, frame, -1 - operand) if operand < 0 else frame.get(operand)


def _upvalue(frame: Frame, at: int) -> Value:
    return frame.upvalues[at] if 0 <= at < len(frame.upvalues) else UNKNOWN


def _move(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], frame.get(at.operands[1]))


def _loadk(follow: Follow, frame: Frame, at: Instruction) -> None:
    number = at.operands[1]
    frame.set(at.operands[0], _constant(follow, frame, -1 - number if number < 0 else number))


def _loadi(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], at.operands[1])


def _loadbool(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], bool(at.operands[1]))


def _loadtrue(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], at.name == "LOADTRUE")


def _loadnil(follow: Follow, frame: Frame, at: Instruction) -> None:
    first, last = at.operands
    if follow.chunk.header.dialect not in (Dialect.LUA50, Dialect.LUA51):
        last += first
    for register in range(first, min(last, first + MOST_RANGE) + 1):
        frame.set(register, None)


def _getupval(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], _upvalue(frame, at.operands[1]))


def _setupval(follow: Follow, frame: Frame, at: Instruction) -> None:
    if 0 <= at.operands[1] < len(frame.upvalues):
        frame.upvalues[at.operands[1]] = frame.get(at.operands[0])


def _getglobal(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], follow.global_value(_constant(follow, frame, -1 - at.operands[1])))


def _setglobal(follow: Follow, frame: Frame, at: Instruction) -> None:
    follow.set_global(_constant(follow, frame, -1 - at.operands[1]), frame.get(at.operands[0]))


def _gettabup(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    key = _rk(follow, frame, c) if _is_old(follow) else _constant(follow, frame, c)
    base = _upvalue(frame, b)
    frame.set(a, follow.global_value(key) if isinstance(base, Ref) and base.path == "_G" else follow.index(base, key))


def _settabup(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands[:3]
    base = _upvalue(frame, a)
    key = _rk(follow, frame, b) if _is_old(follow) else _constant(follow, frame, b)
    value = _value(follow, frame, at, c)
    if isinstance(base, Ref) and base.path == "_G":
        follow.set_global(key, value)
    else:
        follow.set_index(base, key, value)


def _is_old(follow: Follow) -> bool:
    return follow.chunk.header.dialect not in (Dialect.LUA54, Dialect.LUA55)


def _value(follow: Follow, frame: Frame, at: Instruction, operand: int) -> Value:
    """The C of a store: a register or constant, told by its sign up to 5.3 and by the flag from 5.4 on."""
    if _is_old(follow):
        return _rk(follow, frame, operand)
    return _constant(follow, frame, operand) if at.operands[-1] else frame.get(operand)


def _gettable(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands
    if at.name == "GETFIELD":
        frame.set(a, follow.index(frame.get(b), _constant(follow, frame, c)))
    elif at.name == "GETI":
        frame.set(a, follow.index(frame.get(b), c))
    else:
        key = _rk(follow, frame, c)
        frame.set(a, follow.index(frame.get(b), key, hidden=c >= 0))


def _settable(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands[:3]
    key: Value
    if at.name == "SETFIELD":
        key = _constant(follow, frame, b)
    elif at.name == "SETI":
        key = b
    else:
        key = _rk(follow, frame, b)
    follow.set_index(frame.get(a), key, _value(follow, frame, at, c))


def _newtable(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], LuaTable())


def _self(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands[:3]
    always = follow.chunk.header.dialect is Dialect.LUA55
    key = _constant(follow, frame, c) if always else _value(follow, frame, at, c)
    base = frame.get(b)
    frame.set(a + 1, base)
    if isinstance(base, Ref) and isinstance(key, str):
        frame.set(a, Ref(f"{base.path}:{key}", base.hidden, base.tags))
    else:
        frame.set(a, follow.index(base, key))


def _arithmetic(follow: Follow, frame: Frame, at: Instruction) -> None:
    sign = _ARITHMETIC[at.name.rstrip("KI") if at.name not in _ARITHMETIC else at.name]
    a, b, c = at.operands
    left = _rk(follow, frame, b)
    right: Value = (
        _constant(follow, frame, c) if at.name.endswith("K") else c if at.name == "ADDI" else _rk(follow, frame, c)
    )
    frame.set(a, operators.binary(sign, left, right))


def _unary(follow: Follow, frame: Frame, at: Instruction) -> None:
    sign = {"UNM": "-", "NOT": "not", "LEN": "#", "BNOT": "~"}[at.name]
    frame.set(at.operands[0], operators.unary(sign, frame.get(at.operands[1])))


def _concat(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b = at.operands[:2]
    first, last = (b, at.operands[2]) if len(at.operands) > 2 else (a, a + b - 1)
    value = operators.concatenated([frame.get(n) for n in range(first, min(last, first + MOST_RANGE) + 1)])
    start = frame.prototype.code_at + (at.pc - 1) * follow.width
    frame.set(a, follow._folded(value, start, start + follow.width))


def _call(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b, c = at.operands[:3]
    last = a + b - 1 if b else max(frame.top, a)
    arguments = [frame.get(n) for n in range(a + 1, min(last, a + MOST_RANGE) + 1)]
    result = follow.call_in(frame, at, frame.get(a), arguments)
    for register in range(a + 1, a + max(c - 1, 1)):
        frame.set(register, operators.tainted(result))
    frame.set(a, result)
    if c == 0:
        frame.top = a
    if at.name == "TAILCALL":
        returned(frame, result)


def _return(follow: Follow, frame: Frame, at: Instruction) -> None:
    if at.name == "RETURN1" or (len(at.operands) > 1 and at.operands[1] != 1):
        returned(frame, frame.get(at.operands[0]))


def _setlist(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, b = at.operands[:2]
    table = frame.get(a)
    if not isinstance(table, LuaTable):
        return
    last = a + b if b else frame.top
    if not b:
        table.open = True
    for register in range(a + 1, min(last, a + MOST_RANGE) + 1):
        table.set(table.length + 1, frame.get(register))


def _closure(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, number = at.operands
    children = frame.prototype.children
    if number >= len(children):
        return
    child = follow.numbered[children[number]]
    if follow.chunk.header.dialect in (Dialect.LUA50, Dialect.LUA51):
        following = frame.prototype.code[at.pc : at.pc + len(child.upvalues)]
        values = [
            frame.get(i.operands[1]) if i.name == "MOVE" else _upvalue(frame, i.operands[1])
            for i in following
            if len(i.operands) > 1
        ]
        follow.skip = len(child.upvalues)
    else:
        values = [frame.get(u.index) if u.in_stack else _upvalue(frame, u.index) for u in child.upvalues]
    frame.set(a, follow.closure(frame, children[number], values))


def _forget(follow: Follow, frame: Frame, at: Instruction) -> None:
    frame.set(at.operands[0], UNKNOWN)


def _for(follow: Follow, frame: Frame, at: Instruction) -> None:
    """The variables of a loop are not known."""
    for register in range(at.operands[0], at.operands[0] + 8):
        frame.set(register, UNKNOWN)


def _vararg(follow: Follow, frame: Frame, at: Instruction) -> None:
    a, wanted = at.operands[:2]
    for register in range(a, a + max(wanted - 1, 1)):
        frame.set(register, UNKNOWN)
    frame.top = a if wanted == 0 else frame.top


STEPS: dict[str, Step] = {
    "MOVE": _move, "LOADK": _loadk, "LOADI": _loadi, "LOADF": _loadi, "LOADBOOL": _loadbool, "LOADTRUE": _loadtrue,
    "LOADFALSE": _loadtrue, "LFALSESKIP": _loadtrue, "LOADNIL": _loadnil, "LOADKX": _forget, "GETUPVAL": _getupval,
    "SETUPVAL": _setupval, "GETGLOBAL": _getglobal, "SETGLOBAL": _setglobal, "GETTABUP": _gettabup, "SETTABUP": _settabup,
    "GETTABLE": _gettable, "GETFIELD": _gettable, "GETI": _gettable, "SETTABLE": _settable, "SETFIELD": _settable,
    "SETI": _settable, "NEWTABLE": _newtable, "SELF": _self, "UNM": _unary, "NOT": _unary, "LEN": _unary, "BNOT": _unary,
    "CONCAT": _concat, "CALL": _call, "TAILCALL": _call, "RETURN": _return, "RETURN1": _return, "SETLIST": _setlist,
    "SETLISTO": _setlist, "CLOSURE": _closure, "VARARG": _vararg, "TFORCALL": _for, "FORPREP": _for, "TFORPREP": _for,
    "TESTSET": _forget, "GETVARG": _forget, "SHRI": _forget, "SHLI": _forget, "ADDI": _arithmetic,
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys((f"{name}K" for name in _ARITHMETIC if name not in ("SHL", "SHR")), _arithmetic),
}  # fmt: skip
