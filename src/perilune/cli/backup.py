"""`perilune backup`: a copy of the case store, taken while it is in use."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Copy the case store while it is in use, and check the copy.")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--check", is_flag=True, help="Only check TARGET, a copy made before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backup(target: Path, check: bool, as_json: bool) -> None:
    """Copy the case store to TARGET, and check the copy: the database and the audit log's chain.

    Cases, runs, users and the audit log are in it. Also copy the content folder and the settings. To restore, stop
    what uses the store and put the copy in its place.
    """
    from dataclasses import asdict

    from perilune.cli import output
    from perilune.settings import load
    from perilune.store import backup as store

    found = store.check(target) if check else store.copy(load().store_url, target)
    if as_json:
        click.echo(output.dump({"file": str(target), **asdict(found)}))
        return
    click.echo(f"{target}: {found.bytes:,} bytes, {found.cases:,} cases, {found.lines:,} lines of the audit log.")
    click.echo(f"Its last line has the hash {found.head}: keep it elsewhere.")
