"""What both parsers stand on: the tokens, where we are in them, and the errors that say what was expected."""

from __future__ import annotations

from collections.abc import Collection

from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import KIND_NAMES, Kind
from perilune.detection.kql.tokens import Lexer, Token, Type

MAX_DEPTH = 60  # of parentheses, calls and sub-queries within each other; real queries stay below 15


class Reading:
    """A place in a list of tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = Lexer(text).tokens()
        self._place = 0
        self._depth = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._place]

    @property
    def at(self) -> Span:
        return self.now.at

    def ahead(self, count: int = 1) -> Token:
        return self._tokens[min(self._place + count, len(self._tokens) - 1)]

    def next(self) -> Token:
        token = self.now
        if token.type is not Type.END:
            self._place += 1
        return token

    def place(self) -> int:
        return self._place

    def back_to(self, place: int) -> None:
        self._place = place

    def is_mark(self, *marks: str) -> bool:
        return self.now.type is Type.MARK and self.now.text in marks

    def is_word(self, *words: str) -> bool:
        return self.now.type is Type.NAME and self.now.text in words

    def skip_mark(self, mark: str) -> bool:
        if self.is_mark(mark):
            self._place += 1
            return True
        return False

    def skip_word(self, *words: str) -> bool:
        if self.is_word(*words):
            self._place += 1
            return True
        return False

    def expect_mark(self, mark: str, after: str = "") -> Token:
        if not self.is_mark(mark):
            raise self.expected(f"'{mark}'" + (f" {after}" if after else ""))
        return self.next()

    def expect_word(self, *words: str) -> Token:
        if not self.is_word(*words):
            raise self.expected(" or ".join(f"'{word}'" for word in words))
        return self.next()

    def expected(self, what: str, hint: str | None = None) -> KqlError:
        return KqlError(f"expected {what}, found {self.now}", self.at, hint=hint)

    def touches(self) -> bool:
        """Whether the next token follows this one with nothing between."""
        return self.now.end == self.ahead().at.offset

    def enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise KqlError(f"the query is nested more than {MAX_DEPTH} levels deep", self.at)

    def leave(self) -> None:
        self._depth -= 1

    # ── small pieces that several operators share ───────────────────────────────────────────────────────────────────

    def name(self, what: str = "a name") -> str:
        """An identifier, bare or as ['…']."""
        if self.now.type is Type.NAME:
            return self.next().text
        if self.is_mark("[") and self.ahead().type is Type.STRING:
            self.next()
            name = str(self.next().value)
            self.expect_mark("]")
            return name
        raise self.expected(what)

    def hyphenated(self) -> str:
        """An operator's name: words joined by hyphens with no space between."""
        text = self.name("an operator")
        while self.is_mark("-") and self._glued() and self.ahead().type is Type.NAME:
            self.next()
            text += "-" + self.next().text
        return text

    def _glued(self) -> bool:
        return self._tokens[self._place - 1].end == self.at.offset and self.touches()

    def kind(self) -> Kind:
        token = self.now
        if token.type is Type.NAME and token.text in KIND_NAMES:
            self.next()
            return KIND_NAMES[token.text]
        raise self.expected("a type", hint="types: " + ", ".join(kind.value for kind in Kind))

    def columns(self) -> tuple[tuple[str, Kind], ...]:
        """`(a:long, b:string)`"""
        self.expect_mark("(")
        found: list[tuple[str, Kind]] = []
        while not self.is_mark(")"):
            name = self.name("a column name")
            self.expect_mark(":", "and a type")
            found.append((name, self.kind()))
            if not self.skip_mark(","):
                break
        self.expect_mark(")")
        return tuple(found)

    def option(self, names: Collection[str]) -> str | None:
        """The name of the next `name=` if it is one of these; it and the `=` are skipped."""
        if self.now.type is Type.NAME and self.now.text in names:
            follows = self.ahead()
            if follows.type is Type.MARK and follows.text == "=":
                self.next()
                self.next()
                return self.ahead(-2).text
        return None
