"""One piece of compiled Lua: its chunk, what it calls, its strings, and the code that it unpacks."""

from __future__ import annotations

from dataclasses import replace

from perilune.analysis.lua.bytecode import chunks, jit_steps, luau, puc_steps
from perilune.analysis.lua.bytecode.follow import Follow
from perilune.analysis.lua.bytecode.stream import BytecodeError
from perilune.analysis.lua.sources import follow_chunks, without_code
from perilune.analysis.lua.work import Spans, Waiting, Work
from perilune.model.analysis import LayerState
from perilune.model.lua import Chunk, Dialect, Evidence, Form, Identity, Literal, Unit

JIT = (Dialect.LUAJIT, Dialect.LUAJIT20, Dialect.LUAJIT21)
LEAST_STRING = 4


def explain(work: Work, one: Waiting, identity: Identity) -> None:
    text = one.data.decode("latin-1")
    try:
        chunk = chunks.read(one.data)
    except BytecodeError as error:
        number = work.add(one, text, binary=True, language="lua", state=LayerState.PARTIAL, note=str(error))
        work.unseen[f"the compiled Lua could not be read: {error}"] = None
        evidence = (*identity.evidence, Evidence(str(error), error.offset, error.offset))
        work.units.append(Unit(number, replace(identity, confidence=0.6, evidence=evidence)))
        work.literals += _loose_strings(one.data, number)
        return
    number = work.add(one, text, binary=True, language="lua", note=one.note)
    work.units.append(Unit(number, _identity(identity, chunk), chunk=chunk))
    steps = jit_steps.STEPS if chunk.header.dialect in JIT else puc_steps.STEPS
    follow = Follow(chunk, number, work.apis, steps, data=one.data)
    if chunk.modified:
        work.unseen["the instructions are those of a changed Lua: only strings were read"] = None
        for prototype in chunk.prototypes:
            follow._strings(prototype)
    else:
        follow.start()
    without_code(follow.found)
    work.calls += follow.found.calls
    work.literals += follow.found.literals
    work.marks += follow.found.marks
    follow_chunks(work, one, number, follow.found, Spans(""))


def explain_luau(work: Work, one: Waiting, header: luau.Luau) -> None:
    """Luau's bytecode: recognised, its strings recovered; its instructions are not followed."""
    number = work.add(one, one.data.decode("latin-1"), binary=True, language="lua")
    evidence = (Evidence(f"bytecode version {header.version}, {len(header.strings)} strings", 0, 2),)
    work.units.append(Unit(number, Identity(Form.BYTECODE, Dialect.LUAU, header.confidence, evidence, "roblox")))
    work.unseen["bytecode of Luau is recognised and its strings are read; what it calls is not followed"] = None
    for start, end, text in header.strings:
        work.literals.append(Literal(text.decode("latin-1"), number, start, end, "constant"))


def _identity(identity: Identity, chunk: Chunk) -> Identity:
    header = chunk.header
    order = "little" if header.little else "big"
    if header.dialect in JIT:
        what = f"flags {', '.join(header.flags) or 'none'}; {order}-endian"
    else:
        what = (
            f"{order}-endian, {8 * header.size_t}-bit sizes, {8 * header.number_size}-bit numbers"
            f"{', integers only' if header.integral else ''}"
        )
    evidence = [*identity.evidence, Evidence(what, 0, header.size)]
    if header.stripped:
        evidence.append(Evidence("debug names are stripped"))
    evidence += [Evidence(fault) for fault in chunk.faults[:8]]
    form = Form.MODIFIED if chunk.modified else Form.BYTECODE
    return replace(identity, form=form, dialect=header.dialect, evidence=tuple(evidence))


def _loose_strings(data: bytes, layer: int) -> list[Literal]:
    """Stretches of readable text in what could not be read as a chunk."""
    import re

    found = re.finditer(rb"[\x20-\x7e]{%d,}" % LEAST_STRING, data[:4_000_000])
    return [
        Literal(m.group().decode("latin-1"), layer, m.start(), m.end(), "constant")
        for m, _ in zip(found, range(5000), strict=False)
    ]
