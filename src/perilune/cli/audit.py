"""`perilune audit`: the hash-chained record of every decision and effect."""

from __future__ import annotations

import click

from perilune.cli.respond import json_option


@click.group(short_help="Verify and export the audit log.")
def audit() -> None:
    """Verify and export the audit log."""


@audit.command("verify")
@click.option("--head", default=None, help="A hash that was kept elsewhere and must be in the chain.")
@json_option
def verify(head: str | None, as_json: bool) -> int:
    """Look at every line, plan, pinned playbook, approval and effect; name what is not as it was written.

    Exits with 1 when something was changed. The last lines can only be missed with a --head kept elsewhere.
    """
    from perilune.cli import output
    from perilune.settings import load
    from perilune.store import audit as log
    from perilune.store.database import Database

    database = Database(load().store_url)
    try:
        count, newest, breaks = log.verify(database, head)
    finally:
        database.close()
    if as_json:
        found = [{"where": one.where, "what": one.what} for one in breaks]
        click.echo(output.dump({"lines": count, "head": newest, "breaks": found}))
    else:
        for one in breaks:
            click.echo(f"{one.where}: {one.what}")
        click.echo(f"{count:,} lines, head {newest}: {'as they were written' if not breaks else 'CHANGED'}")
    return 1 if breaks else 0


@audit.command("export")
def export() -> None:
    """Print the log as JSON lines, oldest first, with each line's hash."""
    from perilune.cli import output
    from perilune.settings import load
    from perilune.store import audit as log
    from perilune.store.database import Database

    database = Database(load().store_url)
    try:
        for line in log.lines(database):
            plain = {name: getattr(line, name) for name in log.Line.__slots__}
            click.echo(output.dump(plain, indent=False))
    finally:
        database.close()
