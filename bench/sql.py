"""One DuckDB query per rule, to compare with: what a straightforward, correct translation to SQL costs.

Columns are lowered beforehand, comparisons are null-safe, and `contains` is used instead of LIKE where it can be.
"""

from __future__ import annotations

import duckdb

from perilune.model.rules import And, Compare, Exists, Expr, Not, Null, Number, Or, Regex, Rule, SameRow, Text, Wildcard
from perilune.model.tables import Table

_SIGNS = {Compare.EQ: "=", Compare.NEQ: "<>", Compare.LT: "<", Compare.LTE: "<=", Compare.GT: ">", Compare.GTE: ">="}


def is_expressible(rule: Rule) -> bool:
    return all(_is_plain(scope.expr) for scope in rule.scopes)


def _is_plain(expr: Expr) -> bool:
    match expr:
        case And(of=parts) | Or(of=parts):
            return all(map(_is_plain, parts))
        case Not(of=inner):
            return _is_plain(inner)
        case Text(cased=cased):
            return not cased
        case SameRow():
            return False
        case _:
            return isinstance(expr, Regex | Number | Null | Exists)


class Database:
    """The rows in memory, with a lowered column beside each text column."""

    def __init__(self, table: Table) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._columns = set(table.data.column_names)
        rows = table.data.append_column("row_number", [list(range(len(table)))])
        self._connection.register("given", rows)
        lowered = ", ".join(f'lower("{name}"::varchar) AS "low_{name}"' for name in table.data.column_names)
        self._connection.execute(f"CREATE TABLE events AS SELECT *, {lowered} FROM given")

    def rows(self, rule: Rule) -> list[int]:
        """The numbers of the rows that the rule holds on."""
        where = " OR ".join(self._sql(scope.expr) for scope in rule.scopes)
        found = self._connection.execute(f"SELECT row_number FROM events WHERE {where} ORDER BY 1").fetchall()
        return [number for (number,) in found]

    def _sql(self, expr: Expr) -> str:
        match expr:
            case And(of=parts):
                return "(" + (" AND ".join(map(self._sql, parts)) or "true") + ")"
            case Or(of=parts):
                return "(" + (" OR ".join(map(self._sql, parts)) or "false") + ")"
            case Not(of=inner):
                return f"NOT {self._sql(inner)}"
            case _ if expr.field.column not in self._columns:  # type: ignore[union-attr]
                return "true" if isinstance(expr, Null) else "false"
            case Null(field=field):
                return f'("{field.column}" IS NULL)'
            case Exists(field=field):
                return f'("{field.column}" IS NOT NULL)'
            case Number(field=field, op=op, value=value):
                return f'coalesce(try_cast("{field.column}" AS double) {_SIGNS[op]} {value}, false)'
            case Regex(field=field, pattern=pattern, flags=flags):
                whole = f"(?{flags}){pattern}" if flags else pattern
                return f'coalesce(regexp_matches("{field.column}", {_quoted(whole)}), false)'
            case Text(field=field, parts=parts):
                return f"coalesce({_text(f'low_{field.column}', parts)}, false)"
        raise AssertionError(expr)


def _text(column: str, parts: tuple[str | Wildcard, ...]) -> str:
    match parts:
        case (Wildcard.MANY, str(word), Wildcard.MANY):
            return f'contains("{column}", lower({_quoted(word)}))'
        case (str(word), Wildcard.MANY):
            return f'starts_with("{column}", lower({_quoted(word)}))'
        case (Wildcard.MANY, str(word)):
            return f'ends_with("{column}", lower({_quoted(word)}))'
        case () | (str(),):
            return f'"{column}" = lower({_quoted("".join(map(str, parts)))})'
    pattern = "".join(_like(part) for part in parts)
    return f"\"{column}\" LIKE lower({_quoted(pattern)}) ESCAPE '\\'"


def _like(part: str | Wildcard) -> str:
    if isinstance(part, Wildcard):
        return "%" if part is Wildcard.MANY else "_"
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
