"""`perilune plan`: what a run would do, with the exact requests."""

from __future__ import annotations

import click

from perilune.cli.respond import json_option, run_argument


@click.group(short_help="Show a run's plan.")
def plan() -> None:
    """Show a run's plan."""


@plan.command("show")
@run_argument
@json_option
def show(run_id: str, as_json: bool) -> int:
    """RUN's plan with the exact requests, effects, checks, inverses and what approvals it needs."""
    from perilune.cli import responding
    from perilune.service.office import opened
    from perilune.settings import load

    with opened(load()) as office:
        record = office.runs.load(run_id)
        return responding.show_plan(record.plan, office.connector(record.connector), as_json=as_json)
