"""The documentation's links lead somewhere: to a page, to a heading on it, to a file of the repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"(?m)^\[[^\]]+\]:\s+(\S+)")
_FENCE = re.compile(r"(?ms)^(```|~~~).*?^\1\s*$")
_CODE = re.compile(r"`+[^`]*`+")
_HEADING = re.compile(r"(?m)^#{1,6}\s+(.+?)\s*#*$")


def links(page: Path) -> Iterator[str]:
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    yield from _LINK.findall(text)
    yield from _REFERENCE.findall(text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names that a heading's link has at the usual hosts: small letters, spaces as dashes, no punctuation."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return frozenset(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings)


def dead(page: Path) -> list[str]:
    found = []
    for link in links(page):
        if re.match(r"(?i)[a-z][a-z0-9+.-]*:", link):
            continue  # another site's, which tests do not ask
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(CHECKOUT):
            found.append(f"{link}: there is no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            found.append(f"{link}: {target.name} has no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not dead(page)


def test_a_dead_link_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.CHECKOUT", tmp_path)
    (tmp_path / "there.md").write_text("# A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#a-heading-here) [b](gone.md) [c](there.md#gone) [d](https://example.org/x) `[e](no.md)`"
    )
    assert [one.partition(":")[0] for one in dead(page)] == ["gone.md", "there.md#gone"]


def index() -> str:
    """The page that leads to all others: each by its first heading, in the order of its folder."""
    lines = ["# Documentation", "", "Made by `python -m tests.test_docs`."]
    for folder, title in (("how-to", "How to"), ("reference", "Reference"), ("decisions", "Decisions"), ("", "Beside")):
        lines += ["", f"## {title}", ""]
        lines += [f"- [{_title(page)}]({page.relative_to(DOCS)})" for page in _pages(DOCS / folder)]
    return "\n".join(lines) + "\n"


def _pages(folder: Path) -> list[Path]:
    """The pages that the repository has; one that is being written beside is not linked yet."""
    listed = subprocess.run(["git", "ls-files", "--", "*.md"], cwd=folder, capture_output=True, text=True, check=True)
    return [folder / one for one in sorted(listed.stdout.split("\n")) if one and "/" not in one and one != "README.md"]


def _title(page: Path) -> str:
    return next(iter(_HEADING.findall(page.read_text(encoding="utf-8"))), page.stem)


def test_the_index_names_every_page() -> None:
    assert (DOCS / "README.md").read_text(encoding="utf-8") == index(), "run: python -m tests.test_docs"


if __name__ == "__main__":
    (DOCS / "README.md").write_text(index(), encoding="utf-8")
