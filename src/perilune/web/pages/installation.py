"""How this installation is: what is usual here, how the live sources do, what is set. Nothing is changed here."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from perilune import __version__, history
from perilune.errors import PeriluneError
from perilune.service.live import status
from perilune.store import audit
from perilune.web import look
from perilune.web.auth import Administrator, Reader
from perilune.web.rooms import Rooms, rooms

router = APIRouter(include_in_schema=False)
USES = 100
Word = Annotated[str, Query(max_length=200)]
PACKAGES = ("fastapi", "jinja2", "sqlalchemy", "pyarrow", "duckdb", "pysigma", "dbos", "lupa", "authlib")


@router.get("/baselines")
def baselines(request: Request, caller: Reader, host: Word = "", interpreter: Word = "") -> Response:
    held = rooms(request)
    folder = held.settings.baseline_folder
    found, problem = None, ""
    try:
        found = history.overview(folder, host=host or None, interpreter=interpreter or None, limit=USES)
    except (PeriluneError, OSError) as error:
        problem = str(error)
    return look.page(
        request, caller, "baselines.html.j2", found=found, problem=problem, host=host, interpreter=interpreter,
        folder=folder,
    )  # fmt: skip


@router.get("/sources")
def sources(request: Request, caller: Reader) -> Response:
    """The live sources' lag and losses, as their watcher told last."""
    held = rooms(request)
    folder = held.settings.home / "lake"
    told, problem = status.Status("never", {}, {}), ""
    try:
        told = status.load(folder)
    except (PeriluneError, OSError) as error:
        problem = str(error)
    return look.page(request, caller, "sources.html.j2", told=told, problem=problem, folder=folder)


@router.get("/settings")
def settings(request: Request, caller: Administrator) -> Response:
    held = rooms(request)
    held.note("settings read", {}, caller.name)
    return look.page(request, caller, "settings.html.j2", groups=list(_groups(held)))


def _groups(held: Rooms) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """What is set, in groups; secrets are named by where they come from, never shown."""
    set_, options = held.settings, held.options
    yield "This console", [
        ("Address", options.address), ("Reached over TLS", "yes" if options.secure else "no, this machine only"),
        ("Reverse proxy", options.public or "none"), ("Uploads at once", f"{options.upload_most:,} bytes"),
    ]  # fmt: skip
    yield "Installation", [
        ("Home", str(set_.home)), ("Store", held.database.shown), ("Content", str(set_.content)),
        ("Baseline", str(set_.baseline_folder)), ("More rules", ", ".join(set_.rules) or "none"),
        ("Folders of logs", ", ".join(f"{n}: {p}" for n, p in set_.logs.items()) or "none ([logs] in config.toml)"),
        ("Feeds", ", ".join(feed.name for feed in set_.feeds) or "none"),
    ]  # fmt: skip
    yield (
        "Connectors",
        [
            (name, ", ".join(f"{key}={'…' if _secret(key) else value}" for key, value in sorted(given.items())))
            for name, given in sorted(set_.connectors.items())
        ]
        or [("none", "[connectors.NAME] in config.toml")],
    )
    yield "Versions", [
        ("Perilune", __version__), ("Python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)
    ]  # fmt: skip
    count, head = audit.head(held.database)
    yield "Audit log", [("Lines", f"{count:,}"), ("Hash of the last line, to be kept elsewhere", head)]


def _secret(key: str) -> bool:
    return any(word in key.lower() for word in ("secret", "key", "password", "token")) and not key.endswith(
        ("_env", "_file", "_id")
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
