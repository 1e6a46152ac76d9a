"""Guides rendered with a case's own values.

A placeholder is a name in braces. In prose its value is text as it stood in the log, which the door of whatever prints
it makes harmless; in a query it is always a KQL literal, so that no value can become a part of the query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

import yaml

from perilune.errors import ContentError
from perilune.model.case import Case, ProcessNode
from perilune.model.facts import Fact, Kind
from perilune.model.guides import Guide, Query
from perilune.model.questions import Topic
from perilune.triage import questions
from perilune.triage.telling import actor_of

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
AROUND = timedelta(hours=24)  # that a query looks around the case
MOST = 10  # values of one placeholder
SHOWN = 300  # characters of one value in prose
NOTHING = "none seen"

Value = str | datetime | Sequence[str]


@cache
def guides() -> Mapping[str, Guide]:
    """The guides by technique; each holds the common queries and steps after its own."""
    folder = files("perilune") / "content" / "guides"
    common = _guide(_content("common.yml"), "common.yml")
    found: dict[str, Guide] = {}
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.name.startswith("t1059") and one.name.endswith(".yml"):
            own = _guide(_content(one.name), one.name)
            found[own.technique] = _joined(own, common)
    return found


def render(case: Case) -> Guide:
    """The guide of the case's first technique, with its values."""
    topic = questions.topics_of(case.findings)[0]
    guide = guides()[topic.technique]
    values = values_of(case, topic)
    said = _filler(values, _prose)
    return Guide(
        technique=guide.technique,
        title=said(guide.title),
        happened=tuple(map(said, guide.happened)),
        check=tuple(map(said, guide.check)),
        queries=tuple(
            Query(said(q.title), _filler(values, _literal)(q.kql)) for q in guide.queries if _has_values(q, values)
        ),
        contain=tuple(map(said, guide.contain)),
        references=guide.references,
    )


def _has_values(query: Query, values: Mapping[str, Value]) -> bool:
    """Whether the case has something to ask for: a query for no address would find nothing and prove nothing."""
    return all(values[name] for name in PLACEHOLDER.findall(query.kql))


def values_of(case: Case, topic: Topic) -> dict[str, Value]:
    """What may stand in a guide. A text, a time, or a list of texts."""
    facts = case.facts
    actor = actor_of(case.findings, case.tree, topic)
    begin, end = case.first, case.last or case.first
    return {
        "name": topic.name,
        "programs": rf"^(?:{topic.programs})(\.exe)?$",
        "sentence": case.verdict.sentence if case.verdict else case.title,
        "host": case.host,
        "hosts": list(case.hosts or (case.host,)),
        "users": [user.rpartition("\\")[2] for user in case.users],
        "accounts": list(case.users),
        "process": (actor.path or actor.name) if actor else "",
        "command": actor.command_line if actor else "",
        "parent": _parent(case.tree, actor),
        "rules": list(dict.fromkeys(finding.rule_title for finding in case.findings)),
        "addresses": _values(facts.of(Kind.CONNECTION), "public", "listed"),
        "urls": _values(facts.of(Kind.DOWNLOAD), "public", "listed"),
        "hashes": _hashes(case),
        "files": _values([f for f in facts.of(Kind.DOWNLOAD) if f.own is not False], "written", "origin"),
        "persistence": [one.value or one.text for one in facts.of(Kind.PERSISTENCE) if one.own is not False],
        "credentials": [one.text for one in facts.of(Kind.CREDENTIAL) if one.own is not False],
        "first": f"{begin:%Y-%m-%d %H:%M:%S} UTC" if begin else "",
        "last": f"{end:%Y-%m-%d %H:%M:%S} UTC" if end else "",
        "from": begin - AROUND if begin else datetime(2000, 1, 1),
        "to": end + AROUND if end else datetime(2100, 1, 1),
    }


def _parent(tree: Sequence[ProcessNode], actor: ProcessNode | None) -> str:
    if actor is None:
        return ""
    return next((node.path or node.name for node in tree if node.key == actor.parent), "")


def _values(facts: Sequence[Fact], *tags: str) -> list[str]:
    return list(dict.fromkeys(one.value for one in facts if one.value and set(tags) & set(one.tags)))


def _hashes(case: Case) -> list[str]:
    columns = ("SHA256", "InitiatingProcessSHA256")
    return list(dict.fromkeys(str(f.row[c]) for f in case.findings for c in columns if f.row.get(c)))


def _filler(values: Mapping[str, Value], write: Callable[[Value], str]) -> Callable[[str], str]:
    def fill(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: write(values[match.group(1)]), text)

    return fill


def _prose(value: Value) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, str):
        return _short(value) or NOTHING
    more = f" and {len(value) - MOST} more" if len(value) > MOST else ""
    return ", ".join(_short(one) for one in value[:MOST]) + more if value else NOTHING


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"


def _literal(value: Value) -> str:
    """A KQL literal: a time, a string, or a dynamic array of strings."""
    if isinstance(value, datetime):
        return f"datetime({value:%Y-%m-%dT%H:%M:%SZ})"
    if isinstance(value, str):
        return _string(value)
    return f"dynamic([{', '.join(_string(one) for one in value[:MOST])}])"


def _string(text: str) -> str:
    """A double-quoted KQL string: JSON's escapes are a part of KQL's. Control characters become U+FFFD."""
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return json.dumps(plain, ensure_ascii=False)


def _joined(own: Guide, common: Guide) -> Guide:
    return Guide(
        own.technique,
        own.title,
        (*common.happened, *own.happened),
        (*own.check, *common.check),
        (*own.queries, *common.queries),
        (*own.contain, *common.contain),
        own.references,
    )


def _content(name: str) -> Mapping[str, object]:
    text = (files("perilune") / "content" / "guides" / name).read_text(encoding="utf-8")
    found = yaml.load(text, Loader=yaml.CSafeLoader)
    if not isinstance(found, dict):
        raise ContentError("a guide is keys and values", where=name)
    return found


def _guide(content: Mapping[str, object], where: str) -> Guide:
    known = {"technique", "title", "happened", "check", "queries", "contain", "references"}
    if unknown := set(content) - known:
        raise ContentError(f"unknown key {min(unknown)!r}", where=where)
    queries = content.get("queries") or []
    return Guide(
        technique=str(content.get("technique", "")),
        title=str(content.get("title", "")),
        happened=_texts(content, "happened"),
        check=_texts(content, "check"),
        queries=tuple(Query(str(one["title"]), str(one["kql"]).strip()) for one in queries),  # type: ignore[attr-defined]
        contain=_texts(content, "contain"),
        references=_texts(content, "references"),
    )


def _texts(content: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = content.get(name) or []
    return tuple(" ".join(str(one).split()) for one in found) if isinstance(found, list) else ()
