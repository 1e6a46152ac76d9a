"""Who is asking: sessions begin, end and cannot be borrowed; a link to the login leads nowhere else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from perilune.model.roles import Act, Role
from perilune.store.sessions import IDLE, LONGEST
from perilune.web.auth import local_path
from perilune.web.options import Options
from perilune.web.rooms import Rooms
from tests.web.desk import NOW, PASSWORD, Person, log_in, make_rooms, token, visitor, word


def test_the_cookie_is_strict(rooms: Rooms) -> None:
    cookie = log_in(visitor(rooms), "analyst").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert PASSWORD not in cookie


def test_over_tls_the_cookie_is_bound_to_it(tmp_path: Path) -> None:
    rooms = make_rooms(tmp_path, Options(public="https://console.example"))
    client = visitor(rooms)
    client.base_url = "https://console.example"  # type: ignore[assignment]
    answer = log_in(client, "analyst")
    assert "__Host-perilune=" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert client.get("/cases").status_code == 200


@pytest.mark.parametrize("length", [IDLE, LONGEST])
def test_a_session_ends(rooms: Rooms, length: timedelta) -> None:
    person = Person(rooms, "viewer")
    step = timedelta(minutes=59)
    while length == LONGEST and rooms.now() - NOW < LONGEST - step:  # used all the time
        later = rooms.now() + step
        rooms.now = lambda later=later: later  # type: ignore[misc]
        assert person.get("/cases").status_code == 200
    end = NOW + length + timedelta(seconds=1)
    rooms.now = lambda: end
    assert person.get("/cases").headers["location"].startswith("/login")


def test_logging_out_ends_the_session_for_a_copied_cookie_too(rooms: Rooms) -> None:
    person = Person(rooms, "viewer")
    thief = visitor(rooms)
    thief.cookies.set("perilune", person.client.cookies["perilune"])
    assert thief.get("/cases").status_code == 200
    assert person.post("/logout").status_code == 303
    assert thief.get("/cases").status_code == 303


def test_a_new_password_role_or_state_ends_all_sessions(rooms: Rooms) -> None:
    for change in (
        lambda: rooms.users.set_role("viewer", Role.ANALYST, at=NOW, who="test"),
        lambda: rooms.users.set_disabled("viewer", False, at=NOW, who="test"),
    ):
        person = Person(rooms, "viewer")
        change()
        assert person.get("/cases").status_code == 303


def test_a_session_known_before_the_login_is_worth_nothing(rooms: Rooms) -> None:
    planted = {"cookie": f"perilune={'a' * 64}"}
    client = visitor(rooms)
    form = word(client.get("/login").text)
    both = {"cookie": f"{planted['cookie']}; perilune_login={form}"}
    answer = client.post("/login", data={"name": "viewer", "password": PASSWORD, "csrf": form}, headers=both)
    assert answer.status_code == 303
    assert visitor(rooms).get("/cases", headers=planted).status_code == 303


def test_an_account_rests_after_wrong_passwords_and_wakes(rooms: Rooms) -> None:
    client = visitor(rooms)
    for _ in range(5):
        assert log_in(client, "analyst", "wrong password").status_code == 401
    assert log_in(client, "analyst").status_code == 401  # the right one, too late
    rooms.now = lambda: NOW + timedelta(minutes=2)
    assert log_in(client, "analyst").status_code == 303


def test_who_is_unknown_reads_the_same_as_who_is_wrong(rooms: Rooms) -> None:
    client = visitor(rooms)
    pages = [log_in(client, name, "wrong password") for name in ("analyst", "nobody-of-this-name")]
    assert [page.status_code for page in pages] == [401, 401]
    shown = [page.text.replace(word(page.text), "") for page in pages]
    assert shown[0] == shown[1]


def test_one_address_cannot_try_for_ever(rooms: Rooms) -> None:
    client = visitor(rooms)
    rooms.logins.rate = 1e-6  # so that a slow machine gets no further try meanwhile
    codes = [log_in(client, f"name{number}", "x").status_code for number in range(22)]
    assert codes[-1] == 429


def test_a_login_form_of_another_browser_is_refused(rooms: Rooms) -> None:
    foreign = word(visitor(rooms).get("/login").text)
    client = visitor(rooms)
    client.get("/login")
    answer = client.post("/login", data={"name": "analyst", "password": PASSWORD, "csrf": foreign})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "/a\\..\\b", "javascript:alert(1)", "",
        "/x\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(rooms: Rooms, wanted: str) -> None:
    assert local_path(wanted) == "/cases"
    assert log_in(visitor(rooms), "viewer", next=wanted).headers["location"] == "/cases"


def test_a_login_leads_to_the_page_that_was_wanted(rooms: Rooms) -> None:
    client = visitor(rooms)
    location = client.get("/cases?show=all&q=a%26b").headers["location"]
    page = client.get(location).text
    answer = log_in(client, "viewer", next="/cases?show=all&q=a%26b")
    assert 'value="/cases?show=all&amp;q=a%26b"' in page
    assert answer.headers["location"] == "/cases?show=all&q=a%26b"


def test_tokens_do_no_more_than_their_scopes_and_their_user(rooms: Rooms) -> None:
    client = visitor(rooms)
    change = {"json": {"comment": "from a program"}}
    assert client.patch("/api/v1/cases/C-1", headers=token(rooms, "analyst", Act.READ), **change).status_code == 403
    assert client.patch("/api/v1/cases/C-1", headers=token(rooms, "viewer", Act.WORK), **change).status_code == 403
    good = token(rooms, "analyst", Act.READ, Act.WORK)
    assert client.patch("/api/v1/cases/C-1", headers=good, **change).status_code == 200
    rooms.users.set_disabled("analyst", True, at=NOW, who="test")
    assert client.get("/api/v1/cases", headers=good).status_code == 401


def test_a_token_ends_and_can_be_revoked_by_its_user_alone(rooms: Rooms) -> None:
    person, other = Person(rooms, "analyst"), Person(rooms, "viewer")
    page = person.post("/tokens", name="nightly", scope="read", days="1").text
    secret = page.split("<code>plt_")[1].split("<")[0]
    bearer = {"Authorization": f"Bearer plt_{secret}"}
    assert person.client.get("/api/v1/cases", headers=bearer).status_code == 200
    assert secret not in person.get("/tokens").text
    number = rooms.sessions.tokens("analyst")[0].id
    assert other.post(f"/tokens/{number}").status_code == 404
    assert person.post(f"/tokens/{number}").status_code == 303
    assert person.client.get("/api/v1/cases", headers=bearer).status_code == 401
    late = token(rooms, "viewer", Act.READ)
    rooms.now = lambda: NOW + timedelta(days=2)
    assert person.client.get("/api/v1/cases", headers=late).status_code == 401


def test_a_cookie_is_no_key_to_the_api(rooms: Rooms) -> None:
    assert Person(rooms, "admin").get("/api/v1/cases").status_code == 401
