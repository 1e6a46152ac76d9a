"""The console in a real browser, from login to audit log: nothing asked elsewhere, nothing complained of."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from perilune.model.rules import Level
from perilune.web.app import make_app
from perilune.web.rooms import Rooms, _now
from tests.report import cases
from tests.web.desk import PASSWORD, make_rooms

pytestmark = pytest.mark.needs_browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


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
    return rooms


@pytest.fixture(scope="module")
def address(held: Rooms) -> Iterator[str]:
    config = uvicorn.Config(make_app(held), port=0, log_level="warning", server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


class Visit:
    """One browser of its own, with everything that it asked for or complained of."""

    def __init__(self, browser: Any, address: str, *, width: int = 1280, **options: Any) -> None:
        self.address = address
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


@pytest.mark.parametrize("width", [400, 1280, 2560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_shows_hostile_text_as_text(
    browser: Any, address: str, held: Rooms, width: int, scheme: str
) -> None:
    visit = Visit(browser, address, width=width, color_scheme=scheme)
    visit.log_in("admin")
    last = held.cases.count()
    for path in ("/cases?show=all", "/cases/C-1", f"/cases/C-{last}", "/users", "/audit", "/tokens", "/password"):
        visit.go(path)
        for details in visit.page.locator("main details").all():
            details.evaluate("element => { element.open = true }")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, path
        back = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == {"light": "rgb(243, 245, 247)", "dark": "rgb(15, 20, 25)"}[scheme]
        foreign = visit.page.locator("main :is(script, img, iframe, object, embed, [style], [onerror])")
        assert foreign.count() == 0, path
    visit.end()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, address: str, held: Rooms, width: int, scheme: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = (Path(package.__file__).parent / "axe.min.js").read_text("utf-8")
    visit = Visit(browser, address, width=width, color_scheme=scheme)
    found: list[str] = []
    visit.go("/login")
    found += _violations(visit.page, axe)
    visit.log_in("admin")
    for path in (
        "/cases",
        "/cases?q=nothing-like-it",
        "/cases/C-1",
        "/users",
        "/audit?check=true",
        "/tokens",
        "/password",
    ):
        visit.go(path)
        found += [f"{path} {one}" for one in _violations(visit.page, axe)]
    assert found == []
    visit.end()


def _violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    done = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in done["violations"]]


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
