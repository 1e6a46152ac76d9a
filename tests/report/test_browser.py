"""The HTML report in a real browser, opened from disk: it asks for nothing, complains of nothing and fits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perilune.report import html
from tests.report import cases

pytestmark = pytest.mark.needs_browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    given = {"generated": cases.GENERATED, "version": cases.VERSION}
    poison = "".join(cases.POISONS)
    pages = {
        "intrusion": html.render(cases.INTRUSION, **given, sources=cases.SOURCES, explained=cases.EXPLAINED),
        "hostile": html.render(
            cases.hostile(poison), **given, sources=cases.hostile_sources(poison),
            explained=cases.hostile_explained(poison),
        ),
        "empty": html.render(cases.EMPTY, **given),
    }  # fmt: skip
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, "utf-8")
    return folder


class Visit:
    """One page opened, with everything that it asked for or complained of."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = browser.new_page(**options)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        # In the page before anything of it: a violation without a console line is seen too.
        self.page.add_init_script(
            "window.violations = [];"
            "document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"
        )
        self.page.goto(path.as_uri())

    def check(self, path: Path) -> None:
        assert self.requests == [path.as_uri()]
        assert self.complaints == []
        assert self.page.evaluate("violations") == []


@pytest.mark.parametrize("name", ["intrusion", "hostile", "empty"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_asks_for_nothing_and_fits(browser: Any, folder: Path, name: str, width: int, scheme: str) -> None:
    path = folder / f"{name}.html"
    visit = Visit(browser, path, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for details in visit.page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    page = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page == {"light": "rgb(243, 245, 247)", "dark": "rgb(15, 20, 25)"}[scheme]  # the style was let in
    visit.check(path)
    assert visit.page.locator("script, img, iframe, object, embed, form, [style], [onerror]").count() == 0
    visit.page.close()


def test_the_first_tab_offers_to_skip_to_the_case(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "intrusion.html", viewport={"width": 1280, "height": 800})
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the case"
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "main"
    visit.page.close()


def test_long_values_unfold_without_script(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "intrusion.html", java_script_enabled=False)
    value = visit.page.locator("#tree details.long").first
    value.locator("summary").click()
    assert value.locator("> code").is_visible()
    visit.page.close()


def test_paper_carries_the_title_every_finding_and_no_color(browser: Any, folder: Path, tmp_path: Path) -> None:
    visit = Visit(browser, folder / "intrusion.html", color_scheme="dark")
    visit.page.emulate_media(media="print")
    assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    printed = tmp_path / "case.pdf"
    visit.page.pdf(path=printed, format="A4")
    visit.page.close()
    pdftotext = shutil.which("pdftotext")
    if pdftotext is None:
        pytest.skip("no pdftotext to read the PDF with (Debian: apt-get install poppler-utils)")
    words = subprocess.run([pdftotext, "-layout", printed, "-"], capture_output=True, check=True).stdout.decode()
    assert cases.INTRUSION.title in words
    assert "Perilune case report" in words
    for finding in cases.FINDINGS:
        assert finding.rule_title in words
