"""The whole way in a real browser, on an empty installation: first login, upload, case, plan, second person, run, undo,
close, audit. With a mouse and scripts, without scripts, and with the keyboard alone."""

from __future__ import annotations

import re
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from perilune.settings import Settings
from perilune.store import audit
from perilune.web.app import make_first_admin
from perilune.web.options import Options
from perilune.web.rooms import open_rooms
from tests.web.test_browser import Visit, serving

pytestmark = pytest.mark.needs_browser

OWN = "a moon of my own"
LOG = files("perilune.content") / "samples" / "linux-auditd.log"
FOLLOWS = 20.0  # seconds that a page may take to follow by itself, before it is loaded again
PATIENCE = 120.0


class Walker(Visit):
    """A person at a browser. With `keyboard` nothing is clicked: they tab to it and press Enter."""

    def __init__(self, browser: Any, address: str, *, keyboard: bool = False, **options: Any) -> None:
        super().__init__(browser, address, **options)
        self.keyboard = keyboard
        self.page.set_default_timeout(60_000)

    def press(self, role: str, name: str | re.Pattern[str], *, within: str = "body") -> None:
        found = self.page.locator(within).get_by_role(role, name=name, exact=isinstance(name, str)).first
        if not self.keyboard:
            found.click()
            return
        self._tab_to(found)
        self.page.keyboard.press("Enter")

    def write(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label, exact=True).first
        if not self.keyboard:
            field.fill(text)
            return
        self._tab_to(field)
        self.page.keyboard.type(text)

    def _tab_to(self, found: Any) -> None:
        found.wait_for()
        element = found.element_handle()
        for _ in range(400):
            if self.page.evaluate("element => element === document.activeElement", element):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {element}")

    def first_login(self, name: str, password: str) -> None:
        self.go("/login")
        self.write("Name", name)
        self.write("Password", password)
        self.press("button", "Log in")
        self.write("Old password", password)
        self.write("New password", OWN)
        self.write("The new one again", OWN)
        self.press("button", "Change")
        self.page.get_by_text("Your password was changed.").wait_for()

    def until(self, words: str) -> None:
        """Waits for words: the page follows by itself where it can, and is loaded again where it cannot."""
        ends, again = time.monotonic() + PATIENCE, time.monotonic() + FOLLOWS
        while not self.page.locator("main").get_by_text(words).count():
            assert time.monotonic() < ends, f"never: {words}"
            self.page.wait_for_timeout(500)
            if not self.scripts or time.monotonic() > again:
                self.page.reload()
                again = time.monotonic() + FOLLOWS


@pytest.mark.parametrize("way", ["mouse", "no-script", "keyboard"])
def test_from_the_first_login_to_the_audit_log(browser: Any, tmp_path: Path, way: str) -> None:
    held = open_rooms(Settings(tmp_path), Options())
    password = make_first_admin(held)
    assert password is not None
    options = {"java_script_enabled": way != "no-script", "keyboard": way == "keyboard"}
    with serving(held) as address:
        people = {name: Walker(browser, address, **options) for name in ("admin", "responder", "approver")}
        people["admin"].first_login("admin", password)
        for name in ("responder", "approver"):
            people[name].first_login(name, _made(people["admin"], name))
        case = _hunted(people["responder"])
        run = _planned(people["responder"], case)
        _approved(people["approver"], run)
        _taken_back(people["responder"], run)
        _closed(people["responder"], case)
        _audited(people["approver"])
        for one in people.values():
            one.end()
    assert audit.verify(held.database)[2] == []
    held.database.close()


def _made(admin: Walker, name: str) -> str:
    """A new user of the role of the same name, and the one-time password that the page shows."""
    admin.go("/users")
    admin.page.locator("#new-name").fill(name)
    admin.page.locator("#new-role").select_option(name)
    admin.press("button", "Create")
    return str(admin.page.locator(".secret code").text_content())


def _hunted(person: Walker) -> str:
    person.go("/hunts")
    person.page.get_by_label("Files to upload").set_input_files(str(LOG))
    person.press("button", "Hunt")
    person.until("What was read")
    person.go("/cases")
    person.press("link", re.compile("C-1 "))
    person.page.get_by_role("heading", name="The runbook, answered").wait_for()
    return person.page.url.rsplit("/", 1)[-1]


def _planned(person: Walker, case: str) -> str:
    person.press("link", "Plan a response")
    assert "set isolated host||" in str(person.page.locator("main").text_content())
    person.press("button", "Begin this run")
    person.page.wait_for_url("**/runs/R-*")
    person.until("waits for approval")
    assert "you began this run" in str(person.page.locator("main").text_content())
    return str(re.search(r"R-\d+", person.page.url)[0])  # type: ignore[index]


def _approved(person: Walker, run: str) -> None:
    person.go(f"/runs/{run}")
    person.write("Why", "looked at every request")
    person.press("button", "Approve")
    person.until("Finished")


def _taken_back(person: Walker, run: str) -> None:
    person.until("Finished")
    person.write("Why", "a drill")
    person.press("button", "Undo")
    person.page.get_by_text(f"takes back {run}").first.wait_for()
    person.until("Finished")


def _closed(person: Walker, case: str) -> None:
    person.go(f"/cases/{case}")
    person.page.locator("#note").fill("a drill of ours <b>&")
    person.press("button", "Close")
    person.page.locator("#log").get_by_text("a drill of ours <b>&").first.wait_for()


def _audited(person: Walker) -> None:
    person.press("link", "Audit")
    words = str(person.page.locator("table").text_content())
    assert all(kind in words for kind in ("decision", "effect", "case status", "case read", "ended"))
    person.press("link", "Check the whole log")
    assert "as they were written" in str(person.page.get_by_role("status").text_content())
