"""The people who may use the console. Each change is a line of the audit log, in the same transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from perilune.errors import StoreError, UsageError
from perilune.model.roles import Role
from perilune.store import audit, schema
from perilune.store.database import Database

TRIES = 5  # wrong passwords before an account rests
_REST = timedelta(minutes=1)  # doubled with every further one
_REST_MOST = timedelta(hours=1)
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")


@dataclass(frozen=True, slots=True)
class User:
    """`password` is an Argon2 hash. `must_change`: it was chosen by another."""

    name: str
    role: Role
    password: str
    must_change: bool
    disabled: bool
    tries: int
    locked_until: datetime | None
    created: datetime


class UserStore:
    """Users in the case store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[User]:
        with self._database.reading() as connection:
            return [_user(row) for row in connection.execute(sa.select(schema.users).order_by(schema.users.c.name))]

    def find(self, name: str) -> User | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(schema.users).where(schema.users.c.name == name)).first()
            return _user(row) if row is not None else None

    def create(self, name: str, role: Role, password: str, *, at: datetime, who: str) -> User:
        """A new user, who must change the password at the first login."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                "a user's name has 1 to 63 of a-z 0-9 . _ @ - and begins with a letter or digit", where=name[:80]
            )
        with self._database.writing() as connection:
            if self._row(connection, name) is not None:
                raise UsageError("there is a user of this name", where=name)
            row = {
                "name": name, "role": role.value, "password": password, "must_change": True, "disabled": False,
                "tries": 0, "locked_until": None, "created": at.isoformat(),
            }  # fmt: skip
            connection.execute(sa.insert(schema.users).values(row))
            audit.append(connection, "user created", {"user": name, "role": role.value}, at=at, who=who)
        return _user(row)

    def set_password(self, name: str, password: str, *, must_change: bool, at: datetime, who: str) -> None:
        """A new password; it ends every session of the user and wakes a resting account."""
        values = {"password": password, "must_change": must_change, "tries": 0, "locked_until": None}
        self._change(name, values, "password set", {"user": name}, at, who)

    def set_role(self, name: str, role: Role, *, at: datetime, who: str) -> None:
        self._change(name, {"role": role.value}, "role set", {"user": name, "role": role.value}, at, who)

    def set_disabled(self, name: str, disabled: bool, *, at: datetime, who: str) -> None:
        kind = "user disabled" if disabled else "user enabled"
        self._change(name, {"disabled": disabled}, kind, {"user": name}, at, who)

    def begin_try(self, name: str, *, at: datetime) -> bool:
        """Counts a login before its password is looked at, so that many at once gain nothing; False while it rests."""
        with self._database.writing() as connection:
            user = self._row(connection, name)
            if user is None or user.disabled or (user.locked_until is not None and at < user.locked_until):
                return False
            beyond = user.tries + 1 - TRIES
            rest = min(_REST * 2 ** min(beyond, 10), _REST_MOST) if beyond >= 0 else None
            values = {"tries": user.tries + 1, "locked_until": (at + rest).isoformat() if rest else None}
            connection.execute(sa.update(schema.users).where(schema.users.c.name == name).values(values))
            return True

    def end_try(self, name: str, good: bool, *, at: datetime, body: Mapping[str, object]) -> None:
        """Records a login. A good one forgets the wrong ones before it."""
        with self._database.writing() as connection:
            if good:
                values = {"tries": 0, "locked_until": None}
                connection.execute(sa.update(schema.users).where(schema.users.c.name == name).values(values))
            audit.append(connection, "login" if good else "login refused", body, at=at, who=name)

    def _change(
        self, name: str, values: Mapping[str, object], kind: str, body: Mapping[str, object], at: datetime, who: str
    ) -> None:
        table = schema.users
        with self._database.writing() as connection:
            if self._row(connection, name) is None:
                raise StoreError(f"there is no user {name!r}")
            connection.execute(sa.update(table).where(table.c.name == name).values(dict(values)))
            admins = sa.select(sa.func.count()).where(table.c.role == Role.ADMIN.value, table.c.disabled.is_(False))
            if not connection.execute(admins).scalar_one():
                raise UsageError("the last admin stays one", hint="make another admin first")
            connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.user == name))
            audit.append(connection, kind, body, at=at, who=who)

    def _row(self, connection: sa.Connection, name: str) -> User | None:
        row = connection.execute(sa.select(schema.users).where(schema.users.c.name == name)).first()
        return _user(row) if row is not None else None


def _user(row: sa.Row[tuple[object, ...]] | Mapping[str, object]) -> User:
    values = dict(row if isinstance(row, Mapping) else row._mapping)
    locked = values["locked_until"]
    return User(
        name=str(values["name"]),
        role=Role(str(values["role"])),
        password=str(values["password"]),
        must_change=bool(values["must_change"]),
        disabled=bool(values["disabled"]),
        tries=int(str(values["tries"])),
        locked_until=datetime.fromisoformat(str(locked)) if locked else None,
        created=datetime.fromisoformat(str(values["created"])),
    )
