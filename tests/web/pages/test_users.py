"""Users, kept by admins."""

from __future__ import annotations

import re

from perilune.model.roles import Role
from perilune.web.rooms import Rooms
from tests.web.desk import Person, log_in, visitor


def test_a_new_user_comes_in_with_a_one_time_password(rooms: Rooms) -> None:
    page = Person(rooms, "admin").post("/users", name="Mira", role="analyst").text
    password = re.search(r"<code>([a-z0-9-]{23})</code>", page)
    assert password
    client = visitor(rooms)
    assert log_in(client, "mira", password[1]).status_code == 303
    assert client.get("/cases").headers["location"] == "/password"


def test_wrong_names_and_roles_are_refused(rooms: Rooms) -> None:
    admin = Person(rooms, "admin")
    for name, role in (("analyst", "analyst"), ("a b", "analyst"), ("", "analyst"), ("<b>", "viewer"), ("new", "king")):
        assert admin.post("/users", name=name, role=role).status_code == 400


def test_a_user_can_be_shut_out_and_the_last_admin_cannot(rooms: Rooms) -> None:
    admin, viewer = Person(rooms, "admin"), Person(rooms, "viewer")
    assert admin.post("/users/viewer", act="disable").status_code == 303
    assert viewer.get("/cases").status_code == 303
    assert log_in(visitor(rooms), "viewer").status_code == 401
    assert admin.post("/users/admin", act="disable").status_code == 400
    assert admin.post("/users/admin", act="role", role="viewer").status_code == 400
    assert admin.post("/users/nobody", act="disable").status_code == 404
    user = rooms.users.find("admin")
    assert user is not None
    assert (user.role, user.disabled) == (Role.ADMIN, False)
