"""`perilune rules export`: the rules as queries of other products."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.service.sigma_export import Conversion, Converted

_COMMENT = {"kusto": "// ", "cortex": "// "}  # Splunk and Lucene have no comment that every place takes
_UNSAFE = re.compile(r"[^a-z0-9._-]+")


@click.command("export", short_help="Write the rules as queries for Kusto, Splunk, Elastic or Cortex.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--to", "target", type=click.Choice(["kusto", "splunk", "elastic", "cortex"]), required=True, help="For which."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder: a file for each rule, and index.json with title, author, license and what was refused.",
)
@click.option(
    "--python",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="PERILUNE_SIGMA_PYTHON",
    help="A Python with pySigma's backends.  [default: sigma-export/bin/python in Perilune's folder, else this one]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `queries` and `refused`.")
def export(paths: tuple[Path, ...], target: str, output: Path | None, python: Path | None, as_json: bool) -> None:
    """Write the rules at PATHS, or the pack, as queries for another product.

    pySigma's backends convert them, in a Python of their own. What a backend refuses, and what its product would
    read otherwise than Sigma means it, is counted and named, and not written.
    """
    from perilune import settings
    from perilune.cli import output as shapes
    from perilune.service import sigma_export

    home = settings.load().home
    found = sigma_export.convert(target, sigma_export.find_rules(paths), python or sigma_export.environment(home))
    if output is not None:
        _write(found, output, shapes.dump(conversion_object(found)))
    elif as_json:
        click.echo(shapes.dump(conversion_object(found)))
    else:
        for one in found.converted:
            click.echo(_text(found.target, one))
    _say(found)


def conversion_object(found: Conversion) -> dict[str, object]:
    return {
        "target": found.target,
        "versions": dict(found.versions),
        "queries": [
            {
                "title": one.source.title,
                "id": one.source.id,
                "author": one.source.author,
                "license": one.source.license,
                "source": one.source.path,
                "file": _file_name(found.target, one),
                "queries": list(one.queries),
            }
            for one in found.converted
        ],
        "refused": [
            {"title": one.source.title, "source": one.source.path, "reason": one.reason} for one in found.refused
        ],
    }


def _text(target: str, one: Converted) -> str:
    """The queries of a rule; its author is named before them where the language has comments."""
    from perilune.report.text import visible

    mark = _COMMENT.get(target, "")
    said = (one.source.title, f"by {one.source.author or 'unknown'}", one.source.license, one.source.id)
    words = " · ".join(visible(" ".join(part.split())) for part in said if part)
    head = f"{mark}{words}\n" if mark else ""
    return head + "\n\n".join(one.queries) + "\n"


def _file_name(target: str, one: Converted) -> str:
    from perilune.service.sigma_export import TARGETS

    stem = one.source.path.removeprefix("pack:").replace("/", ".").removesuffix(".yml").lower()
    return f"{_UNSAFE.sub('_', stem)[-120:].lstrip('.') or 'rule'}{TARGETS[target]}"


def _write(found: Conversion, folder: Path, index: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in found.converted:
            (folder / _file_name(found.target, one)).write_text(_text(found.target, one), encoding="utf-8")
        (folder / "index.json").write_bytes(index + b"\n")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(folder)) from error


def _say(found: Conversion) -> None:
    from perilune.report.text import shorten, visible

    for one in found.refused:
        click.echo(visible(f"refused: {one.source.path}: {shorten(' '.join(one.reason.split()), 200)}"), err=True)
    by = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    click.echo(f"{len(found.converted):,} converted, {len(found.refused):,} refused, by {by}", err=True)
