"""JSON to typed values and back with the standard library alone: this folder also runs where nothing else is installed.

Strict: what is missing, of another type, or too much is a ValueError that says where; unknown names are passed over.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import types
import typing
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")
MAX_DEPTH = 12


def encode(value: object) -> bytes:
    """The value as JSON; dataclasses as objects, bytes in base64."""
    return json.dumps(_plain(value), ensure_ascii=True, separators=(",", ":")).encode()


def decode(data: bytes, kind: type[T]) -> T:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    made: T = _typed(found, kind, "$", MAX_DEPTH)
    return made


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


def _typed(value: Any, kind: Any, where: str, depth: int) -> Any:
    """The value as this type says."""
    if depth <= 0:
        raise ValueError(f"{where}: too deep")
    origin = get_origin(kind)
    if kind is object:
        return value
    if origin in (types.UnionType, typing.Union):
        return _either(value, get_args(kind), where, depth)
    if origin in (tuple, list):
        return _items(value, kind, where, depth)
    if origin is dict:
        return _mapping(value, get_args(kind)[1], where, depth)
    if dataclasses.is_dataclass(kind):
        return _object(value, kind, where, depth)
    return _one(value, kind, where)


def _either(value: Any, choices: tuple[Any, ...], where: str, depth: int) -> Any:
    if value is None and type(None) in choices:
        return None
    for kind in choices:
        if kind is not type(None):
            return _typed(value, kind, where, depth)
    raise ValueError(f"{where}: no choice fits")


def _items(value: Any, kind: Any, where: str, depth: int) -> Any:
    inner = get_args(kind)
    if not isinstance(value, list):
        raise ValueError(f"{where}: a list is wanted")
    if get_origin(kind) is list or inner[-1] is Ellipsis:
        found = [_typed(one, inner[0], f"{where}[{n}]", depth - 1) for n, one in enumerate(value)]
        return found if get_origin(kind) is list else tuple(found)
    if len(inner) != len(value):
        raise ValueError(f"{where}: {len(inner)} items are wanted")
    return tuple(_typed(one, each, where, depth - 1) for one, each in zip(value, inner, strict=True))


def _mapping(value: Any, kind: Any, where: str, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: an object is wanted")
    return {name: _typed(one, kind, f"{where}.{name}", depth - 1) for name, one in value.items()}


def _object(value: Any, kind: Any, where: str, depth: int) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: an object is wanted")
    hints = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for one in dataclasses.fields(kind):
        if one.name in value:
            given[one.name] = _typed(value[one.name], hints[one.name], f"{where}.{one.name}", depth - 1)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{one.name}: missing")
    return kind(**given)


def _one(value: Any, kind: Any, where: str) -> Any:
    if kind is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{where}: no base64") from error
    if kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, str):
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(kind, type) or type(value) is not kind:
        raise ValueError(f"{where}: {getattr(kind, '__name__', kind)} is wanted")
    return value
