"""The prompt of `perilune kql`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from perilune.cli.kql_output import show
from perilune.cli.main import EXIT_NOTHING

if TYPE_CHECKING:
    import pyarrow as pa

    from perilune.detection.kql.running import Session


class Prompt:
    """Asks for queries until there are no more. A query ends with a `;` or an empty line."""

    def __init__(self, session: Session, tables: Mapping[str, pa.Table], now: datetime, limit: int) -> None:
        self._session = session
        self._tables = tables
        self._now = now
        self._limit = limit

    def run(self) -> int:
        from perilune.errors import PeriluneError

        click.echo("Tables: " + (", ".join(f"{n} ({t.num_rows:,})" for n, t in self._tables.items()) or "none"))
        click.echo("A query ends with ; or an empty line. Tab completes, Ctrl-D leaves.")
        with _line_editing(self.words()):
            while (query := self._query()) is not None:
                if not query.strip():
                    continue
                try:
                    show(self._session.run(query, self._now), self._limit)
                except PeriluneError as error:
                    click.echo(f"{error}", err=True)
        return EXIT_NOTHING

    def words(self) -> list[str]:
        """What Tab offers: tables and their filled columns, operators, functions."""
        from perilune.detection.kql.aggregates import AGGREGATE_SIGNATURES
        from perilune.detection.kql.functions import SIGNATURES
        from perilune.detection.kql.operators import OPERATORS

        columns = [name for data in self._tables.values() for name in data.column_names]
        known = [*self._tables, *columns, *OPERATORS, *SIGNATURES, *AGGREGATE_SIGNATURES]
        return sorted(dict.fromkeys(known))

    def _query(self) -> str | None:
        lines: list[str] = []
        while True:
            try:
                line = input("kql> " if not lines else "...> ")
            except EOFError:
                click.echo()
                return "\n".join(lines) if lines else None
            except KeyboardInterrupt:
                click.echo()
                return ""
            if not line.strip():
                return "\n".join(lines)
            lines.append(line)
            if line.rstrip().endswith(";") and not line.lstrip().startswith("let"):
                return "\n".join(lines)


@contextmanager
def _line_editing(words: Sequence[str]) -> Iterator[None]:
    """readline, where the system has it: history kept between runs, completion with Tab."""
    try:
        import readline
    except ImportError:
        yield
        return
    from perilune import settings

    history = settings.load().home / "kql_history"
    history.parent.mkdir(parents=True, exist_ok=True)
    if history.is_file():
        readline.read_history_file(history)
    readline.set_history_length(2000)

    def complete(start: str, place: int) -> str | None:
        found = [word for word in words if word.lower().startswith(start.lower())]
        return found[place] if place < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n`!@#$%^&*()=+[{]}\\|;:'\",<>/?")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.write_history_file(history)
