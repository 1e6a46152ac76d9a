"""The functions that answer, by name, and what several of them look up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perilune.model.facts import Fact, Kind
from perilune.triage.known import Answered, Known

Answerer = Callable[[Known, Mapping[str, str]], Answered]
ANSWERERS: dict[str, Answerer] = {}


def answers(function: Answerer) -> Answerer:
    """Puts a function where content/questions finds it by its name."""
    ANSWERERS[function.__name__] = function
    return function


def own(known: Known, kind: Kind, *tags: str) -> list[Fact]:
    """The facts of a kind that the case's processes did, or may have done, with one of the tags."""
    found = [one for one in known.facts.of(kind) if one.own is not False]
    return [one for one in found if not tags or set(tags) & set(one.tags)]


def history(known: Known, name: str, tag: str) -> list[Fact]:
    """What a learned history says of this, for the interpreters that are asked about and no others of the case."""
    found = [one for one in known.facts.of(Kind.BASELINE) if one.name == name and tag in one.tags]
    return [one for one in found if known.topic.technique in one.tags or not any(map(_is_technique, one.tags))]


def _is_technique(tag: str) -> bool:
    return tag[:1] == "T" and tag[1:2].isdecimal()


def brought_programs(known: Known) -> list[Fact]:
    """Programs of the case whose files were written near it, by whomever, if not by a package manager."""
    return [one for one in known.facts.of(Kind.CHANGE) if "program" in one.tags]


def time_of_day(known: Known) -> str:
    """When the case began, and as whom it ran."""
    if known.facts.begin is None:
        return ""
    users = list(dict.fromkeys(f.user for f in known.mine if f.user))
    who = f" as {', '.join(users[:3])}" if users else ""
    return f"It ran from {known.facts.begin:%A %H:%M} UTC{who}."
