"""The hits of pySigma's own SQLite backend, as a witness that knows nothing of our code.

Its queries are run unmodified over a table with Sysmon's names. REGEXP is Python's, as its documentation has it.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from perilune.detection.fields import VOCABULARIES
from perilune.model.rules import Rule
from perilune.model.tables import Table

_PATHS = ("FolderPath", "InitiatingProcessFolderPath")


class Database:
    """The rows under Sysmon's field names; fields that no row has are null."""

    def __init__(self, table: Table) -> None:
        names = {name: column for name, column in VOCABULARIES["process"].items() if column in table.data.column_names}
        absent = [name for name in VOCABULARIES["process"] if name not in names]
        self._connection = sqlite3.connect(":memory:")
        self._connection.create_function("regexp", 2, _regexp, deterministic=True)
        declared = ["row_number INTEGER", *(f'"{name}" COLLATE NOCASE' for name in dict.fromkeys(map(_plain, names)))]
        declared += [f'"{name}"' for name in dict.fromkeys(map(_plain, absent)) if name not in map(_plain, names)]
        self._connection.execute(f"CREATE TABLE logs ({', '.join(declared)})")
        unique = {_plain(name): column for name, column in names.items()}
        rows = zip(range(len(table)), *(_shown(table, column) for column in unique.values()), strict=True)
        marks = ", ".join("?" * (len(unique) + 1))
        columns = ", ".join(["row_number", *(f'"{name}"' for name in unique)])
        self._connection.executemany(f"INSERT INTO logs ({columns}) VALUES ({marks})", rows)

    def rows(self, rule: Rule) -> list[int] | None:
        """The numbers of the rows that the rule holds on; None where the backend has no query for it."""
        text = rule_text(rule)
        try:
            queries = sqliteBackend().convert(SigmaCollection.from_yaml(text))
            found = {
                n for q in queries for (n,) in self._connection.execute(q.replace("SELECT *", "SELECT row_number"))
            }
        except (SigmaError, sqlite3.Error):
            return None
        return sorted(found)


def comparable(table: Table) -> Table:
    """The rows without the two things that are meant to differ.

    SQLite's LIKE knows the case of ASCII letters only, so others are lowered; a bare program name, which we take for
    an `endswith` with a separator because some sensors write no path, gets a folder.
    """
    data = table.data
    for at, column in enumerate(data.column_names):
        if pa.types.is_string(data.schema.field(column).type) or pa.types.is_dictionary(data.schema.field(column).type):
            texts = [text and _lowered(text) for text in data.column(column).to_pylist()]
            if column in _PATHS:
                texts = [text if text is None or "\\" in text else f"C:\\Tools\\{text}" for text in texts]
            data = data.set_column(at, column, pa.array(texts, pa.string()))
    return Table(table.name, data)


def _lowered(text: str) -> str:
    return text if text.isascii() else "".join(letter if letter.isascii() else letter.lower() for letter in text)


def rule_text(rule: Rule) -> str:
    path, _, _ = rule.source.partition(":")
    return Path(path).read_text(encoding="utf-8")


def _plain(name: str) -> str:
    """SQLite's column names know no case."""
    return name.lower()


def _shown(table: Table, column: str) -> list[object]:
    """The values as Sysmon writes them: ids of sessions in hexadecimal."""
    values: list[object] = table.data.column(column).to_pylist()
    if column == "LogonId":
        return [None if value is None else hex(int(str(value))) for value in values]
    return [str(value) if pa.types.is_integer(table.data.column(column).type) else value for value in values]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regexp(pattern: str, value: object) -> bool:
    return value is not None and _compiled(pattern).search(str(value)) is not None
