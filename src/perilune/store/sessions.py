"""Sessions of the console and tokens of the API: only hashes of their secrets are kept, and all of them end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from perilune.model.roles import Act
from perilune.store import audit, schema
from perilune.store.database import Database

IDLE = timedelta(hours=2)
LONGEST = timedelta(hours=12)
_SEEN_EVERY = timedelta(minutes=1)  # a session's use is noted at most this often
TOKEN_MARK = "plt_"  # noqa: S105 - what secret scanners look for, no secret itself
TOKENS_MOST = 50  # of one user


@dataclass(frozen=True, slots=True)
class Session:
    user: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Token:
    """`scopes`: what it may do, as far as its user still may."""

    id: int
    user: str
    name: str
    scopes: frozenset[Act]
    created: datetime
    expires: datetime
    revoked: bool


class SessionStore:
    """Sessions and tokens in the case store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, user: str, *, at: datetime) -> str:
        """A new session's secret, for the cookie; sessions that have ended are forgotten."""
        secret = secrets.token_hex(32)
        row = {"hash": _hash(secret), "user": user, "csrf": secrets.token_hex(32)}
        row |= {"begun": at.isoformat(), "seen": at.isoformat()}
        table = schema.sessions
        with self._database.writing() as connection:
            ended = sa.or_(table.c.seen < (at - IDLE).isoformat(), table.c.begun < (at - LONGEST).isoformat())
            connection.execute(sa.delete(table).where(ended))
            connection.execute(sa.insert(table).values(row))
        return secret

    def find(self, secret: str, *, at: datetime) -> Session | None:
        """The session of a cookie, if it has not ended."""
        table = schema.sessions
        with self._database.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.hash == _hash(secret))).first()
        if row is None:
            return None
        seen = datetime.fromisoformat(row.seen)
        if at - seen > IDLE or at - datetime.fromisoformat(row.begun) > LONGEST:
            return None
        if at - seen > _SEEN_EVERY:
            with self._database.writing() as connection:
                connection.execute(sa.update(table).where(table.c.hash == row.hash).values(seen=at.isoformat()))
        return Session(row.user, row.csrf)

    def close(self, secret: str, user: str, *, at: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.delete(schema.sessions).where(schema.sessions.c.hash == _hash(secret)))
            audit.append(connection, "logout", {}, at=at, who=user)

    def make_token(
        self, user: str, name: str, scopes: Iterable[Act], *, at: datetime, lasts: timedelta
    ) -> tuple[str, Token] | None:
        """A token and its secret, which is shown once; None when the user has too many."""
        secret = TOKEN_MARK + secrets.token_hex(24)
        words = sorted(scope.value for scope in scopes)
        row = {"hash": _hash(secret), "user": user, "name": name, "scopes": " ".join(words), "revoked": False}
        row |= {"created": at.isoformat(), "expires": (at + lasts).isoformat()}
        table = schema.tokens
        with self._database.writing() as connection:
            live = sa.select(sa.func.count()).where(table.c.user == user, table.c.revoked.is_(False))
            if connection.execute(live).scalar_one() >= TOKENS_MOST:
                return None
            number = connection.execute(sa.insert(table).values(row)).inserted_primary_key[0]  # type: ignore[index]
            audit.append(connection, "token made", {"token": number, "name": name, "scopes": words}, at=at, who=user)
            made = connection.execute(sa.select(table).where(table.c.id == number)).one()
        return secret, _token(made)

    def find_token(self, secret: str, *, at: datetime) -> Token | None:
        """The token of a secret, if it is still good."""
        table = schema.tokens
        with self._database.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.hash == _hash(secret))).first()
        token = _token(row) if row is not None else None
        return token if token is not None and not token.revoked and at < token.expires else None

    def tokens(self, user: str) -> list[Token]:
        """A user's tokens that were not revoked, newest first."""
        table = schema.tokens
        query = sa.select(table).where(table.c.user == user, table.c.revoked.is_(False)).order_by(table.c.id.desc())
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query)]

    def revoke(self, number: int, user: str, *, at: datetime) -> bool:
        """Ends one of the user's own tokens."""
        table = schema.tokens
        own = sa.and_(table.c.id == number, table.c.user == user, table.c.revoked.is_(False))
        with self._database.writing() as connection:
            if not connection.execute(sa.update(table).where(own).values(revoked=True)).rowcount:
                return False
            audit.append(connection, "token revoked", {"token": number}, at=at, who=user)
            return True


def _hash(secret: str) -> str:
    """A fast hash is right here: the secrets are random and long."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    return Token(
        id=row.id,
        user=row.user,
        name=row.name,
        scopes=frozenset(Act(word) for word in row.scopes.split()),
        created=datetime.fromisoformat(row.created),
        expires=datetime.fromisoformat(row.expires),
        revoked=row.revoked,
    )
