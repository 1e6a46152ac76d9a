"""One piece of Lua source: dialect, shape, calls, strings, and the code that it unpacks."""

from __future__ import annotations

import re
from dataclasses import replace

from perilune.analysis.lua import identify, packed, shape
from perilune.analysis.lua.apis import Mark
from perilune.analysis.lua.lexer import Tokens, lex
from perilune.analysis.lua.machine import MOST_STEPS
from perilune.analysis.lua.parse import Parsed, parse
from perilune.analysis.lua.recording import Scanned
from perilune.analysis.lua.scan import Scan
from perilune.analysis.lua.work import MOST_SOURCE, Spans, Waiting, Work
from perilune.model.analysis import LayerState
from perilune.model.lua import Call, Form, Identity, Literal, Unit

LEAST_CHUNK = 8  # characters of constant text given to load that are worth a layer
SOME_STEPS = 150_000  # where no code is hidden, but an argument may be
FEW_STEPS = 20_000  # where nothing lies in the text that could be decoded


def is_source(one: Waiting) -> bool:
    """Whether the bytes read as Lua source: by their look, or as a place that holds Lua and can be parsed."""
    text = one.data[: identify.HEAD * 2].decode("latin-1")
    if "\0" in text[:4000] and not one.sure:
        return False
    one.look = one.look or identify.of_source(text, one.name)
    weight = one.look[0]
    if one.sure or weight >= identify.ENOUGH:
        return True
    if weight < 0.3 and not one.name.endswith(".lua"):
        return False
    parsed = parse(lex(text))
    return not parsed.faults and len(parsed.body.statements) > 0 and len(one.data) <= len(text)


def parses(one: Waiting) -> bool:
    """Whether all of it is Lua, without a fault."""
    parsed = read(one.data[:MOST_SOURCE].decode("latin-1"))[1]
    return not parsed.faults and parsed.whole


def explain(work: Work, one: Waiting) -> None:
    code = one.data[:MOST_SOURCE].decode("latin-1")
    if len(one.data) > MOST_SOURCE:
        work.cut.append(f"only the first {MOST_SOURCE:,} bytes of the text were read")
    spans = Spans(code)
    tokens, parsed = read(code)
    partial = bool(parsed.faults) or not parsed.whole
    number = work.add(one, spans.text, language="lua", state=LayerState.PARTIAL if partial else LayerState.WHOLE)
    identity = _identity(code, one, tokens, parsed)
    work.units.append(Unit(number, identity, shape.measure(tokens)))
    found = Scan(code, number, work.apis).run(parsed.body)
    if not parsed.whole:
        found.literals += _token_strings(tokens, number, parsed)
        work.cut.append("the text is nested too deep, or damaged: part of it was read as words only")
    unpacked = (found.open_code or found.hidden or not parsed.whole) and _packed(tokens, found, number)
    if unpacked:
        _closed(found, work)
    _evaluated(work, number, code, parsed, found, most=SOME_STEPS if unpacked else MOST_STEPS)
    without_code(found)
    _keep(work, found, spans)
    follow_chunks(work, one, number, found, spans)


def read(code: str) -> tuple[Tokens, Parsed]:
    """Tokens and tree, with `//` as a comment where the text wants that."""
    tokens = lex(code)
    if identify.wants_c_comments(tokens):
        tokens = lex(code, c_comments=True)
    return tokens, parse(tokens)


def _identity(code: str, one: Waiting, tokens: Tokens, parsed: Parsed) -> Identity:
    weight, evidence = one.look or identify.of_source(code, one.name)
    dialect, _confidence, more = identify.dialect_of(tokens)
    sure = 0.95 if one.sure else min(0.99, 0.5 + weight / 12)
    if parsed.faults:
        sure *= 0.8
    return Identity(Form.SOURCE, dialect, round(max(sure, 0.3), 2), (*more, *evidence))


def _keep(work: Work, found: Scanned, at: Spans) -> None:
    if at.same:
        work.calls += found.calls
        work.literals += found.literals
        work.marks += found.marks
        return
    work.calls += [replace(c, start=at(c.start), end=at(c.end)) for c in found.calls]
    work.literals += [replace(s, start=at(s.start), end=at(s.end)) for s in found.literals]
    work.marks += [replace(m, start=at(m.start), end=at(m.end)) for m in found.marks]


def without_code(found: Scanned) -> None:
    """Takes packed code, and the pieces it was put together from, off the strings: it is read as code of its own."""
    texts = [chunk.text for chunk in found.chunks if len(chunk.text) >= LEAST_CHUNK][:20]
    if texts:
        whole = set(texts)
        found.literals = [
            one
            for one in found.literals
            if one.text not in whole
            and (one.how in ("literal", "constant") or not any(one.text in text for text in texts))
            and not (len(one.text) >= 400 and any(one.text in text or one.text[::-1] in text for text in texts))
        ]


def follow_chunks(work: Work, one: Waiting, number: int, found: Scanned, at: Spans) -> None:
    """Queues the constant code that a piece runs."""
    text = one.data.decode("latin-1")
    for chunk in found.chunks:
        if len(chunk.text) >= LEAST_CHUNK:
            data = chunk.text.encode("latin-1", "replace")
            start, end = at(chunk.start), at(chunk.end)
            if chunk.text not in text:
                shown = f"{chunk.how}: {chunk.text[:120]}"
                work.marks.append(Mark("unpacked-code", number, start, end, shown))
            work.follow(
                Waiting(
                    data,
                    chunk.how,
                    number,
                    start,
                    end,
                    note="code given to " + chunk.how,
                    sure=True,
                    depth=one.depth + 1,
                )
            )


# Several that each begin with letters: together in one pattern they would be tried at every character.
_COMPUTES = tuple(
    map(
        re.compile,
        (
            r"string\s*\.\s*(?:char|byte|reverse|gsub)",
            r":(?:byte|char|reverse|gsub)\b",
            r"bxor\b",
            r"\\(?:x[0-9a-fA-F]{2}|\d{3})",
            r"\.\.\s*string",
        ),
    )
)


def _evaluated(work: Work, layer: int, code: str, parsed: Parsed, found: Scanned, most: int) -> None:
    """Evaluates where reading alone left something open that computing could close, and merges what that adds.

    `most`: the steps that it may take where code is hidden; few where the code was unpacked already.
    """
    wanted = found.open_code or found.hidden or found.indexed or (found.open_calls and _computes(code))
    if not wanted or work.steps <= 0:
        return
    if not _carries_data(code, found):
        most = FEW_STEPS
    elif not (found.open_code or found.hidden):
        most = SOME_STEPS
    from perilune.analysis.lua.evaluate import Evaluate  # late: most texts leave nothing open

    machine = Evaluate(code, layer, work.apis, min(work.steps, most))
    given = machine.steps
    machine.start(parsed.body)
    work.steps -= given - max(machine.steps, 0)
    if machine.exhausted and most == MOST_STEPS:
        work.cut.append("what the code computes was followed only for a while: it goes on for longer")
    _merge(found, machine.found)


def _computes(code: str) -> bool:
    return any(pattern.search(code) for pattern in _COMPUTES)


_DENSE = re.compile(r"\S{40,}\Z|(?:\S{20,}\s){3,}")
_NUMBERS = re.compile(r",\s*+(?:0x[0-9a-fA-F]{1,2}+|\d{1,3}+)\s*+(?:,\s*+(?:0x[0-9a-fA-F]{1,2}+|\d{1,3}+)\s*+){14}")


def _carries_data(code: str, found: Scanned) -> bool:
    """Whether there is anything to decode: long strings without blanks, strings of bytes, tables of numbers."""
    if _NUMBERS.search(code):
        return True
    return any(
        (len(one.text) >= 40 and _DENSE.match(one.text)) or (len(one.text) > 8 and not one.text.isascii())
        for one in found.literals
    )


def _merge(found: Scanned, more: Scanned) -> None:
    """The evaluated calls instead of the read ones at the same place where they know more."""
    places: dict[tuple[str, int, int], list[Call]] = {}
    for call in more.calls:
        places.setdefault((call.name, call.start, call.end), []).append(call)
    kept: list[Call] = []
    for call in found.calls:
        better = [c for c in places.pop((call.name, call.start, call.end), []) if _known(c) > _known(call)]
        kept += list(dict.fromkeys(better))[:20] or [call]
    kept += [call for calls in places.values() for call in list(dict.fromkeys(calls))[:20]]
    found.calls = sorted(kept, key=lambda call: call.start)
    found.literals += more.literals
    found.marks += [mark for mark in more.marks if mark not in found.marks]
    texts = {chunk.text for chunk in found.chunks}
    found.chunks += [chunk for chunk in more.chunks if chunk.text not in texts]


def _known(call: Call) -> int:
    """How much is known of a call's arguments: constants count, names of APIs count half."""
    return sum(2 if not one.startswith("=") else 1 for one in call.arguments if one is not None)


def _packed(tokens: Tokens, found: Scanned, layer: int) -> bool:
    """Code that lies packed in the text in one of the usual ways; whether there is any."""
    known = {chunk.text for chunk in found.chunks}
    unpacked = packed.find(tokens, found.literals)
    for one in unpacked:
        text = one.data.decode("latin-1")
        if text not in known:
            found.chunks.append(Literal(text, layer, one.start, one.end, one.how))
    return bool(unpacked)


def _closed(found: Scanned, work: Work) -> None:
    """Where one piece of code lies packed and one call runs code that is not known, they belong together."""
    texts = {chunk.text for chunk in found.chunks}
    runs = [n for n, call in enumerate(found.calls) if "code" in work.apis.takes(call.name)]
    open_ones = [n for n in runs if _is_open(found.calls[n], work)]
    if len(texts) == 1 and len(open_ones) == 1:
        call = found.calls[open_ones[0]]
        found.calls[open_ones[0]] = replace(call, arguments=(*texts, *call.arguments[1:]))


def _is_open(call: Call, work: Work) -> bool:
    """Whether nothing is known of what it runs, not even that it comes from outside."""
    first = call.arguments[0] if call.arguments else None
    return first is None or (first.startswith("=") and not work.apis.gives(first[1:]))


def _token_strings(tokens: Tokens, layer: int, parsed: Parsed) -> list[Literal]:
    """The strings behind the place where the tree ends."""
    from perilune.analysis.lua.lexer import string_value

    end = parsed.faults[-1][0] if parsed.faults else 0
    found = []
    for token in tokens:
        if token.start >= end and token.kind in ("string", "longstring") and token.end - token.start > 4:
            value = string_value(tokens.text[token.start : token.end])
            found.append(Literal(value, layer, token.start, token.end))
    return found[:20_000]
