"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket only, gone with them. Not a test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

GIVEN = "PERILUNE_POSTGRES"  # the URL of a server that may make databases, used instead of one of our own
DEBIAN = Path("/usr/lib/postgresql")


def why_not() -> str:
    """Why there can be no server; empty where there can."""
    if os.environ.get(GIVEN) or _programs() is not None:
        return ""
    return f"needs PostgreSQL's programs (Debian: postgresql), or {GIVEN}"


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The URL of a server."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    programs = _programs()
    assert programs is not None, why_not()
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data, log = f"{folder}/data", f"{folder}/log"
        _run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c max_connections=200"
        _run(programs / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def make_databases(server: str, *words: str) -> list[str]:
    """New databases on the server; their URLs."""
    names = [f"perilune_{uuid.uuid4().hex[:8]}_{word}" for word in words]
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return [sa.make_url(server).set(database=name).render_as_string(hide_password=False) for name in names]


def _programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    newest = sorted(DEBIAN.glob("*/bin/initdb"))
    return newest[-1].parent if newest else None


def _run(*command: str | Path) -> None:
    """As an ordinary user: the server refuses to run as root. Its output goes nowhere: the server would keep a pipe."""
    full = ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)
    subprocess.run(full, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
