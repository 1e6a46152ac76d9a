"""`perilune doctor`: what this machine can and cannot do, each with what would change it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import click

LIBRARIES = (
    "pyarrow",
    "evtx",
    "pysigma",
    "sqlalchemy",
    "alembic",
    "jinja2",
    "msgspec",
    "orjson",
    "rich",
    "click",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: `ok`, or else what it costs and what to do."""

    name: str
    ok: bool
    found: str
    hint: str = ""


@click.command(short_help="Say what this machine can and cannot do.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `checks`.")
def doctor(as_json: bool) -> int:
    """Say what this machine can and cannot do. Exits with 1 when something that hunting needs is missing."""
    checks = list(all_checks())
    if as_json:
        from perilune.cli.output import dump

        shown = [{"name": c.name, "ok": c.ok, "found": c.found, "hint": c.hint} for c in checks]
        click.echo(dump({"checks": shown}))
    else:
        for check in checks:
            click.echo(f"{'ok     ' if check.ok else 'missing'}  {check.name:<18} {check.found}")
            if check.hint and not check.ok:
                click.echo(f"         {'':<18} {check.hint}")
    needed = {"python", "libraries", "store", "pack", "temporary space"}
    return int(any(not check.ok and check.name in needed for check in checks))


def all_checks() -> Iterator[Check]:
    yield _python()
    yield _libraries()
    yield _store()
    yield _pack()
    yield _space()
    yield Check("processors", True, f"{os.cpu_count()} ({platform.machine()}, {platform.system()})")
    yield _program("chromium", "reports open in any browser; here it is only needed for the tests")
    yield _audit()


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    return Check("python", sys.version_info >= (3, 11), found, "Perilune needs Python 3.11 or newer")


def _libraries() -> Check:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("libraries", False, f"without {', '.join(missing)}", "install Perilune again with pip")
    return Check("libraries", True, ", ".join(found))


def _store() -> Check:
    from perilune import settings
    from perilune.errors import PeriluneError
    from perilune.store.cases import CaseStore

    try:
        configured = settings.load()
        store = CaseStore(configured.store_url)
        count = store.count()
        store.close()
    except PeriluneError as error:
        return Check("store", False, error.what, error.hint or "")
    return Check("store", True, f"{configured.store}: {count:,} cases in {configured.home}")


def _pack() -> Check:
    from perilune.model.rules import Role
    from perilune.pipeline import load_rules

    ruleset = load_rules()
    detections = sum(rule.role is Role.DETECTION for rule in ruleset.rules)
    found = f"{detections} rules, {len(ruleset.rules) - detections} known hosts, {len(ruleset.refused)} refused"
    return Check("pack", detections > 0 and not ruleset.refused, found, "install Perilune again with pip")


def _space() -> Check:
    import tempfile

    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    hint = "large hunts spill there; set TMPDIR to a larger disk"
    return Check("temporary space", free > 1 << 30, f"{free / (1 << 30):.1f} GiB free in {folder}", hint)


def _program(name: str, hint: str) -> Check:
    path = shutil.which(name)
    return Check(name, path is not None, path or "not found", hint)


def _audit() -> Check:
    """Whether this machine's own executions could be recorded. Asks the kernel and changes nothing."""
    from contextlib import closing

    from perilune.errors import SensorError
    from perilune.service.netlink.control import Control
    from perilune.service.netlink.reader import Reader

    hint = "only `validate` and `watch` on this machine need it, not hunting"
    try:
        with closing(Control()) as control, closing(Reader()):
            status = control.status()
    except SensorError as error:
        return Check("live audit", False, error.what, f"{error.hint}; {hint}" if error.hint else hint)
    state = ("off now", "on", "on and locked")[min(status.enabled, 2)]
    daemon = f"audit daemon {status.daemon}" if status.daemon else "no audit daemon"
    return Check("live audit", status.enabled != 2, f"{state}, {daemon}, {status.lost:,} records lost since boot", hint)
