"""An analysis of Lua in plain words: lines for a terminal or a document.

Texts of the sample are as they are; whoever shows the lines makes them harmless first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.lua.apis import packaged
from perilune.model.analysis import Capability, Sign
from perilune.model.lua import Call, Chunk, Form, Identity, LuaAnalysis, Prototype

MOST_SIGNS = 3
MOST_CALLS = 60
MOST_STRINGS = 40
MOST_LISTED = 4_000  # instructions

_FORMS = {
    Form.SOURCE: "source text", Form.BYTECODE: "compiled code", Form.MODIFIED: "compiled code of a changed Lua",
    Form.CARRIER: "a file that carries Lua", Form.NONE: "not Lua",
}  # fmt: skip


def report_lines(found: LuaAnalysis, *, deep: bool = False) -> list[str]:
    """Everything worth telling, most important first. `deep` adds calls, recovered strings and the disassembly."""
    lines = [*_what(found), "", *_does(found)]
    lines += _indicators(found)
    lines += _layers(found)
    lines += _obfuscated(found)
    if deep:
        lines += [*_calls(found), *_strings(found)]
        lines += [line for unit in found.units if unit.chunk for line in disassembly(unit.chunk)]
    return [*lines, *_limits(found)]


def _what(found: LuaAnalysis) -> Iterator[str]:
    yield f"This is {_identity(found.identity)}."
    for evidence in found.identity.evidence[:6]:
        place = f" (at {evidence.start}–{evidence.end})" if evidence.end else ""
        yield f"  because of: {evidence.text}{place}"


def _identity(one: Identity) -> str:
    form = _FORMS[one.form]
    if one.form in (Form.NONE, Form.CARRIER):
        return form
    host = f", written for {one.host}" if one.host else ""
    return f"{one.dialect} {form}{host} ({one.confidence:.0%} certain)"


def _does(found: LuaAnalysis) -> Iterator[str]:
    shown = [one for one in found.capabilities if one.weight >= 0.05]
    if not shown:
        yield "Nothing that it does to the system was seen by reading it. That is no proof that it does nothing."
        return
    yield "What it does:"
    for one in sorted(shown, key=lambda c: -c.weight):
        techniques = f" [{' '.join(one.techniques)}]" if one.techniques else ""
        yield f"  It {sentence(one)}.{techniques}"
        yield from (f"    {_sign(sign)}" for sign in one.signs[:MOST_SIGNS])
        if len(one.signs) > MOST_SIGNS:
            yield f"    and in {len(one.signs) - MOST_SIGNS} more places"


def sentence(one: Capability) -> str:
    """The capability as the end of a sentence that begins with “It”."""
    definition = packaged().definitions.get(one.id)
    if definition is None:
        return f"runs a command: {one.title[:1].lower()}{one.title[1:]}"
    if "{0}" not in definition.says:
        return definition.says
    known = [quoted[0] for sign in one.signs if (quoted := _QUOTED.findall(sign.text))]
    if not known and all(sign.test != "string" for sign in one.signs):
        return definition.says.replace("{0}", "something that is computed or comes from outside")
    return definition.says.replace("{0}", known[0] if known else f'"{one.signs[0].text}"')


_QUOTED = re.compile(r'"[^"]*"')


def _sign(sign: Sign) -> str:
    return f"layer {sign.layer}, {sign.start}–{sign.end}: {' '.join(sign.text.split())[:140]}"


def _indicators(found: LuaAnalysis) -> Iterator[str]:
    if found.indicators:
        yield ""
        yield "Indicators in its strings:"
        for one in found.indicators[:60]:
            yield f"  {one.kind}: {one.value}{f' ({one.scope})' if one.scope not in ('', 'public') else ''}"


def _layers(found: LuaAnalysis) -> Iterator[str]:
    inner = [layer for layer in found.layers if layer.parent is not None]
    if inner:
        yield ""
        yield "Code inside code:"
    for layer in inner:
        note = f" ({layer.note})" if layer.note else ""
        yield f"  layer {layer.number}: {layer.kind} in layer {layer.parent} at {layer.start}–{layer.end}, {len(layer.text):,} characters{note}"


def _obfuscated(found: LuaAnalysis) -> Iterator[str]:
    if found.obfuscations:
        yield ""
    for one in found.obfuscations:
        yield f"Hard to read: {one.name} ({one.confidence:.0%} certain, layer {one.layer}). This alone says nothing about its purpose."
        yield from (f"  because of: {evidence.text}" for evidence in one.evidence)


def _calls(found: LuaAnalysis) -> Iterator[str]:
    yield ""
    yield "Calls of known functions, in the order of the code:"
    for call in found.calls[:MOST_CALLS]:
        yield f"  layer {call.layer}, {call.start}: {call_text(call)}"
    if len(found.calls) > MOST_CALLS:
        yield f"  and {len(found.calls) - MOST_CALLS:,} more"


def call_text(call: Call) -> str:
    arguments = ", ".join("?" if a is None else a[1:] if a.startswith("=") else f'"{a[:80]}"' for a in call.arguments)
    return f"{call.name}({arguments})" + (f"  [{call.via}]" if call.via != "plain" else "")


def _strings(found: LuaAnalysis) -> Iterator[str]:
    built = {one.text: one for one in found.literals if one.how not in ("literal", "constant")}
    recovered = [one for one in built.values() if len(one.text) > 5 and not one.text.isdigit()]
    if recovered:
        yield ""
        yield "Strings that it builds:"
        yield from (f"  {one.text[:160]!r}" for one in recovered[:MOST_STRINGS])


def _limits(found: LuaAnalysis) -> Iterator[str]:
    if found.unseen or found.cut:
        yield ""
    yield from (f"Not seen: {one}." for one in found.unseen)
    yield from (f"Not looked at: {one}." for one in found.cut)


def disassembly(chunk: Chunk) -> Iterator[str]:
    """The listing of every function, constants and jump targets resolved."""
    left = MOST_LISTED
    for one in chunk.prototypes:
        if left <= 0:
            yield "and more; the listing is cut here"
            return
        yield ""
        yield _function(one)
        for instruction in one.code[:left]:
            operands = " ".join(map(str, instruction.operands))
            comment = f"  ; {instruction.comment}" if instruction.comment else ""
            yield f"  {instruction.pc:5} [{instruction.line or '-'}] {instruction.name:<10} {operands:<12}{comment}"
        left -= len(one.code)
    for fault in chunk.faults:
        yield f"  fault: {fault}"


def _function(one: Prototype) -> str:
    lines = f", lines {one.line}–{one.last_line}" if one.last_line else ""
    vararg = "+" if one.vararg else ""
    return (
        f"function {one.path}: {len(one.code)} instructions, {one.parameters}{vararg} parameters, {one.stack} registers, "
        f"{len(one.constants) + len(one.numbers)} constants, {len(one.upvalues)} upvalues{lines}"
    )
