"""A rule's tests in Sigma's own words, for evidence and explanations."""

from __future__ import annotations

from perilune.detection.values import shorten
from perilune.model.rules import (
    Boolean,
    Cidr,
    Compare,
    Exists,
    FieldMatch,
    Keyword,
    Leaf,
    Null,
    Number,
    Regex,
    SameRow,
    Text,
    TimePart,
    Wildcard,
)

_SIGNS = {
    Compare.EQ: "",
    Compare.NEQ: "neq ",
    Compare.LT: "lt ",
    Compare.LTE: "lte ",
    Compare.GT: "gt ",
    Compare.GTE: "gte ",
}


def field_name(leaf: Leaf) -> str:
    """The Sigma field that the leaf tests; a keyword has none."""
    return "keyword" if isinstance(leaf, Keyword) else leaf.field.name


def column(leaf: Leaf) -> str:
    """The column that the leaf looks into."""
    if isinstance(leaf, Keyword):
        return "any text"
    return leaf.field.column if leaf.field.key is None else f"{leaf.field.column}.{leaf.field.key}"


def sentence(leaf: Leaf) -> str:
    """The whole test: field, column and what is asked of it."""
    return f"{field_name(leaf)} ({column(leaf)}) {test(leaf)}"


def test(leaf: Leaf) -> str:
    """What is asked of the value: `contains 'lua'`, `re '^a.*'`."""
    return shorten(_test(leaf))


def _test(leaf: Leaf) -> str:
    match leaf:
        case Text(parts=parts, cased=cased):
            return _like(parts, cased)
        case Keyword(pattern=str(pattern), flags=flags) | Regex(pattern=pattern, flags=flags):
            return "|".join(("re", *flags)) + f" '{pattern}'"
        case Keyword(parts=parts, cased=cased):
            return _like(parts, cased)
        case TimePart(part=part, op=op, value=value):
            return f"{part} {_SIGNS[op]}{value}"
        case Number(op=op, value=value):
            return f"{_SIGNS[op] or 'is '}{value}"
        case Boolean(value=value):
            return f"is {str(value).lower()}"
        case Null():
            return "is null"
        case Exists():
            return "exists"
        case Cidr(network=network):
            return f"cidr {network}"
        case SameRow(other=other, how=how):
            return f"{'is' if how is FieldMatch.EQUALS else how} the value of {other.name}"


def _like(parts: tuple[str | Wildcard, ...], cased: bool) -> str:
    match parts:
        case ():
            said = "is empty"
        case (str(text),):
            said = f"is '{text}'"
        case (Wildcard.MANY, str(text), Wildcard.MANY):
            said = f"contains '{text}'"
        case (str(text), Wildcard.MANY):
            said = f"startswith '{text}'"
        case (Wildcard.MANY, str(text)):
            said = f"endswith '{text}'"
        case _:
            said = "is like '" + "".join(_written(part) for part in parts) + "'"
    return f"{said}, cased" if cased else said


def _written(part: str | Wildcard) -> str:
    return part.value if isinstance(part, Wildcard) else part.replace("*", r"\*").replace("?", r"\?")
