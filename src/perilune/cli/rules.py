"""`perilune rules`: what is looked for, what was refused and why, how rules are written and what they cover."""

from __future__ import annotations

from pathlib import Path

import click

from perilune.cli.rules_export import export


@click.group(short_help="List, check, try and count the rules.")
def rules() -> None:
    """List the rules and what was refused, explain a match, check and try rules, and show what they cover."""


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


_PATHS = click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))


@rules.command()
@_PATHS
@click.option("--house", is_flag=True, help="Also the checks of this house, which hold the pack.")
@click.option("--exclude", multiple=True, help="Leave out the check with this id (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `faults`.")
def lint(paths: tuple[Path, ...], house: bool, exclude: tuple[str, ...], as_json: bool) -> None:
    """Check how the rules at PATHS are written; without PATHS, the pack.

    Each fault says where it stands and what to do. Exits with 1 where there is any.
    """
    from perilune.cli import output, rule_checks

    found = rule_checks.lint(paths, house=house or not paths, exclude=exclude)
    if as_json:
        click.echo(output.dump(rule_checks.lint_object(found)))
    else:
        rule_checks.print_faults(found)
    raise SystemExit(1 if found.faults else 0)


@rules.command()
@_PATHS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `rules`, `outcomes` and `faults`.")
def test(paths: tuple[Path, ...], as_json: bool) -> None:
    """Try each rule at PATHS on the events beside it; without PATHS, the pack.

    `<rule>.events.yml` says what it must hit and what it must miss. What goes wrong is explained test by test. Exits
    with 1 where a rule does something else, cannot be evaluated or has no events.
    """
    from perilune.cli import output, rule_checks

    found = rule_checks.try_out(paths)
    if as_json:
        click.echo(output.dump(rule_checks.trial_object(found)))
    else:
        rule_checks.print_trial(found)
    raise SystemExit(0 if found.passed else 1)


@rules.command()
@_PATHS
@click.option("--no-pack", is_flag=True, help="Only the rules at PATHS.")
@click.option("--navigator", type=click.Path(path_type=Path, dir_okay=False), help="Write an ATT&CK Navigator layer.")
@click.option("--sources", is_flag=True, help="Count by log source instead of by table.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `techniques`.")
def coverage(paths: tuple[Path, ...], no_pack: bool, navigator: Path | None, sources: bool, as_json: bool) -> None:
    """Show what the pack and the rules at PATHS cover, by sub-technique of T1059."""
    from perilune import settings
    from perilune.cli import console, output, rule_checks
    from perilune.pipeline import load_rules

    configured = settings.load()
    content = configured.content if configured.content.is_dir() else None
    found = load_rules([*paths, *configured.rules], pack=not no_pack, content=content, cache=configured.cache)
    rows = rule_checks.covered(found.rules)
    if navigator is not None:
        navigator.write_text(rule_checks.navigator_layer(found.rules), encoding="utf-8")
        click.echo(f"wrote {navigator}", err=True)
    if as_json:
        click.echo(output.dump(rule_checks.coverage_object(rows)))
    else:
        console.out.print(rule_checks.coverage_table(rows, by_source=sources))


rules.add_command(export)
