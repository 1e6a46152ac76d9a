"""`perilune fetch`: a product's live table as a file, to hunt in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from perilune.errors import UsageError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_moment(text: str, now: datetime) -> datetime:
    """`24h`, `30m`, `7d` ago, or a date and time (UTC where it does not say)."""
    if ago := re.fullmatch(r"(\d{1,5})([mhd])", text.strip()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", hint="24h, 7d, or 2026-11-20T09:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command(short_help="Fetch a product's live table into a file, to hunt in.")
@click.argument("connector")
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...")
@click.option("--since", default="24h", show_default=True, help="From when: 30m, 24h, 7d ago, or a date and time.")
@click.option("--until", default="0m", help="Until when.  [default: now]")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("fetched"),
    show_default=True,
    help="The folder for the files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")  # fmt: skip
def fetch(connector: str, tables: tuple[str, ...], since: str, until: str, output: Path, as_json: bool) -> None:
    """Fetch live TABLEs of CONNECTOR (defender: DeviceProcessEvents …; cortex_xdr: xdr_data …) as JSON lines.

    A span with more rows than one answer holds is asked for in parts, so nothing is cut. Then `perilune hunt`
    the folder: the rows are read as an export is.
    """
    from perilune.cli import output as printed
    from perilune.service.fetching import fetch_table
    from perilune.service.office import opened
    from perilune.settings import load

    now = datetime.now(UTC)
    with opened(load()) as office:
        used = office.connector(connector)
        found = [fetch_table(used, one, parse_moment(since, now), parse_moment(until, now), output) for one in tables]
    if as_json:
        files = [{"file": str(one.path), "rows": one.rows} for one in found]
        click.echo(printed.dump({"files": files}))
        return
    for one in found:
        click.echo(f"{one.path}: {one.rows:,} rows")
    click.echo(f"Next: perilune hunt {output}", err=True)
