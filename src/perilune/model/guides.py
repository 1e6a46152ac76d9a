"""Investigation guides as data, and one rendered for a case."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """A KQL query that runs here and in Defender's advanced hunting."""

    title: str
    kql: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide. As content it holds `{placeholders}`; rendered, the case's own values stand in their places.

    happened    what the case shows, in paragraphs
    check       what to look at next
    contain     how to stop it
    """

    technique: str
    title: str
    happened: tuple[str, ...]
    check: tuple[str, ...]
    queries: tuple[Query, ...]
    contain: tuple[str, ...]
    references: tuple[str, ...]
