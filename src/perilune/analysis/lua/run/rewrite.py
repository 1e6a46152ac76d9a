"""Source of a dialect that no VM here reads, in words of one that does, on the same lines.

C operators and comments (Garry's Mod), types and `continue` (Luau, Garry's Mod), `x += 1` (Luau, FiveM).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.lua import identify, tree
from perilune.analysis.lua.lexer import Tokens, lex
from perilune.analysis.lua.parse import Parser
from perilune.model.lua import Dialect

_WRITTEN_SO = frozenset((Dialect.GLUA, Dialect.LUAU, Dialect.CFXLUA))
_OPERATORS = {"!=": "~=", "&&": " and ", "||": " or ", "!": " not "}
_MAY_BE_C = re.compile(r"(?m)^[ \t]*/[/*]|!=|&&|\|\|")
MOST = 1_000_000  # characters: a larger text runs as it is, or not

Edit = tuple[int, int, str]


def plain(code: bytes, dialect: Dialect) -> bytes:
    """The text as a VM here can read it; as it is where nothing needs to be said otherwise."""
    text = code.decode("latin-1")
    if len(text) > MOST:
        return code
    c_comments = _MAY_BE_C.search(text) is not None and identify.wants_c_comments(lex(text))
    if dialect not in _WRITTEN_SO and not c_comments:
        return code
    tokens = lex(text, c_comments=c_comments)
    edits = [*_operators(tokens), *_comments(tokens)]
    found = _Rewriter(tokens)
    if (parsed := found.chunk()).whole:
        edits += found.blanked
        edits += _statements(found, parsed.body)
    return _edited(text, edits).encode("latin-1", "replace")


def _operators(tokens: Tokens) -> Iterator[Edit]:
    text = tokens.text
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "op" and end - start <= 2 and (word := _OPERATORS.get(text[start:end])):
            yield start, end, word


def _comments(tokens: Tokens) -> Iterator[Edit]:
    """Comments of C between the tokens, as blanks; those of Lua may stay."""
    text, at = tokens.text, 0
    for start, end in [*zip(tokens.starts, tokens.ends, strict=True), (len(text), len(text))]:
        for piece_start, piece_end in ((at, start), (start, end)):
            if text[piece_start:piece_end].lstrip()[:2] in ("//", "/*"):
                yield piece_start, piece_end, _blank(text[piece_start:piece_end])
        at = end


def _blank(text: str) -> str:
    return "\n" * text.count("\n") or " "


class _Rewriter(Parser):
    """The parser, which remembers where types stand and where each block ends."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.blanked: list[Edit] = []
        self.block_ends: dict[int, int] = {}

    def _blank_since(self, before: int) -> None:
        if self.at > before:
            start, end = self.starts[before], self.ends[self.at - 1]
            self.blanked.append((start, end, _blank(self.text[start:end])))

    def annotation(self) -> None:
        before = self.at
        super().annotation()
        self._blank_since(before)

    def cast(self) -> bool:
        before = self.at
        done = super().cast()
        if done:
            self._blank_since(before)
        return done

    def generics(self) -> None:
        before = self.at
        super().generics()
        self._blank_since(before)

    def soft_keyword(self) -> tree.Stat | None:
        before = self.at
        found = super().soft_keyword()
        if isinstance(found, tree.Label):
            self._blank_since(before)
        return found

    def block(self) -> tree.Block:
        found = super().block()
        self.block_ends[id(found)] = self.starts[self.at]
        return found


def _statements(parser: _Rewriter, body: tree.Block) -> Iterator[Edit]:
    """`x += 1` and `continue`, the latter as a jump to the end of the loop around it."""
    waiting: list[tuple[object, tree.Block | None]] = [(body, None)]
    labelled: set[int] = set()
    while waiting:
        node, loop = waiting.pop()
        if isinstance(node, tree.Assignment) and node.operator:
            yield from _compound(parser.text, node)
        elif isinstance(node, tree.Jump) and node.word == "continue" and loop is not None:
            yield node.start, node.start + len("continue"), f"goto continue_{id(loop)}"
            if id(loop) not in labelled:
                labelled.add(id(loop))
                end = parser.block_ends[id(loop)]
                yield end, end, f" ::continue_{id(loop)}:: "
        elif isinstance(node, tree.While | tree.Repeat | tree.NumericFor | tree.GenericFor):
            loop = node.body
        elif isinstance(node, tree.Function):
            loop = None
        waiting += [(inner, loop) for inner in _inside(node)]


def _compound(text: str, node: tree.Assignment) -> Iterator[Edit]:
    target, value = node.targets[0], node.values[0]
    at = text.find(node.operator + "=", target.end, value.start)
    if at >= 0:
        yield at, at + len(node.operator) + 1, f"= {text[target.start : target.end]} {node.operator} ("
        yield value.end, value.end, ")"


def _inside(node: object) -> Iterator[object]:
    """The parts of a node that are nodes themselves."""
    if isinstance(node, list | tuple):
        yield from node
        return
    for name in getattr(type(node), "__slots__", ()):
        value = getattr(node, name)
        if not isinstance(value, str | int | float | bool | None):
            yield value


def _edited(text: str, edits: list[Edit]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, word in sorted(edits, key=lambda edit: (edit[0], edit[1])):
        if start >= at:
            parts += [text[at:start], word]
            at = end
    return "".join([*parts, text[at:]])
