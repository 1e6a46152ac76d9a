"""`perilune rules`: what is looked for, what was refused, and why."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(short_help="List the rules and what was refused.")
def rules() -> None:
    """List the rules, what was refused, and explain a match."""


@rules.command("list")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--no-pack", is_flag=True, help="Only the rules at PATHS.")
@click.option("--refused", is_flag=True, help="The rules that cannot be evaluated, each with its reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `rules` and `refused`.")
def list_rules(paths: tuple[Path, ...], no_pack: bool, refused: bool, as_json: bool) -> None:
    """The rules of the pack and of PATHS."""
    from perilune import settings
    from perilune.cli import console, output
    from perilune.pipeline import load_rules

    configured = settings.load()
    content = configured.content if configured.content.is_dir() else None
    found = load_rules([*paths, *configured.rules], pack=not no_pack, content=content, cache=configured.cache)
    if as_json:
        click.echo(output.dump(output.rules_object(found)))
    elif refused:
        for refusal in found.refused:
            click.echo(console.plain(f"{refusal.source}: {refusal.title}: {refusal.reason}", 2000).plain)
        click.echo(f"{len(found.refused):,} refused, {len(found.rules):,} loaded", err=True)
    else:
        console.out.print(console.rule_table(found.rules))
        click.echo(f"{len(found.rules):,} loaded, {len(found.refused):,} refused", err=True)


@rules.command()
@click.argument("rule")
@click.argument("events", type=click.Path(path_type=Path, exists=True))
@click.option("--record", type=int, help="Only the event at this record number of the file.")
@click.option("--limit", type=click.IntRange(1, 1000), default=5, show_default=True, help="At most so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `explanations`.")
def explain(rule: str, events: Path, record: int | None, limit: int, as_json: bool) -> None:
    """Say why RULE does or does not hold on the EVENTS of a log, test by test with the values.

    RULE is an id or title of the pack, or a Sigma file. Events that it holds on come first.
    """
    from perilune import pipeline, settings
    from perilune.cli import console, output

    configured = settings.load()
    content = configured.content if configured.content.is_dir() else None
    found = pipeline.explain(rule, events, content=content, record=record, limit=limit)
    if as_json:
        click.echo(output.dump({"explanations": [output.explanation_object(one) for one in found]}))
        return
    for one in found:
        console.out.print(console.explanation(one))
    if not found:
        click.echo("No event of the tables that this rule reads; `perilune rules list` shows them.")
