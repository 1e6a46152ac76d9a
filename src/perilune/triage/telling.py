"""A case in one sentence of plain words: who, started by whom, did what."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perilune.model.case import ProcessNode
from perilune.model.facts import Fact, Facts, Kind
from perilune.model.findings import Finding
from perilune.model.questions import Topic
from perilune.triage.known import listed

MOST_DEEDS = 5
SHOWN = 70  # characters of a value


def tell(findings: Sequence[Finding], tree: Sequence[ProcessNode], facts: Facts, topic: Topic) -> str:
    """The sentence, without a full stop's worth of doubt: the words say only what events show."""
    nodes = {node.key: node for node in tree}
    actor = actor_of(findings, tree, topic)
    deeds = [deed for deed in _deeds(facts, actor) if deed][:MOST_DEEDS]
    top = max(findings, key=lambda one: one.score)
    if not deeds:
        deeds = [f"matched the {top.level.word} rule “{top.rule_title[:120]}”"]
    parent = nodes.get(actor.parent or "") if actor else None
    by = f", started by {_name(parent)}," if parent is not None and _name(parent) else ""
    host = f" on {top.host}" if top.host else ""
    return f"{_name(actor) or 'A process'}{by} {listed(deeds)}{host}."


def actor_of(findings: Sequence[Finding], tree: Sequence[ProcessNode], topic: Topic) -> ProcessNode | None:
    """Whom a case is about: the first flagged run of the topic's interpreter, else the heaviest finding's process."""
    flagged = [node for node in tree if node.findings]
    for node in flagged:
        if re.fullmatch(topic.programs, re.sub(r"\.exe$", "", node.name.lower())):
            return node
    top = max(findings, key=lambda one: one.score)
    return next((node for node in flagged if top.id in node.findings), flagged[0] if flagged else None)


def _deeds(facts: Facts, actor: ProcessNode | None) -> list[str]:
    return [
        _ran(actor),
        _some(_own(facts, Kind.DOWNLOAD, "public", "listed"), "named or fetched"),
        _some(_own(facts, Kind.CONNECTION, "listed"), "connected to the listed address"),
        _some(_reached(facts), "connected to"),
        _names(_own(facts, Kind.PERSISTENCE), "planted"),
        _names(_own(facts, Kind.CREDENTIAL), "reached for"),
        "changed the host's protection or services" if _own(facts, Kind.CHANGE, "protection") else "",
        _names(_own(facts, Kind.PRIVILEGE), "used"),
        _children(facts),
    ]


def _own(facts: Facts, kind: Kind, *tags: str) -> list[Fact]:
    return [one for one in facts.of(kind) if one.own and (not tags or set(tags) & set(one.tags))]


def _reached(facts: Facts) -> list[Fact]:
    outside = _own(facts, Kind.CONNECTION, "public")
    return [one for one in outside if not {"listed", "inbound", "failed"} & set(one.tags) and one.name == "Connection"]


def _ran(actor: ProcessNode | None) -> str:
    """The file that the interpreter was given, where its command line names one."""
    if actor is None:
        return ""
    words = re.findall(r'"[^"]*"|\S+', actor.command_line)[1:8]
    for word in words:
        plain = word.strip("\"'")
        if re.search(r"\.\w{1,6}$", plain) and not plain.startswith(("-", "http")) and len(plain) < 200:
            return f"ran {_short(plain)}"
    return ""


def _some(found: Sequence[Fact], verb: str) -> str:
    values = list(dict.fromkeys(one.value for one in found if one.value))
    if not values:
        return ""
    more = f" and {len(values) - 2} more" if len(values) > 2 else ""
    return f"{verb} {', '.join(_short(value) for value in values[:2])}{more}"


def _names(found: Sequence[Fact], verb: str) -> str:
    names = list(dict.fromkeys(one.name for one in found))
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{verb} {', '.join(_lower(name) for name in names[:3])}{more}"


def _children(facts: Facts) -> str:
    odd = [one.text.split(" starts ", 1)[-1].split(":", 1)[0] for one in _own(facts, Kind.CHILD, "odd")]
    names = list(dict.fromkeys(odd))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"started {', '.join(names[:3])}{more}" if names else ""


def _lower(name: str) -> str:
    """A name inside a sentence: `Run key` keeps its capital only where it is no ordinary word."""
    return (
        name
        if name.split(" ")[0].isupper() or name.startswith(("Run", "SSH", "LSASS", "WMI", "PowerShell"))
        else name[0].lower() + name[1:]
    )


def _name(node: ProcessNode | None) -> str:
    return "" if node is None else _short(node.name or node.path)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN // 2]}…{plain[-SHOWN // 2 :]}"
