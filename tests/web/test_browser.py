"""The console in a real browser, from login to audit log: nothing asked elsewhere, nothing complained of."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from perilune.model.rules import Level
from perilune.response.plan import plan_hash
from perilune.service.jobs import SAMPLES
from perilune.web import jobs, respond
from perilune.web.app import make_app
from perilune.web.respond import Wish
from perilune.web.rooms import Rooms, _now
from perilune.web.serving import Server
from tests.browser import axe_script, violations
from tests.report import cases
from tests.web.desk import PASSWORD, make_rooms

pytestmark = pytest.mark.needs_browser

QUERY = "DeviceProcessEvents | project Timestamp, DeviceName, FileName, ProcessCommandLine"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    rooms = make_rooms(tmp_path_factory.mktemp("console"))
    rooms.now = _now  # a browser lives by the real clock
    rooms.closing = False
    for number, level in enumerate(Level):
        one = replace(cases.EMPTY, key=f"more-{number}", title=f"Case {number}", level=level, score=10 + number)
        rooms.cases.save(one, at=rooms.now())
    poison = "".join(cases.POISONS).replace("\ud800", "")  # which no store can hold; readers replace it
    hostile = cases.hostile(poison)
    rooms.cases.save(replace(hostile, key="hostile", findings=tuple(
        replace(finding, id=f"h-{number}") for number, finding in enumerate(hostile.findings)
    )), at=rooms.now())  # fmt: skip
    _begin_run(rooms)
    for job in (jobs.begin(rooms, "query", SAMPLES, "analyst", QUERY), jobs.begin(rooms, "hunt", SAMPLES, "analyst")):
        rooms.crew.do(job)
    return rooms


def _begin_run(rooms: Rooms) -> None:
    case = rooms.cases.load("C-1")
    plan, _ = respond.plan(rooms, case, Wish())
    respond.start(rooms, case, Wish(), plan_hash(plan), "responder")
    assert rooms.driver.rest(60)


@pytest.fixture(scope="module")
def address(held: Rooms) -> Iterator[str]:
    with serving(held) as address:
        yield address


@contextmanager
def serving(held: Rooms) -> Iterator[str]:
    config = uvicorn.Config(
        make_app(held), port=0, log_level="warning", server_header=False, timeout_graceful_shutdown=5
    )
    server = Server(config, held)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


# Every kind of page. The run and the job are made by `held`.
PAGES = (
    "/cases", "/cases/C-1", "/runs", "/runs/R-1", "/hunts", "/jobs/J-1", "/jobs/J-2", "/content/rules?q=lua",
    "/content/playbooks/item?origin=pack&place=playbooks/recovery_plan.json", "/baselines", "/sources", "/users",
    "/audit", "/tokens", "/settings", "/api", "/password",
)  # fmt: skip


class Visit:
    """One browser of its own, with everything that it asked for or complained of."""

    def __init__(self, browser: Any, address: str, *, width: int = 1280, **options: Any) -> None:
        self.address = address
        self.scripts = bool(options.get("java_script_enabled", True))
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('policy', e.violatedDirective))"
        )

    def _asked(self, url: str) -> None:
        if not url.startswith(self.address):
            self.foreign.append(url)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def log_in(self, name: str) -> None:
        self.go("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/cases")

    def end(self) -> None:
        self.context.close()
        assert self.foreign == []
        assert self.complaints == []


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_from_login_to_audit(browser: Any, address: str, held: Rooms, script: bool) -> None:
    visit = Visit(browser, address, java_script_enabled=script)
    page = visit.page
    visit.go("/cases/C-1")
    assert "/login?next=" in page.url
    visit.log_in("admin")
    page.get_by_label("Search").fill(cases.INTRUSION.host)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="C-1").click()
    page.locator("aside").get_by_role("button", name="Give").click()
    assert page.get_by_role("status").text_content() == "✓ The owner was changed."
    page.get_by_label("Note").fill("a drill of ours <b>&")
    page.get_by_role("button", name="Close", exact=True).click()
    assert "a drill of ours <b>&" in str(page.locator("#log").text_content())
    page.get_by_role("button", name="Back to new").click()
    page.get_by_role("button", name="False positive").click()
    page.get_by_role("link", name="Audit").click()
    words = str(page.locator("table").text_content())
    assert all(kind in words for kind in ("login", "case read", "case status", "case owner", "case feedback"))
    page.get_by_role("link", name="Check the whole log").click()
    assert "as they were written" in str(page.get_by_role("status").text_content())
    held.cases.set_owner("C-1", "", at=held.now(), who="test")
    visit.end()


def test_the_keyboard_alone_is_enough(browser: Any, address: str, held: Rooms) -> None:
    visit = Visit(browser, address)
    page = visit.page
    visit.go("/login")
    page.keyboard.type("analyst")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("/")
    page.keyboard.type("Case 3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases?q=Case+3**")
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.get_by_role("status").wait_for()
    assert page.locator("td[data-label=Owner]").first.text_content() == "analyst"
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/C-*")
    assert "Case 3" in str(page.locator("h1").text_content())
    visit.end()


@pytest.mark.parametrize(("scheme", "width"), [("light", 400), ("dark", 1280), ("light", 2560)])
def test_every_page_fits_and_shows_hostile_text_as_text(
    browser: Any, address: str, held: Rooms, width: int, scheme: str
) -> None:
    visit = Visit(browser, address, width=width, color_scheme=scheme)
    visit.log_in("admin")
    last = held.cases.count()
    for path in (*PAGES, "/cases?show=all", f"/cases/C-{last}"):
        visit.go(path)
        for details in visit.page.locator("main details").all():
            details.evaluate("element => { element.open = true }")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, path
        back = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == {"light": "rgb(243, 245, 247)", "dark": "rgb(15, 20, 25)"}[scheme]
        foreign = visit.page.locator("main :is(script, img:not(.drawn), iframe, object, embed, [style], [onerror])")
        assert foreign.count() == 0, path
    visit.end()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, address: str, held: Rooms, width: int, scheme: str) -> None:
    axe = axe_script()
    visit = Visit(browser, address, width=width, color_scheme=scheme)
    found: list[str] = []
    visit.go("/login")
    found += violations(visit.page, axe)
    visit.log_in("admin")
    for path in (*PAGES, "/cases?q=nothing-like-it", "/audit?check=true"):
        visit.go(path)
        found += [f"{path} {one}" for one in violations(visit.page, axe)]
    assert found == []
    visit.end()


def test_a_page_is_small(browser: Any, address: str, held: Rooms, tmp_path: Path) -> None:
    visit = Visit(browser, address)
    sizes: dict[str, int] = {}
    visit.page.on("response", lambda got: sizes.__setitem__(got.url, len(got.body()) if got.status == 200 else 0))
    visit.log_in("viewer")
    sizes.clear()
    visit.go("/cases")
    visit.page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes.values()) < 100_000
    visit.end()
