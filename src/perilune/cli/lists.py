"""`perilune lists`: indicator feeds that the settings name, fetched into files that `analyze --list` reads."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from perilune import settings
from perilune.cli.console import plain
from perilune.errors import PeriluneError, UsageError
from perilune.model.feeds import Feed


@click.group("lists")
def lists() -> None:
    """Fetch indicator lists. Nothing is fetched unless the settings name a feed and `refresh` is asked for."""


@lists.command("refresh")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def refresh(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch the feeds NAMES (all by default) and write each as a STIX bundle.

    A feed that fails leaves the list as it was. Exit code 3 if one failed or was cut.
    """
    chosen = settings.load()
    feeds = [one for one in chosen.feeds if not names or one.name in names]
    if unknown := sorted(set(names) - {one.name for one in feeds}):
        raise UsageError(f"no feed is called {unknown[0]!r}", hint="feeds stand in config.toml as [feeds.NAME]")
    if not feeds:
        raise UsageError("no feed is set up", hint='config.toml: [feeds.NAME] url = "https://…/collections/ID/"')
    results = [_refreshed(one, chosen.home / "lists") for one in feeds]
    if as_json:
        click.echo(orjson.dumps({"lists": results}, option=orjson.OPT_INDENT_2).decode())
    else:
        for one in results:
            click.echo(plain(_line(one), limit=600).plain)
    if any(one["failed"] or one["cut"] for one in results):
        raise SystemExit(3)


@lists.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(as_json: bool) -> None:
    """List the feeds, where their lists lie and how old they are."""
    chosen = settings.load()
    found = []
    for feed in chosen.feeds:
        path = _path(feed, chosen.home / "lists")
        fetched = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None
        found.append({"name": feed.name, "url": feed.url, "path": str(path), "fetched": _moment(fetched)})
    if as_json:
        click.echo(orjson.dumps({"lists": found}, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        click.echo('No feed is set up. Name one in config.toml: [feeds.NAME] url = "https://…/collections/ID/"')
    for one in found:
        line = f"{one['name']}  {one['fetched'] or 'never fetched'}  {one['path']}  {one['url']}"
        click.echo(plain(line, limit=600).plain)


def _refreshed(feed: Feed, folder: Path) -> dict[str, object]:
    """What became of one feed."""
    from perilune.connectors import taxii

    path = _path(feed, folder)
    found: dict[str, object] = {"name": feed.name, "path": str(path), "objects": 0, "pages": 0, "cut": "", "failed": ""}
    try:
        password, token = settings.secret_of(feed)
        fetched = taxii.fetch(feed, taxii.Secret(password, token))
        if fetched.cut and not fetched.objects:
            return found | {"failed": fetched.cut}
        _write(path, fetched.bundle)
    except PeriluneError as error:
        return found | {"failed": str(error)}
    return found | {"objects": fetched.objects, "pages": fetched.pages, "cut": fetched.cut}


def _write(path: Path, data: bytes) -> None:
    """The whole file or none: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)  # noqa: PTH105 - over an existing file, on every system


def _path(feed: Feed, folder: Path) -> Path:
    return folder / f"{feed.name}.json"


def _moment(when: datetime | None) -> str:
    return when.isoformat(timespec="seconds") if when else ""


def _line(one: dict[str, object]) -> str:
    if one["failed"]:
        return f"{one['name']}: failed, the list is as it was: {one['failed']}"
    cut = f"; cut: {one['cut']}" if one["cut"] else ""
    return f"{one['name']}: {one['objects']:,} objects on {one['pages']} pages{cut}; use --list {one['path']}"
