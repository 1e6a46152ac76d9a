"""`perilune sources`: what is understood, and what becomes of one file."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from perilune.cli.main import EXIT_NOTHING, EXIT_PARTIAL

if TYPE_CHECKING:
    from perilune.model.sources import SourceReport
    from perilune.model.tables import Table
    from perilune.ports import Limits, Read, Reader
    from perilune.readers.mappings import Mappings


@click.group(short_help="List the formats that are understood, and explain what becomes of a file.")
def sources() -> None:
    """List the formats that are understood, and explain what becomes of a file."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `formats` and `maps`.")
def list_sources(as_json: bool) -> None:
    """Every format that is read, how it is told, and the maps of products in JSON and CSV; your own ones too."""
    from perilune import readers, settings
    from perilune.readers.mappings import packaged as shipped

    content = settings.load().content
    found, known_readers = readers.tools(content if content.is_dir() else None)
    formats = [{"format": reader.name, "told_by": reader.looks_for} for reader in known_readers]
    known = {id(one): one for one in (found or shipped()).by_kind.values()}.values()
    listed = [{"kinds": list(one.kinds), "table": one.table} for one in known]
    if as_json:
        _print_json({"formats": formats, "maps": listed})
        return
    width = _width()
    for one in formats:
        _say(f"{one['format']:<16}", one["told_by"], width)
    click.echo("\nKinds of record in JSON, CSV and event logs, by the table that they fill:")
    tables: dict[str, list[str]] = {}
    for map_ in known:
        tables.setdefault(map_.table, []).extend(map_.kinds)
    for table, kinds in sorted(tables.items()):
        click.echo(f"\n{table}")
        _say("    ", ", ".join(kinds), width)


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, 60), 120)


def _say(head: str, text: str, width: int) -> None:
    """The head, and the text beside it in lines that fit the terminal."""
    lines = textwrap.wrap(
        text, width, initial_indent=head + " ", subsequent_indent=" " * (len(head) + 1), break_on_hyphens=False
    )
    click.echo("\n".join(lines) or head)


@sources.command("explain")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(0, 100), default=2, show_default=True, help="Show so many rows a table.")
@click.option(
    "--mapping",
    "own",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A mapping file to use besides those that ship (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file.")
def explain(path: Path, rows: int, own: tuple[Path, ...], as_json: bool) -> int:
    """Which reader and maps a file gets, its first rows, and what was dropped and why."""
    from perilune import readers, settings
    from perilune.model.sources import Reading, SourceReport
    from perilune.readers.mappings import packaged as shipped

    content = settings.load().content
    found_maps, found_readers = readers.tools(content if content.is_dir() else None, own)
    mappings = found_maps or shipped()
    kinds: Counter[str] = Counter()
    watched = [_Watched(reader, kinds) for reader in found_readers]
    shown: dict[str, list[dict[str, object]]] = {}
    whole = True
    for item in readers.read([path], readers.Limits(), readers=watched, mappings=mappings):
        if isinstance(item, SourceReport):
            whole = whole and item.reading is Reading.COMPLETE
            found = _explained(item, kinds, mappings, shown)
            _print_json(found) if as_json else _print(found)
            kinds.clear()
            shown.clear()
        else:
            _keep(item, shown, rows)
    return EXIT_NOTHING if whole else EXIT_PARTIAL


class _Watched:
    """A reader of which it is noted what kinds of record it gave."""

    def __init__(self, reader: Reader, kinds: Counter[str]) -> None:
        self._reader = reader
        self._kinds = kinds
        self.name = reader.name
        self.looks_for = reader.looks_for

    def recognises(self, head: bytes) -> bool:
        return self._reader.recognises(head)

    def placed(self, path: str, changed: datetime) -> _Watched:
        """The reader for that file, watched as well."""
        reader = self._reader
        if hasattr(reader, "placed"):
            reader = reader.placed(path, changed)
        elif hasattr(reader, "dated"):
            reader = reader.dated(changed)
        return _Watched(reader, self._kinds)

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        from perilune.ports import Columns, Halves, Records, Rows

        for item in self._reader.read(stream, limits):
            if isinstance(item, Records):
                self._kinds[item.kind] += len(item.fields)
            elif isinstance(item, Halves):
                self._kinds[item.kind] += len(item.numbers)
            elif isinstance(item, Columns):
                self._kinds[item.kind] += item.data.num_rows
            elif isinstance(item, Rows):
                self._kinds[f"(as it was) {item.table}"] += item.data.num_rows
            yield item


def _keep(table: Table, shown: dict[str, list[dict[str, object]]], most: int) -> None:
    kept = shown.setdefault(table.name, [])
    kept += [table.row(index) for index in range(min(len(table), most - len(kept)))]


def _explained(
    report: SourceReport, kinds: Counter[str], mappings: Mappings, shown: dict[str, list[dict[str, object]]]
) -> dict[str, object]:
    return {
        "file": report.path,
        "reader": report.format,
        "reading": str(report.reading),
        "records": report.records,
        "rows": dict(report.rows),
        "maps": [
            {"kind": kind, "records": count, "map": one.source if (one := mappings.find(kind)) else None}
            for kind, count in kinds.most_common()
        ],
        "skipped": dict(report.skipped),
        "problems": [{"what": one.what, "count": one.count, "where": one.where} for one in report.problems],
        "first_rows": {name: list(rows) for name, rows in shown.items()},
    }


def _print(found: dict[str, object]) -> None:
    from perilune.report.text import shorten, visible

    width = _width()
    click.echo(f"{visible(str(found['file']))}: {found['reader'] or 'no reader'}, {found['reading']}")
    click.echo(f"  {found['records']:,} records")
    for name, count in _pairs(found["rows"]):
        click.echo(f"  {count:>10,} rows of {name}")
    for one in _objects(found["maps"]):
        where = str(one["map"] or "no map").rpartition("/")[2]
        _say(f"  {one['records']:>10,}", f"records as {one['kind']}  ({where})", width)
    for reason, count in _pairs(found["skipped"]):
        _say(f"  {count:>10,}", f"without a row: {visible(reason)}", width)
    for one in _objects(found["problems"]):
        _say(f"  {one['count']:>10,}", f"x {visible(str(one['what']))}  {visible(str(one['where']))}".rstrip(), width)
    for name, rows in _pairs(found["first_rows"]):
        for row in rows:
            click.echo(f"\n  {name}")
            for column, value in row.items():
                _say(f"    {column:<{_NAMES}}", visible(shorten(str(value), 160)), width)


_NAMES = 30  # characters of most columns' names


def _pairs(value: object) -> Iterator[tuple[str, Any]]:
    yield from value.items() if isinstance(value, dict) else ()


def _objects(value: object) -> Iterator[dict[str, object]]:
    yield from value if isinstance(value, list) else ()


def _print_json(value: object) -> None:
    import orjson

    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(value, option=options, default=str))
