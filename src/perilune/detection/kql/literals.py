"""Typed literals: `datetime(2026-01-05)`, `long(null)`, `dynamic([…])`."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal, InvalidOperation

from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import Json, Kind, format_datetime, format_timespan, parse_datetime, parse_timespan
from perilune.detection.kql.reading import Reading
from perilune.detection.kql.syntax import Literal
from perilune.detection.kql.tokens import RAW_KINDS, Token, Type

_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|\d{1,19})", re.ASCII)


def typed(token: Token) -> Literal:
    """`kind(text)`, whose text the lexer kept as it stands."""
    kind, text = RAW_KINDS[token.text], str(token.value)
    if text.lower() == "null" or (not text and kind not in (Kind.DATETIME, Kind.TIMESPAN)):
        return Literal(kind, None, token.at)
    value = _value(kind, text)
    if value is None:
        raise KqlError(
            f"{text[:60]!r} is no {kind}",
            token.at,
            hint=f"to convert a value, use to{kind}(); see docs/reference/kql.md",
        )
    return Literal(kind, value, token.at)


def _value(kind: Kind, text: str) -> object:
    match kind:
        case Kind.DATETIME:
            return parse_datetime(text)
        case Kind.TIMESPAN:
            return parse_timespan(text)
        case Kind.GUID:
            return parse_guid(text)
        case Kind.BOOL:
            return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
        case Kind.INT | Kind.LONG:
            return _whole(text, 31 if kind is Kind.INT else 63)
        case Kind.REAL:
            return _real(text)
    return _decimal(text)


def parse_guid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text)) if len(text) < 64 else None
    except ValueError:
        return None


def _whole(text: str, bits: int) -> int | None:
    if not _WHOLE.fullmatch(text):
        return None
    value = int(text, 16 if "x" in text.lower() else 10)
    return value if -(1 << bits) <= value < 1 << bits else None


def _real(text: str) -> float | None:
    try:
        return float(text) if len(text) < 400 and "_" not in text else None
    except ValueError:
        return None


def _decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < Decimal(10) ** 20 else None


def dynamic(reading: Reading, at: Span) -> Literal:
    """`dynamic(…)`: JSON, with Kusto's strings, datetimes and timespans in it."""
    reading.expect_mark("(")
    value = None if reading.is_word("null") else _json(reading)
    if reading.is_word("null"):
        reading.next()
    reading.expect_mark(")", "to end the dynamic literal")
    return Literal(Kind.DYNAMIC, value, at)


def _json(reading: Reading) -> Json:
    reading.enter()
    found = _plain(reading)
    reading.leave()
    return found


def _plain(reading: Reading) -> Json:
    token = reading.now
    if token.type is Type.STRING:
        return str(reading.next().value)
    if token.type in (Type.LONG, Type.REAL):
        value = reading.next().value
        return value if isinstance(value, int | float) else None
    if token.type is Type.TIMESPAN:
        return format_timespan(int(reading.next().value))
    if token.type is Type.TYPED:
        return _plain_typed(typed(reading.next()))
    if reading.is_mark("-", "+"):
        negative = reading.next().text == "-"
        signed = _plain(reading)
        if isinstance(signed, int | float) and not isinstance(signed, bool):
            return -signed if negative else signed
        raise KqlError("a sign stands before a number", token.at)
    if reading.is_word("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[reading.next().text]
    if reading.skip_mark("["):
        return _array(reading)
    if reading.skip_mark("{"):
        return _bag(reading)
    raise reading.expected("a JSON value")


def _plain_typed(literal: Literal) -> Json:
    value = literal.value
    if value is None:
        return None
    if literal.kind is Kind.DATETIME:
        return format_datetime(value)  # type: ignore[arg-type]
    if literal.kind is Kind.TIMESPAN:
        return format_timespan(int(value))  # type: ignore[call-overload]
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _array(reading: Reading) -> Json:
    found: list[Json] = []
    while not reading.is_mark("]"):
        found.append(_json(reading))
        if not reading.skip_mark(","):
            break
    reading.expect_mark("]", "to end the array")
    return found


def _bag(reading: Reading) -> Json:
    found: dict[str, Json] = {}
    while not reading.is_mark("}"):
        if reading.now.type not in (Type.STRING, Type.NAME):
            raise reading.expected("a property's name in quotes")
        key = str(reading.next().value)
        reading.expect_mark(":")
        found[key] = _json(reading)
        if not reading.skip_mark(","):
            break
    reading.expect_mark("}", "to end the property bag")
    return found
