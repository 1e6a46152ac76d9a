"""Accounts: wrong tries are counted before the password is looked at, and what changes is in the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune.errors import UsageError
from perilune.model.roles import Role
from perilune.store import audit
from perilune.store.database import Database
from perilune.store.users import TRIES, UserStore
from tests.build import at


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'cases.db'}")


@pytest.fixture
def users(database: Database) -> UserStore:
    users = UserStore(database)
    users.create("ana", Role.ADMIN, "hash", at=at(0), who="perilune")
    return users


def test_each_further_try_makes_the_rest_longer(users: UserStore) -> None:
    for _ in range(TRIES):
        assert users.begin_try("ana", at=at(0))
    assert not users.begin_try("ana", at=at(59))
    assert users.begin_try("ana", at=at(61))
    assert not users.begin_try("ana", at=at(61 + 119))
    assert users.begin_try("ana", at=at(61 + 121))
    users.end_try("ana", True, at=at(200), body={})
    assert users.begin_try("ana", at=at(201))


def test_the_last_admin_stays_one(users: UserStore) -> None:
    with pytest.raises(UsageError, match="last admin"):
        users.set_role("ana", Role.VIEWER, at=at(1), who="ana")
    found = users.find("ana")
    assert found is not None
    assert found.role is Role.ADMIN


def test_changes_are_in_the_audit_log_without_the_hash(users: UserStore, database: Database) -> None:
    users.create("bo", Role.VIEWER, "secret-hash", at=at(1), who="ana")
    users.set_password("bo", "other-hash", must_change=False, at=at(2), who="bo")
    users.end_try("bo", False, at=at(3), body={"from": "192.0.2.1"})
    lines = audit.newest(database, limit=3)
    assert [(line.kind, line.who) for line in lines] == [
        ("login refused", "bo"), ("password set", "bo"), ("user created", "ana"),
    ]  # fmt: skip
    assert "hash" not in str([line.body for line in lines])
    assert audit.verify(database)[2] == []
