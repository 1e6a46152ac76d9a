"""Which findings the case store knows, each under one case, also those that a case only counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa

from perilune.store import audit, schema
from perilune.store.database import Database

_CHUNK = 500


class Sightings:
    """Beside a `CaseStore` of the same URL."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def close(self) -> None:
        self._database.close()

    def known(self, ids: Iterable[str]) -> dict[str, str]:
        """Those of the findings that a case has already, with the case."""
        wanted = list(ids)
        table = schema.findings
        with self._database.reading() as connection:
            found: dict[str, str] = {}
            for chunk in (wanted[i : i + _CHUNK] for i in range(0, len(wanted), _CHUNK)):
                query = sa.select(table.c.id, table.c.case_number).where(table.c.id.in_(chunk))
                found.update({one: f"C-{number}" for one, number in connection.execute(query).all()})
            return found

    def claim(self, findings: Mapping[str, str]) -> set[str]:
        """Gives findings that no case has to cases that do not list them; returns those that were new."""
        table = schema.findings
        with self._database.writing() as connection:
            known: set[str] = set()
            ids = list(findings)
            for chunk in (ids[i : i + _CHUNK] for i in range(0, len(ids), _CHUNK)):
                known.update(connection.execute(sa.select(table.c.id).where(table.c.id.in_(chunk))).scalars())
            fresh = [one for one in findings if one not in known]
            if fresh:
                rows = [{"id": one, "case_number": int(findings[one].removeprefix("C-"))} for one in fresh]
                connection.execute(sa.insert(table), rows)
            return set(fresh)

    def note(self, case_id: str, rules: Mapping[str, int], *, at: datetime, who: str) -> None:
        """An entry of the case that says how many more findings of which rules it does not list."""
        number = int(case_id.removeprefix("C-"))
        entries = schema.entries
        with self._database.writing() as connection:
            last = sa.select(sa.func.max(entries.c.number)).where(entries.c.case_number == number)
            body = msgspec.json.encode({"not_listed": dict(rules)}).decode()
            values = {"number": (connection.execute(last).scalar() or 0) + 1, "at": at.isoformat(), "who": who}
            connection.execute(sa.insert(entries).values(case_number=number, kind="repeats", body=body, **values))
            audit.append(connection, "case grown", {"case": case_id, "not_listed": dict(rules)}, at=at, who=who)
