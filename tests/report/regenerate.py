"""Writes the golden reports anew: `python -m tests.report.regenerate`. Review them as a diff."""

from __future__ import annotations

from pathlib import Path

from perilune.report import html, markdown
from tests.report import cases

GOLDEN = Path(__file__).parent / "golden"


def reports() -> dict[str, str]:
    """Each golden file's name and what it must hold."""
    given = {"generated": cases.GENERATED, "version": cases.VERSION}
    return {
        "intrusion.html": html.render(cases.INTRUSION, **given, sources=cases.SOURCES, explained=cases.EXPLAINED),
        "intrusion.md": markdown.render(cases.INTRUSION, **given, sources=cases.SOURCES, explained=cases.EXPLAINED),
        "empty.html": html.render(cases.EMPTY, **given),
        "empty.md": markdown.render(cases.EMPTY, **given),
    }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in reports().items():
        (GOLDEN / name).write_text(text, "utf-8")
        print(f"{name}: {len(text):,} characters")
