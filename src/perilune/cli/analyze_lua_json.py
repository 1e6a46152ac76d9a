"""Lua as JSON: `content/schemas/analyze.schema.json` and docs/reference/lua.md describe it."""

from __future__ import annotations

from perilune.analysis.lua.bytecode.listing import constant_text
from perilune.cli.analyze_lua import LuaPart
from perilune.cli.analyze_output import Plain, capability_object, indicator_object, layer_object, scalars
from perilune.model.lua import (
    Call,
    Chunk,
    Event,
    Evidence,
    Identity,
    Instruction,
    Loaded,
    Obfuscation,
    Pass,
    Prototype,
    Run,
    Unit,
)
from perilune.report.lua_view import built_strings

MOST_CONSTANT = 100_000


def lua_object(part: LuaPart) -> Plain:
    found = part.found
    return {
        "where": part.where,
        "layer": part.layer,
        "sha256": found.sha256,
        "size": found.size,
        "score": found.score,
        "severity": found.level.word,
        "techniques": list(found.techniques),
        "reasons": [{"odds": r.odds, "text": r.text, "capability": r.capability or None} for r in found.reasons],
        "units": [_unit(one) for one in found.units],
        "layers": [layer_object(one) for one in found.layers],
        "capabilities": [{**capability_object(one), "says": scalars(one.says)} for one in found.capabilities],
        "indicators": [indicator_object(one) for one in found.indicators],
        "obfuscations": [_obfuscation(one) for one in found.obfuscations],
        "calls": [_call(one) for one in found.calls],
        "strings": [scalars(text) for text in built_strings(found.literals)],
        "runs": [_run(one) for one in found.runs],
        "decoys": [{"value": value, "stands_for": stands_for} for value, stands_for in found.decoys],
        "not_seen": [scalars(text) for text in found.unseen],
        "not_looked_at": [scalars(text) for text in found.cut],
    }


def _unit(one: Unit) -> Plain:
    return {"layer": one.layer, "identity": _identity(one.identity), "chunk": _chunk(one.chunk) if one.chunk else None}


def _identity(one: Identity) -> Plain:
    return {
        "form": one.form.value,
        "dialect": one.dialect.value,
        "confidence": one.confidence,
        "host": one.host or None,
        "evidence": [_evidence(e) for e in one.evidence],
    }


def _evidence(one: Evidence) -> Plain:
    return {"text": scalars(one.text), "span": [one.start, one.end]}


def _obfuscation(one: Obfuscation) -> Plain:
    evidence = [_evidence(e) for e in one.evidence]
    return {"name": one.name, "confidence": one.confidence, "layer": one.layer, "evidence": evidence}


def _call(one: Call) -> Plain:
    arguments = [None if a is None else scalars(a) for a in one.arguments]
    span = [one.start, one.end]
    return {"name": scalars(one.name), "layer": one.layer, "span": span, "arguments": arguments, "via": one.via}


def _chunk(one: Chunk) -> Plain:
    header = one.header
    return {
        "dialect": header.dialect.value,
        "bits": header.size_t * 8,
        "endian": "little" if header.little else "big",
        "stripped": header.stripped,
        "flags": list(header.flags),
        "faults": list(one.faults),
        "functions": [_function(p) for p in one.prototypes],
    }


def _function(one: Prototype) -> Plain:
    return {
        "path": one.path,
        "span": [one.start, one.end],
        "source": scalars(one.source),
        "lines": [one.line, one.last_line],
        "parameters": one.parameters,
        "vararg": one.vararg,
        "registers": one.stack,
        "constants": [scalars(constant_text(c, MOST_CONSTANT)) for c in (*one.constants, *one.numbers)],
        "upvalues": [scalars(u.name) for u in one.upvalues],
        "locals": [scalars(v.name) for v in one.locals],
        "code": [_instruction(i) for i in one.code],
    }


def _instruction(one: Instruction) -> Plain:
    comment = scalars(one.comment) or None
    return {
        "pc": one.pc,
        "name": one.name,
        "operands": list(one.operands),
        "line": one.line or None,
        "comment": comment,
    }


def _run(one: Run) -> Plain:
    trace = one.trace
    return {
        "of": one.of,
        "record": one.record,
        "outcome": trace.outcome.value,
        "reason": scalars(trace.reason) or None,
        "dialect": trace.dialect.value if trace.dialect else None,
        "isolation": list(trace.isolation),
        "passes": [_pass(p) for p in trace.passes],
        "events": [_event(e) for e in trace.events],
        "loaded": [_loaded(c) for c in trace.chunks],
        "strings": [scalars(text) for text in trace.strings],
    }


def _pass(one: Pass) -> Plain:
    return {
        "number": one.number,
        "runtime": one.runtime,
        "why": scalars(one.why),
        "end": scalars(one.end),
        "steps": one.steps,
        "cpu_ms": one.cpu_ms,
    }


def _event(one: Event) -> Plain:
    return {
        "name": scalars(one.name),
        "arguments": [scalars(a) for a in one.arguments],
        "carries": list(one.carries),
        "pass": one.number,
        "at_ms": one.at,
        "times": one.times,
    }


def _loaded(one: Loaded) -> Plain:
    return {
        "how": one.how,
        "name": scalars(one.name),
        "size": len(one.code),
        "text": one.code.decode("latin-1"),
        "depth": one.depth,
        "pass": one.number,
        "carries": list(one.carries),
        "compiled": one.compiled,
        "cut": one.cut,
    }
