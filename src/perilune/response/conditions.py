"""Conditions of CACAO steps: the comparison expressions of STIX 2.1 patterns, over playbook variables.

Everything of the grammar that can be said of a variable is understood: `= == != <> < <= > >= IN LIKE MATCHES
ISSUBSET ISSUPERSET EXISTS NOT AND OR ( ) [ ]`, and literals: strings, numbers, booleans, hex, binary and timestamps.
What speaks of observations in time (`FOLLOWEDBY`, `WITHIN`, `REPEATS`, `START`) has no meaning for a variable and
is an error that says so, never something skipped. An unknown variable's comparison is unknown, and so is what
hangs on it: neither branch is taken on a guess.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import re2  # type: ignore[import-untyped]

from perilune.errors import ContentError

Value = str | float | bool | bytes | datetime
MAX_LENGTH = 4096
MAX_DEPTH = 32

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<typed>[hbt]'(?:[^'\\]|\\.)*')
    | (?P<variable>__[A-Za-z][A-Za-z0-9_-]{0,200}?__(?::value)?(?![A-Za-z0-9_]))
    | (?P<number>[+-]?\d+(?:\.\d+)?(?![\w.]))
    | (?P<op>==|!=|<>|<=|>=|=|<|>|\(|\)|\[|\]|,)
    | (?P<word>[A-Za-z]+)
    )""",
    re.VERBOSE,
)
_TIME_WORDS = ("FOLLOWEDBY", "WITHIN", "REPEATS", "START", "STOP", "TIMES", "SECONDS")
_COMPARE = {"=", "==", "!=", "<>", "<", "<=", ">", ">=", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "IN"}


@dataclass(frozen=True, slots=True)
class Comparison:
    variable: str
    op: str
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Junction:
    """`AND` or `OR` of its parts."""

    word: str
    parts: tuple[Condition, ...]


Condition = Comparison | Junction


def parse_condition(text: str) -> Condition:
    """The condition's tree; a ContentError names the column where it is wrong."""
    if len(text) > MAX_LENGTH:
        raise ContentError(f"the condition is longer than {MAX_LENGTH} characters")
    return _Parser(_tokens(text), text).whole()


def variables_of(condition: Condition) -> tuple[str, ...]:
    """The names it asks for, each once."""
    if isinstance(condition, Comparison):
        return (condition.variable,)
    return tuple(dict.fromkeys(name for part in condition.parts for name in variables_of(part)))


def holds(condition: Condition, variables: Mapping[str, str | None]) -> bool | None:
    """Whether it holds; None when that hangs on a variable nobody knows."""
    if isinstance(condition, Comparison):
        return _compare(condition, variables.get(condition.variable))
    answers = [holds(part, variables) for part in condition.parts]
    decisive = condition.word == "OR"
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _wrong(f"cannot be read from {text[at : at + 20]!r}", at)
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


def _wrong(what: str, at: int) -> ContentError:
    return ContentError(f"the condition {what}", where=f"column {at + 1}")


class _Parser:
    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._end = len(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Condition:
        tree = self._or()
        if (token := self._peek()) is not None:
            if token.text.upper() in _TIME_WORDS:
                raise _wrong(f"uses {token.text}, which speaks of events in time; a variable has none", token.at)
            raise _wrong(f"ends, and {token.text!r} follows", token.at)
        return tree

    def _or(self) -> Condition:
        return self._joined("OR", lambda: self._joined("AND", self._part))

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _part(self) -> Condition:
        for opening, closing in (("(", ")"), ("[", "]")):
            if self._take(opening):
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    raise _wrong(f"is nested deeper than {MAX_DEPTH}", self._place())
                inner = self._or()
                self._expect(closing)
                self._depth -= 1
                return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        negated = self._take("NOT")
        if self._take("EXISTS"):
            return Comparison(self._variable(), "EXISTS", (), negated)
        name = self._variable()
        negated ^= self._take("NOT")
        token = self._next("a comparison operator")
        op = token.text.upper()
        if op not in _COMPARE:
            raise _wrong(f"has {token.text!r} where a comparison operator should be", token.at)
        place = self._place()
        values = self._set() if op == "IN" else (self._literal(),)
        if op == "MATCHES":
            _pattern(values[0], place)
        return Comparison(name, {"==": "=", "<>": "!="}.get(op, op), values, negated)

    def _variable(self) -> str:
        token = self._next("a variable")
        if token.kind != "variable":
            raise _wrong(f"has {token.text!r} where a variable such as __name__:value should be", token.at)
        if not token.text.endswith(":value"):
            raise _wrong(f"uses {token.text} without ':value'", token.at)
        return token.text.removesuffix(":value")

    def _set(self) -> tuple[Value, ...]:
        self._expect("(")
        values = [self._literal()]
        while self._take(","):
            values.append(self._literal())
        self._expect(")")
        return tuple(values)

    def _literal(self) -> Value:
        token = self._next("a value")
        if token.kind == "string":
            return _unquoted(token.text)
        if token.kind == "number":
            return float(token.text)
        if token.kind == "typed":
            return _typed(token)
        if token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        raise _wrong(f"has {token.text!r} where a value should be; texts stand in single quotes", token.at)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _place(self) -> int:
        token = self._peek()
        return token.at if token else self._end

    def _next(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            raise _wrong(f"ends where {what} should be", self._end)
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind not in ("op", "word") or token.text.upper() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise _wrong(f"has no {text!r} here", self._place())


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _typed(token: _Token) -> Value:
    kind, text = token.text[0], _unquoted(token.text[1:])
    try:
        if kind == "h":
            return bytes.fromhex(text)
        if kind == "b":
            return base64.b64decode(text, validate=True)
        return datetime.fromisoformat(text)
    except (ValueError, binascii.Error) as error:
        raise _wrong(f"has a literal {token.text[:40]} that is none: {error}", token.at) from None


def _pattern(value: Value, at: int) -> object:
    try:
        return re2.compile(str(value), _quiet())
    except re2.error as error:
        raise _wrong(f"has a regular expression that cannot be used: {error}", at) from None


def _quiet() -> object:
    options = re2.Options()
    options.log_errors = False
    return options


def _compare(one: Comparison, given: str | None) -> bool | None:
    if one.op == "EXISTS":
        return (given is not None) is not one.negated
    if given is None:
        return None
    answer = any(_one(given, one.op, value) for value in one.values)
    return answer is not one.negated


def _one(given: str, op: str, value: Value) -> bool:
    if op == "LIKE":
        pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in str(value))
        return re2.compile(f"(?s)^{pattern}$", _quiet()).match(given) is not None
    if op == "MATCHES":
        return re2.compile(str(value), _quiet()).search(given) is not None
    if op in ("ISSUBSET", "ISSUPERSET"):
        inner, outer = (given, str(value)) if op == "ISSUBSET" else (str(value), given)
        return _within(inner, outer)
    if op in ("=", "IN", "!="):
        return _equal(given, value) is (op != "!=")
    return _ordered(given, op, value)


def _within(inner: str, outer: str) -> bool:
    try:
        small, large = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    except ValueError:
        return False
    return small.version == large.version and small.subnet_of(large)  # type: ignore[arg-type]


def _equal(given: str, value: Value) -> bool:
    if isinstance(value, bool):
        return given.strip().lower() == ("true" if value else "false")
    if isinstance(value, bytes):
        return given.encode("utf-8", "surrogateescape") == value
    other = _as(given, value)
    return other is not None and other == value


def _ordered(given: str, op: str, value: Value) -> bool:
    other = _as(given, value)
    if other is None or isinstance(value, bool | bytes):
        return False
    left, right = (other, value) if op.startswith("<") else (value, other)
    return bool(left <= right if op.endswith("=") else left < right)  # type: ignore[operator]


def _as(given: str, value: Value) -> Value | None:
    """The variable's text as the literal's type; None where it is no such thing."""
    try:
        if isinstance(value, datetime):
            return datetime.fromisoformat(given)
        return float(given) if isinstance(value, float) else given
    except ValueError:
        return None
