"""Refusals and faults: a page for people, problem+json (RFC 9457) for programs. Neither tells what is inside."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from perilune.errors import ConnectorError, ContentError, PeriluneError, StoreError, UsageError
from perilune.web import look

API = "/api/"


def install(app: FastAPI) -> None:
    """Puts the handlers in place."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(PeriluneError, _ours)
    app.add_exception_handler(Exception, _fault)


def not_found(what: str) -> HTTPException:
    return HTTPException(404, what)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 303:
        return RedirectResponse(headers["Location"], 303)
    return _answer(request, error.status_code, str(error.detail), headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
    return _answer(request, 422, found[:1000])


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, PeriluneError)
    known = {UsageError: 400, ContentError: 400, StoreError: 503, ConnectorError: 502}
    status = next((status for kind, status in known.items() if isinstance(error, kind)), 500)
    return _answer(request, status, f"{error.what}{f' ({error.hint})' if error.hint and status == 400 else ''}")


def _fault(request: Request, error: Exception) -> Response:
    return _answer(request, 500, "A fault in Perilune; the terminal of `perilune serve` says more.")


def _answer(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    title = HTTPStatus(status).phrase
    if request.url.path.startswith(API):
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    answer = look.page(request, None, "problem.html.j2", status=status, title=title, detail=detail)
    answer.headers.update(headers or {})
    return answer
