"""`perilune playbook`: the playbooks, what is in them, what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from perilune.cli.respond import json_option

if TYPE_CHECKING:
    from perilune.service.playbooks import Shelf

playbook_argument = click.argument("name", metavar="PLAYBOOK")


@click.group(short_help="List, show and check playbooks.")
def playbook() -> None:
    """List, show, draw, check and test playbooks (CACAO 2.0 documents)."""


@playbook.command("list")
@json_option
def list_playbooks(as_json: bool) -> None:
    """Every playbook that can be run, and those that were left out."""
    from perilune.cli import console, output
    from perilune.response import cacao

    shelf = _shelf()
    if as_json:
        found = [
            {
                "id": one.id,
                "name": one.name,
                "description": one.description,
                "sha256": shelf.documents[one.id].sha256,
                "inputs": [n.strip("_") for n, v in one.playbook_variables.items() if v.external],
                "signatures": [
                    {"signee": signature.signee, "standing": signature.standing.value, "why": signature.why}
                    for signature in shelf.signed.get(one.id, ())
                ],
            }
            for one in shelf.playbooks.values()
        ]
        click.echo(output.dump({"playbooks": found, "broken": list(shelf.broken)}))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "Steps", "Signed", "Inputs"):
        table.add_column(column, no_wrap=column == "Name")
    for one in shelf.playbooks.values():
        steps = sum(not isinstance(step, cacao.Start | cacao.End) for step in one.workflow.values())
        inputs = ", ".join(n.strip("_") for n, v in one.playbook_variables.items() if v.external)
        signed = ", ".join(f"{found.signee} ({found.standing})" for found in shelf.signed.get(one.id, ())) or "no"
        table.add_row(console.plain(one.name), str(steps), console.plain(signed, 200), console.plain(inputs, 300))
    console.out.print(table)
    for line in shelf.broken:
        console.note(f"left out: {line}")


@playbook.command("show")
@playbook_argument
@click.option("--document", is_flag=True, help="Print the CACAO document itself.")
def show_playbook(name: str, document: bool) -> None:
    """What PLAYBOOK does, step by step, with its inputs."""
    from perilune.cli import console

    shelf = _shelf()
    found = shelf.find(name)
    if document:
        click.echo(shelf.documents[found.id].text)
        return
    console.out.print(console.plain(found.name, style="bold"))
    console.out.print(console.plain(found.description, 2000))
    console.out.print(console.plain(f"{found.id}, sha256 {shelf.documents[found.id].sha256[:16]}", style="dim"))
    for variable, one in found.playbook_variables.items():
        if one.external:
            default = f"default {one.value}" if one.value else "no default"
            console.out.print(console.plain(f"  {variable.strip('_')} ({one.type}, {default}): {one.description}", 400))
    console.out.print()
    for line in _outline(found):
        console.out.print(console.plain(line, 400), soft_wrap=True)


@playbook.command("lint")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def lint_playbooks(files: tuple[Path, ...], as_json: bool) -> int:
    """Check FILES, or every playbook there is, against CACAO 2.0 and what Perilune can run; exits with 1 on faults."""
    from perilune.cli import output
    from perilune.response.lint import lint_library, lint_playbook
    from perilune.response.playbook import parse_playbook

    found: list[tuple[str, str, str]] = []
    for path in files:
        parsed = parse_playbook(path.read_bytes())
        faults = lint_playbook(parsed.playbook) if parsed.playbook else parsed.faults
        found += [(str(path), fault.path, fault.what) for fault in faults]
    if not files:
        shelf = _shelf()
        found += [(line.partition(": ")[0], "$", line.partition(": ")[2]) for line in shelf.broken]
        found += [("playbooks", fault.path, fault.what) for fault in lint_library(shelf.playbooks)]
    if as_json:
        click.echo(output.dump({"faults": [{"file": f, "path": p, "what": w} for f, p, w in found]}))
    else:
        for file, path_, what in found:
            click.echo(f"{file}: {path_}: {what}")
        if not found:
            click.echo("No fault found.")
    return 1 if found else 0


@playbook.command("graph")
@playbook_argument
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The SVG file to write.")
def graph_playbook(name: str, output: Path | None) -> None:
    """Draw PLAYBOOK as SVG, on stdout or into a file."""
    from perilune.response.graph import draw_playbook

    drawn = draw_playbook(_shelf().find(name))
    if output is None:
        click.echo(drawn, nl=False)
    else:
        output.write_text(drawn, encoding="utf-8")
        click.echo(f"{output}: {len(drawn):,} bytes", err=True)


@playbook.command("sign")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A private key, PEM."
)
@click.option("--signee", required=True, help="Whose signature it is.")
def sign_playbook(file: Path, key: Path, signee: str) -> None:
    """Print the playbook in FILE with a signature more: CACAO's, over its canonical form.

    Needs the extra `signed`. With public keys in `trusted_keys/` of your content folder, only playbooks
    that one of them signed are used from there; one that was changed after it was signed never is.
    """
    from datetime import UTC, datetime

    from perilune.errors import UsageError
    from perilune.response.playbook import load_playbook
    from perilune.response.signatures import sign

    text = file.read_text(encoding="utf-8")
    load_playbook(text, str(file))
    try:
        click.echo(sign(text, key.read_bytes(), signee, datetime.now(UTC)))
    except ImportError as error:
        raise UsageError("signatures are not installed", hint="pip install 'perilune[signed]'") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"it cannot be signed: {error}", where=str(file)) from error


@playbook.command("test")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def test_playbooks(files: tuple[Path, ...], as_json: bool) -> int:
    """Run the scenarios in FILES, or all there are; exits with 1 where one comes out otherwise than expected."""
    from perilune.cli import output
    from perilune.service.playbooks import load_shelf
    from perilune.service.scenarios import load_suites, parse_suite, try_suite

    content = _content()
    shelf = load_shelf(content)
    given = [(str(path), parse_suite(path.read_text(encoding="utf-8"), str(path))) for path in files]
    tried = [one for _, suite in given or load_suites(content) for one in try_suite(suite, shelf, content)]
    failed = [one for one in tried if one.differences]
    if as_json:
        scenarios = [
            {"playbook": one.playbook, "scenario": one.scenario, "differences": list(one.differences)} for one in tried
        ]
        click.echo(output.dump({"scenarios": scenarios}))
        return 1 if failed else 0
    for one in failed:
        click.echo(f"✗ {one.playbook}: {one.scenario}")
        for difference in one.differences:
            click.echo(f"    {difference}")
    click.echo(f"{len(tried) - len(failed)} of {len(tried)} scenarios came out as expected.")
    return 1 if failed else 0


def _outline(found: object) -> list[str]:
    """The workflow as an indented list, each step once."""
    from perilune.response import cacao
    from perilune.response.lint import next_steps

    assert isinstance(found, cacao.Playbook)
    lines: list[str] = []
    seen: set[str] = set()
    stack = [(found.workflow_start, 0, "")]
    while stack:
        key, depth, by = stack.pop()
        step = found.workflow[key]
        if not isinstance(step, cacao.Start | cacao.End):
            again = " (see above)" if key in seen else ""
            lines.append(f"{'  ' * depth}{by}{step.__struct_config__.tag}: {step.name or key}{again}")
        if key in seen:
            continue
        seen.add(key)
        for name, target in reversed(next_steps(step)):
            inner = name not in ("on_completion", "on_success")
            stack.append((target, depth + inner, f"{name}: " if inner else ""))
    return lines


def _content() -> Path | None:
    from perilune.settings import load

    content = load().content
    return content if content.is_dir() else None


def _shelf() -> Shelf:
    from perilune.service.playbooks import load_shelf

    return load_shelf(_content())
