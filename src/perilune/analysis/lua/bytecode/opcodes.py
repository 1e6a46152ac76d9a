"""The instruction sets: names in order and, for each, which operands there are and how they are printed.

A layout names fields: `A` `B` `C` registers or counts, `b` `c` registers or constants, `k` the flag, `Bx`, `K` a
constant by Bx, `sBx` `sB` `sC` signed, `J` a jump, `Ax`. `!` before a field keeps it out of the listing.
"""

from __future__ import annotations

from perilune.model.lua import Dialect


def _rows(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = []
    for one in text.split(";"):
        name, *fields = one.split()
        rows.append((name, tuple(fields)))
    return tuple(rows)


_ABC = "ADD A b c; SUB A b c; MUL A b c; DIV A b c"
LUA50 = _rows(
    "MOVE A B; LOADK A K; LOADBOOL A B C; LOADNIL A B; GETUPVAL A B; GETGLOBAL A K; GETTABLE A B c; SETGLOBAL A K;"
    f"SETUPVAL A B; SETTABLE A b c; NEWTABLE A B C; SELF A B c; {_ABC}; POW A b c; UNM A B; NOT A B; CONCAT A B C;"
    "JMP sBx; EQ A b c; LT A b c; LE A b c; TEST A B C; CALL A B C; TAILCALL A B C; RETURN A B; FORLOOP A sBx;"
    "TFORLOOP A C; TFORPREP A sBx; SETLIST A Bx; SETLISTO A Bx; CLOSE A; CLOSURE A Bx"
)
LUA51 = _rows(
    "MOVE A B; LOADK A K; LOADBOOL A B C; LOADNIL A B; GETUPVAL A B; GETGLOBAL A K; GETTABLE A B c; SETGLOBAL A K;"
    f"SETUPVAL A B; SETTABLE A b c; NEWTABLE A B C; SELF A B c; {_ABC}; MOD A b c; POW A b c; UNM A B; NOT A B; LEN A B;"
    "CONCAT A B C; JMP sBx; EQ A b c; LT A b c; LE A b c; TEST A B C; TESTSET A B C; CALL A B C; TAILCALL A B C;"
    "RETURN A B; FORLOOP A sBx; FORPREP A sBx; TFORLOOP A C; SETLIST A B C; CLOSE A; CLOSURE A Bx; VARARG A B"
)
_52_HEAD = (
    "MOVE A B; LOADK A K; LOADKX A; LOADBOOL A B C; LOADNIL A B; GETUPVAL A B; GETTABUP A B c; GETTABLE A B c;"
    "SETTABUP A b c; SETUPVAL A B; SETTABLE A b c; NEWTABLE A B C; SELF A B c;"
)
_52_TAIL = (
    "CONCAT A B C; JMP A sBx; EQ A b c; LT A b c; LE A b c; TEST A C; TESTSET A B C; CALL A B C; TAILCALL A B C;"
    "RETURN A B; FORLOOP A sBx; FORPREP A sBx; TFORCALL A C; TFORLOOP A sBx; SETLIST A B C; CLOSURE A Bx; VARARG A B;"
    "EXTRAARG Ax"
)
LUA52 = _rows(f"{_52_HEAD} {_ABC}; MOD A b c; POW A b c; UNM A B; NOT A B; LEN A B; {_52_TAIL}")
LUA53 = _rows(
    f"{_52_HEAD} ADD A b c; SUB A b c; MUL A b c; MOD A b c; POW A b c; DIV A b c; IDIV A b c; BAND A b c; BOR A b c;"
    f"BXOR A b c; SHL A b c; SHR A b c; UNM A B; BNOT A B; NOT A B; LEN A B; {_52_TAIL}"
)
_54_HEAD = (
    "MOVE A B; LOADI A sBx; LOADF A sBx; LOADK A Bx; LOADKX A; LOADFALSE A; LFALSESKIP A; LOADTRUE A; LOADNIL A B;"
    "GETUPVAL A B; SETUPVAL A B; GETTABUP A B C; GETTABLE A B C; GETI A B C; GETFIELD A B C; SETTABUP A B C k;"
    "SETTABLE A B C k; SETI A B C k; SETFIELD A B C k;"
)
_54_MIDDLE = (
    "ADDK A B C; SUBK A B C; MULK A B C; MODK A B C; POWK A B C; DIVK A B C; IDIVK A B C; BANDK A B C; BORK A B C;"
    "BXORK A B C;"
)
_54_PLAIN = (
    "ADD A B C; SUB A B C; MUL A B C; MOD A B C; POW A B C; DIV A B C; IDIV A B C; BAND A B C; BOR A B C; BXOR A B C;"
    "SHL A B C; SHR A B C; MMBIN A B C; MMBINI A sB C k; MMBINK A B C k; UNM A B; BNOT A B; NOT A B; LEN A B;"
    "CONCAT A B; CLOSE A; TBC A; JMP J; EQ A B k; LT A B k; LE A B k; EQK A B k; EQI A sB k; LTI A sB k; LEI A sB k;"
    "GTI A sB k; GEI A sB k; TEST A k; TESTSET A B k; CALL A B C; TAILCALL A B C k; RETURN A B C k; RETURN0; RETURN1 A;"
    "FORLOOP A Bx; FORPREP A Bx; TFORPREP A Bx; TFORCALL A C; TFORLOOP A Bx;"
)
LUA54 = _rows(
    f"{_54_HEAD} NEWTABLE A B C; SELF A B C k; ADDI A B sC; {_54_MIDDLE} SHRI A B sC; SHLI A B sC; {_54_PLAIN}"
    "SETLIST A B C k; CLOSURE A Bx; VARARG A C; VARARGPREP A; EXTRAARG Ax"
)
LUA55 = _rows(
    f"{_54_HEAD} NEWTABLE A vB vC k; SELF A B C; ADDI A B sC; {_54_MIDDLE} SHLI A B sC; SHRI A B sC; {_54_PLAIN}"
    "SETLIST A vB vC k; CLOSURE A Bx; VARARG A C k; GETVARG A B C; ERRNNIL A Bx; VARARGPREP A; EXTRAARG Ax"
)
PUC: dict[Dialect, tuple[tuple[str, tuple[str, ...]], ...]] = {
    Dialect.LUA50: LUA50, Dialect.LUA51: LUA51, Dialect.LUA52: LUA52, Dialect.LUA53: LUA53, Dialect.LUA54: LUA54,
    Dialect.LUA55: LUA55,
}  # fmt: skip

# LuaJIT: A, B and C or D by their modes; `D` alone stands for a 16-bit operand.
_JIT_HEAD = (
    "ISLT var - var; ISGE var - var; ISLE var - var; ISGT var - var; ISEQV var - var; ISNEV var - var; ISEQS var - str;"
    "ISNES var - str; ISEQN var - num; ISNEN var - num; ISEQP var - pri; ISNEP var - pri; ISTC dst - var; ISFC dst - var;"
    "IST - - var; ISF - - var;"
)
_JIT_TYPES = "ISTYPE var - lit; ISNUM var - lit;"
_JIT_MIDDLE = (
    "MOV dst - var; NOT dst - var; UNM dst - var; LEN dst - var; ADDVN dst var num; SUBVN dst var num; MULVN dst var num;"
    "DIVVN dst var num; MODVN dst var num; ADDNV dst var num; SUBNV dst var num; MULNV dst var num; DIVNV dst var num;"
    "MODNV dst var num; ADDVV dst var var; SUBVV dst var var; MULVV dst var var; DIVVV dst var var; MODVV dst var var;"
    "POW dst var var; CAT dst rbase rbase; KSTR dst - str; KCDATA dst - cdata; KSHORT dst - lits; KNUM dst - num;"
    "KPRI dst - pri; KNIL base - base; UGET dst - uv; USETV uv - var; USETS uv - str; USETN uv - num; USETP uv - pri;"
    "UCLO rbase - jump; FNEW dst - func; TNEW dst - lit; TDUP dst - tab; GGET dst - str; GSET var - str;"
    "TGETV dst var var; TGETS dst var str; TGETB dst var lit;"
)
_JIT_TAIL = (
    "CALLM base lit lit; CALL base lit lit; CALLMT base - lit; CALLT base - lit; ITERC base lit lit; ITERN base lit lit;"
    "VARG base lit lit; ISNEXT base - jump; RETM base - lit; RET rbase - lit; RET0 rbase - lit; RET1 rbase - lit;"
    "FORI base - jump; JFORI base - jump; FORL base - jump; IFORL base - jump; JFORL base - lit; ITERL base - jump;"
    "IITERL base - jump; JITERL base - lit; LOOP rbase - jump; ILOOP rbase - jump; JLOOP rbase - lit; JMP rbase - jump;"
    "FUNCF rbase - -; IFUNCF rbase - -; JFUNCF rbase - lit; FUNCV rbase - -; IFUNCV rbase - -; JFUNCV rbase - lit;"
    "FUNCC rbase - -; FUNCCW rbase - -"
)
LUAJIT20 = _rows(
    f"{_JIT_HEAD} {_JIT_MIDDLE} TSETV var var var; TSETS var var str; TSETB var var lit; TSETM base - num; {_JIT_TAIL}"
)
LUAJIT21 = _rows(
    f"{_JIT_HEAD} {_JIT_TYPES} {_JIT_MIDDLE} TGETR dst var var; TSETV var var var; TSETS var var str; TSETB var var lit;"
    f"TSETM base - num; TSETR var var var; {_JIT_TAIL}"
)
