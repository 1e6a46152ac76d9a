"""The whole console: what each role may, what every answer carries, what nobody may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from perilune.model.roles import ACTS, Act, Role
from perilune.settings import Settings
from perilune.store import audit
from perilune.web.app import make_app, make_first_admin
from perilune.web.auth import Allow, AllowForm, AllowToken, AllowUpload
from perilune.web.guard import HEADERS
from perilune.web.options import Options
from perilune.web.rooms import Rooms, open_rooms
from tests.web.desk import Person, log_in, token, visitor, word

# What anybody may ask for. A route that is not here must name who may.
OPEN = {
    ("GET", "/login"), ("POST", "/login"), ("GET", "/static/{name}"), ("GET", "/health"), ("GET", "/ready"),
}  # fmt: skip

# What stands in a route's address; a parameter that is not here fails the tests, so that no route is left out.
IDS = {"case_id": "C-1", "run_id": "R-9", "job_id": "J-9", "kind": "html", "name": "nobody", "number": "999"}


def _routes(app: object) -> Iterator[tuple[str, str, Allow | AllowToken | None]]:
    for route in _flat(app.router.routes):  # type: ignore[attr-defined]
        gates = [one.call for one in route.dependant.dependencies if isinstance(one.call, Allow | AllowToken)]
        assert len(gates) <= 1, route.path
        for method in sorted(route.methods):
            yield method, route.path, gates[0] if gates else None


def _flat(routes: list[object]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(getattr(route, "original_router", None), "routes", None):
            yield from _flat(inner)


def test_every_route_names_who_may(rooms: Rooms) -> None:
    found = list(_routes(make_app(rooms)))
    assert len(found) > 20
    assert {(method, path) for method, path, gate in found if gate is None} == OPEN
    for method, path, gate in found:
        if method != "GET" and isinstance(gate, Allow):
            assert isinstance(gate, AllowForm | AllowUpload), f"{method} {path} takes no word against forged requests"


@pytest.mark.parametrize("role", list(Role))
def test_each_route_is_open_to_just_the_roles_that_may(rooms: Rooms, role: Role) -> None:
    person = Person(rooms, role.value)
    bearer = token(rooms, role.value, *Act)
    for method, path, gate in _routes(make_app(rooms)):
        if gate is None or path == "/logout":
            continue
        url = path.format_map(IDS)
        headers = bearer if isinstance(gate, AllowToken) else {}
        sent = {"POST": {"data": {"csrf": person.word}}, "PATCH": {"json": {}}}
        answer = person.client.request(method, url, headers=headers, **sent.get(method, {}))
        refused = gate.act is not None and gate.act not in ACTS[role]
        assert (answer.status_code == 403) is refused, f"{role} {method} {path}: {answer.status_code}"
        assert answer.status_code not in (401, 405) and answer.status_code < 500, f"{role} {method} {path}"


def test_without_a_login_there_is_nothing(rooms: Rooms) -> None:
    client = visitor(rooms)
    for method, path, gate in _routes(make_app(rooms)):
        if gate is None:
            continue
        url = path.format_map(IDS)
        answer = client.request(method, url)
        assert answer.status_code == (401 if isinstance(gate, AllowToken) else 303), path
        assert answer.headers.get("location", "/login").startswith("/login")
        assert "nginx" not in answer.text


def test_every_answer_carries_the_headers(rooms: Rooms) -> None:
    person = Person(rooms, "admin")
    for path in ("/cases", "/cases/C-1", "/nowhere", "/static/console.js", "/api/v1/cases", "/login", "/health"):
        answer = person.get(path)
        assert {name: answer.headers[name] for name in HEADERS if name != "Cache-Control"} == {
            name: value for name, value in HEADERS.items() if name != "Cache-Control"
        }
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8059"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-length": "99999999"}, 413),
        ({"origin": "http://127.0.0.1:8059", "sec-fetch-site": "same-origin"}, 303),
    ],
)
def test_requests_of_other_sites_are_refused(rooms: Rooms, headers: dict[str, str], status: int) -> None:
    person = Person(rooms, "analyst")
    answer = person.client.post("/cases/C-1/comment", data={"csrf": person.word, "text": "seen"}, headers=headers)
    assert answer.status_code == status


def test_a_body_without_a_length_is_cut_off(rooms: Rooms) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"a" * 1000

    answer = visitor(rooms).post(
        "/login", content=endless(), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code in (400, 413)


def test_a_form_without_its_word_does_nothing(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    before = rooms.cases.load("C-1").entries
    for csrf in ("", "0" * 64, "é"):
        answer = person.client.post("/cases/C-1/comment", data={"csrf": csrf, "text": "forged"})
        assert answer.status_code == 403
    assert rooms.cases.load("C-1").entries == before


def test_the_first_start_makes_one_admin_who_must_choose_a_password(tmp_path: Path) -> None:
    rooms = open_rooms(Settings(tmp_path), Options())
    password = make_first_admin(rooms)
    assert password is not None
    assert make_first_admin(rooms) is None
    client = visitor(rooms)
    assert log_in(client, "admin", password).headers["location"] == "/cases"
    assert client.get("/cases").headers["location"] == "/password"
    form = {"csrf": word(client.get("/password").text), "old": password, "new": "short", "again": "short"}
    assert client.post("/password", data=form).status_code == 400
    form |= {"new": "a moon of my own", "again": "a moon of my own"}
    assert client.post("/password", data=form).headers["location"].startswith("/cases")
    assert client.get("/cases").status_code == 200
    assert audit.verify(rooms.database)[2] == []
