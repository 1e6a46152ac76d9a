"""Words for what Lua is and does, shared by the terminal and the HTML report. Raw text in, raw text out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache

from perilune.model.analysis import Layer, Sign
from perilune.model.lua import Chunk, Form, Header, Identity, LuaAnalysis

_FORMS = {
    Form.SOURCE: "source text", Form.BYTECODE: "compiled code", Form.MODIFIED: "compiled code of a changed Lua",
    Form.CARRIER: "A file that carries Lua", Form.NONE: "No Lua was recognised in this file",
}  # fmt: skip
OURS = "Made up by us for the run, nobody's: do not look for them, do not block them"
NOTHING_SEEN = "Nothing that it does to the system was seen. That is no proof that it does nothing."
NO_VERDICT = "This alone says nothing about its purpose."


def identity_words(one: Identity) -> str:
    """`Lua 5.1 source text, written for nginx, 99 % certain`."""
    form = _FORMS[one.form]
    if one.form in (Form.NONE, Form.CARRIER):
        return form
    host = f", written for {one.host}" if one.host else ""
    return f"{one.dialect} {form}{host}, {one.confidence * 100:.0f} % certain"


def header_words(one: Header) -> str:
    """`64 bit, little-endian, stripped of debug names`."""
    order = "little-endian" if one.little else "big-endian"
    names = "stripped of debug names" if one.stripped else "with debug names"
    flags = "".join(f", {flag}" for flag in one.flags if flag != "stripped")
    return f"{one.size_t * 8} bit, {order}, {names}{flags}"


def layer_words(layer: Layer) -> str:
    """`layer 2: string.char in layer 1, 1,204 characters`."""
    size = f"{len(layer.text):,} {'bytes' if layer.binary else 'characters'}"
    inside = f" in layer {layer.parent}" if layer.parent is not None else ""
    return f"layer {layer.number}: {layer.kind}{inside}, {size}"


class Places:
    """Where a span stands, in the words that an analyst looks it up with: a line, an instruction, a byte."""

    def __init__(self, found: LuaAnalysis) -> None:
        self._layers = found.layers
        self._chunks: Mapping[int, Chunk] = {u.layer: u.chunk for u in found.units if u.chunk is not None}

    def __call__(self, layer: int, start: int) -> str:
        if self._layers[layer].kind == "run":
            return f"run, call {line_of(self._layers[layer].text, start)[0]}"
        named = f"layer {layer}, " if len(self._layers) > 1 else ""
        return named + self.within(layer, start)

    def within(self, layer: int, start: int) -> str:
        if layer in self._chunks:
            return _instruction(self._chunks[layer], start)
        one = self._layers[layer]
        if one.binary:
            return f"byte {start:#x}"
        line, column = line_of(one.text, start)
        return f"line {line}" if column < 1000 else f"line {line}, column {column:,}"

    def line(self, sign: Sign) -> tuple[str, str, str]:
        """What stands before a sign on its line, the sign's own text there, and what stands behind it."""
        layer = self._layers[sign.layer]
        if layer.binary or layer.kind == "run" or sign.layer in self._chunks or sign.end <= sign.start:
            return "", "", ""
        text = layer.text
        first = max(text.rfind("\n", 0, sign.start) + 1, sign.start - 60)
        last = text.find("\n", sign.end)
        last = min(last if last >= 0 else len(text), sign.end + 80)
        return text[first : sign.start].lstrip(), text[sign.start : sign.end], text[sign.end : last]


def _instruction(chunk: Chunk, start: int) -> str:
    inside = [one for one in chunk.prototypes if one.start <= start < max(one.end, one.start + 1)]
    if not inside:
        return f"byte {start:#x}"
    one = min(inside, key=lambda p: p.end - p.start)
    number = (start - one.code_at) // 4 + 1
    return f"{one.path}, instruction {number}" if 0 < number <= len(one.code) else f"{one.path}, byte {start:#x}"


def line_of(text: str, start: int) -> tuple[int, int]:
    """The line and column of a character, from 1."""
    breaks = _breaks(text)
    line = bisect_right(breaks, start - 1)
    return line + 1, start - (breaks[line - 1] if line else -1)


@lru_cache(maxsize=8)
def _breaks(text: str) -> list[int]:
    return [at for at, char in enumerate(text) if char == "\n"]
