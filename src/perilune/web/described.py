"""What the API's description says of every call alike: problems, the token, ids, answers in the shapes of `--json`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path

PROBLEM = {
    "application/problem+json": {
        "schema": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
            },
        }
    }
}
_WORDS = {
    400: "Wrong usage", 401: "No valid token", 403: "The token or its user may not", 404: "There is no such thing",
    409: "It is another now than the one that was seen, or under way", 413: "The body is too large",
    422: "A parameter or the body is wrong", 429: "Too many requests; see Retry-After",
    502: "A product does not answer", 503: "The store cannot be read or written",
}  # fmt: skip
SECURITY: dict[str, Any] = {"security": [{"token": []}]}
CaseId = Annotated[str, Path(pattern=r"^C-[0-9]{1,15}$", description="As in the queue, `C-12`.")]
RunId = Annotated[str, Path(pattern=r"^R-[0-9]{1,15}$", description="As in the list of runs, `R-3`.")]
JobId = Annotated[str, Path(pattern=r"^J-[0-9]{1,15}$", description="As in the list of jobs, `J-7`.")]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": _WORDS[status], "content": PROBLEM} for status in statuses}


def objects(description: str, *names: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """An answer that is one object with these members, in the shape that `--json` prints."""
    schema = {"type": "object", "required": list(names)}
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}
