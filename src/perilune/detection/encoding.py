"""Rule trees as plain JSON values and back, for the cache and as content-addressed keys.

No pickle: what is read back is data, checked as it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from perilune.model.rules import (
    And,
    Boolean,
    Cidr,
    Compare,
    Exists,
    Expr,
    Field,
    FieldMatch,
    Keyword,
    Not,
    Null,
    Number,
    Or,
    Regex,
    SameRow,
    Text,
    TimePart,
    Wildcard,
)

Json = object
_WILDCARDS = (Wildcard.MANY, Wildcard.ONE)  # encoded as 0 and 1


class DecodeError(ValueError):
    """What was read is not what this version writes."""


def key(expr: Expr) -> str:
    """A text that two equal trees share."""
    return orjson.dumps(encode(expr)).decode("utf-8")


def encode(expr: Expr) -> Json:
    match expr:
        case And(of=parts):
            return ["&", *map(encode, parts)]
        case Or(of=parts):
            return ["|", *map(encode, parts)]
        case Not(of=inner):
            return ["!", encode(inner)]
        case Text(field=field, parts=parts, cased=cased):
            return ["t", _field(field), _parts(parts), cased]
        case Regex(field=field, pattern=pattern, flags=flags):
            return ["r", _field(field), pattern, flags]
        case Number(field=field, op=op, value=value):
            return ["n", _field(field), op.value, value]
        case TimePart(field=field, part=part, op=op, value=value):
            return ["p", _field(field), part, op.value, value]
        case Boolean(field=field, value=value):
            return ["b", _field(field), value]
        case Null(field=field):
            return ["0", _field(field)]
        case Exists(field=field):
            return ["e", _field(field)]
        case Cidr(field=field, network=network):
            return ["c", _field(field), network]
        case SameRow(field=field, other=other, how=how, cased=cased):
            return ["s", _field(field), _field(other), how.value, cased]
        case Keyword(parts=parts, pattern=pattern, flags=flags, cased=cased):
            return ["k", _parts(parts), pattern, flags, cased]


def decode(value: Json) -> Expr:
    """The tree that was encoded. Raises DecodeError for anything else."""
    try:
        return _decode(value)
    except (TypeError, ValueError, IndexError, KeyError, RecursionError) as error:
        raise DecodeError(f"no rule tree: {error}") from None


def _decode(value: Json) -> Expr:
    match value:
        case [str(kind), *rest] if kind in _DECODERS:
            return _DECODERS[kind](*rest)
    raise DecodeError("no rule tree")


def _number(value: object) -> int | float:
    if isinstance(value, int | float):
        return value
    raise DecodeError("no number")


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise DecodeError("no text")


_DECODERS: Mapping[str, Callable[..., Expr]] = {
    "&": lambda *parts: And(tuple(map(_decode, parts))),
    "|": lambda *parts: Or(tuple(map(_decode, parts))),
    "!": lambda inner: Not(_decode(inner)),
    "t": lambda field, parts, cased: Text(_field_of(field), _parts_of(parts), bool(cased)),
    "r": lambda field, pattern, flags: Regex(_field_of(field), _string(pattern), _string(flags)),
    "n": lambda field, op, value: Number(_field_of(field), Compare(op), _number(value)),
    "p": lambda field, part, op, value: TimePart(_field_of(field), _string(part), Compare(op), _number(value)),
    "b": lambda field, value: Boolean(_field_of(field), bool(value)),
    "0": lambda field: Null(_field_of(field)),
    "e": lambda field: Exists(_field_of(field)),
    "c": lambda field, network: Cidr(_field_of(field), _string(network)),
    "s": lambda field, other, how, cased: SameRow(_field_of(field), _field_of(other), FieldMatch(how), bool(cased)),
    "k": lambda parts, pattern, flags, cased: Keyword(
        _parts_of(parts), None if pattern is None else _string(pattern), _string(flags), bool(cased)
    ),
}


def _field(field: Field) -> Json:
    return [field.name, field.column, field.key]


def _field_of(value: Json) -> Field:
    match value:
        case [str(name), str(column), None | str() as found]:
            return Field(name, column, found)
    raise DecodeError("no field")


def _parts(parts: tuple[str | Wildcard, ...]) -> Json:
    return [_WILDCARDS.index(part) if isinstance(part, Wildcard) else part for part in parts]


def _parts_of(parts: object) -> tuple[str | Wildcard, ...]:
    found: list[str | Wildcard] = []
    if not isinstance(parts, list):
        raise DecodeError("no pattern")
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, int) and part in (0, 1):
            found.append(_WILDCARDS[part])
        else:
            raise DecodeError("no part of a pattern")
    return tuple(found)
