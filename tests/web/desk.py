"""A console over a real store, asked without a network: users of every role, and a browser's manners."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perilune.model.roles import Act, Role
from perilune.settings import Settings
from perilune.web import passwords
from perilune.web.app import make_app
from perilune.web.options import Options
from perilune.web.rooms import Rooms, open_rooms
from tests.report import cases

with warnings.catch_warnings():  # starlette would like httpx2 for its test client; httpx is what we have
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"
HASH = passwords.hash_password(PASSWORD)
BASE = "http://127.0.0.1:8059"


def make_rooms(folder: Path, options: Options | None = None) -> Rooms:
    """A store with the intrusion as C-1 and a user of each role, named after it."""
    rooms = open_rooms(Settings(folder), options or Options())
    rooms.now = lambda: NOW
    rooms.closing = True  # streams of events end at once; a test that follows one says otherwise
    rooms.cases.save(cases.INTRUSION, at=NOW)
    for role in reversed(Role):  # an admin first: the last one stays one
        add_user(rooms, role.value, role)
    return rooms


def add_user(rooms: Rooms, name: str, role: Role) -> None:
    rooms.users.create(name, role, HASH, at=NOW, who="test")
    rooms.users.set_password(name, HASH, must_change=False, at=NOW, who="test")


def visitor(rooms: Rooms) -> TestClient:
    """Somebody who has not logged in. Redirects are looked at, not followed."""
    return TestClient(make_app(rooms), base_url=BASE, follow_redirects=False)


def word(page: str) -> str:
    """The word that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page[:2000]
    return found[1]


def log_in(client: TestClient, name: str, password: str = PASSWORD, **more: str) -> Any:
    page = client.get("/login").text
    return client.post("/login", data={"name": name, "password": password, "csrf": word(page), **more})


class Person:
    """A user at the console: `post` fills in the session's word as the page's form would."""

    def __init__(self, rooms: Rooms, name: str) -> None:
        self.client = visitor(rooms)
        answer = log_in(self.client, name)
        assert answer.status_code == 303, answer.text
        self.word = word(self.client.get("/tokens").text)

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, **form: Any) -> Any:
        return self.client.post(path, data={"csrf": self.word, **form})


def token(rooms: Rooms, name: str, *acts: Act) -> dict[str, str]:
    """The header of a token of the user with these scopes."""
    made = rooms.sessions.make_token(name, "test", acts, at=rooms.now(), lasts=timedelta(days=1))
    assert made is not None
    return {"Authorization": f"Bearer {made[0]}"}
