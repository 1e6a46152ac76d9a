"""The API's reference, made from its own description: each call, what it takes and answers. No script, no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from perilune.web import look
from perilune.web.auth import Anyone

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a member of a body."""

    name: str
    place: str
    kind: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    id: str
    summary: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]


@router.get("/api")
def show(request: Request, caller: Anyone) -> Response:
    described = request.app.openapi()
    groups: dict[str, list[Call]] = {}
    for group, call in _calls(described):
        groups.setdefault(group, []).append(call)
    return look.page(request, caller, "reference.html.j2", groups=groups, address=request.base_url)


def _calls(described: Mapping[str, Any]) -> Iterator[tuple[str, Call]]:
    schemas = described.get("components", {}).get("schemas", {})
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            fields = (*_parameters(one, schemas), *_body(one, schemas))
            answers = tuple((status, said.get("description", "")) for status, said in one["responses"].items())
            call = Call(method.upper(), path, one["operationId"], one.get("summary", ""), fields, answers)
            yield (one.get("tags") or ["cases"])[0], call


def _parameters(one: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Field]:
    for given in one.get("parameters", ()):
        kind = _kind(given.get("schema", {}), schemas)
        about = given.get("description") or given.get("schema", {}).get("description") or ""
        yield Field(given["name"], given["in"], kind, bool(given.get("required")), about)


def _body(one: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Field]:
    content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(content.get("schema", {}), schemas)
    for name, member in schema.get("properties", {}).items():
        about = member.get("description") or ""
        yield Field(name, "body", _kind(member, schemas), name in schema.get("required", ()), about)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    found: Mapping[str, Any] = schemas.get(name, schema)
    return found


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A type in words, with its choices, bounds and default."""
    if "anyOf" in schema:
        return " or ".join(_kind(one, schemas) for one in schema["anyOf"])
    found = _resolved(schema, schemas)
    words = str(found.get("type", "any"))
    if "enum" in found:
        words = " | ".join(map(str, found["enum"]))
    if words == "array":
        words = f"list of {_kind(found.get('items', {}), schemas)}"
    if "pattern" in found:
        words += f" like {found['pattern']}"
    bounds = [f"{name} {found[name]}" for name in ("minimum", "maximum", "maxLength") if name in found]
    default = schema.get("default")
    said = [*bounds, *([f"default {default}"] if default not in (None, "", [], {}) else [])]
    return f"{words} ({', '.join(said)})" if said else words
