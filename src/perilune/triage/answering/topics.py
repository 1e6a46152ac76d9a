"""What a sub-technique's own questions use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perilune.model.answers import Confidence, Said
from perilune.model.facts import Fact, Kind, Source
from perilune.triage.answering.registry import answers
from perilune.triage.known import Answered, Known, unknown, weigh


@answers
def matches(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a command line or a script of the case fits a pattern. `needs`: the sources that would show it."""
    pattern = re.compile(given["pattern"], re.IGNORECASE)
    held = [
        Fact(Kind.RELATED, "match", f"{node.name}: {node.command_line[:160]}", "", node.event, node.time)
        for node in known.tree
        if node.event is not None and pattern.search(node.command_line[:20_000])
    ]
    tried: dict[tuple[str, str], re.Match[str] | None] = {}  # findings share their texts
    for finding in known.findings:
        script = str(finding.row.get("XScriptText") or "")
        own = finding.analysis.layers if finding.analysis else ()
        key = (own[0].text if own else "", script)  # the other layers follow from the first
        if key not in tried:
            layers = "\n".join(layer.text for layer in own)
            tried[key] = pattern.search(script[:20_000]) or pattern.search(layers[:20_000])
        if found := tried[key]:
            said = " ".join(found.string[max(0, found.start() - 20) : found.end() + 100].split())
            held.append(Fact(Kind.RELATED, "match", said[:160], "", finding.event, finding.time))
    needs = [Source[name] for name in given.get("needs", "PROCESSES").split()]
    nothing = given.get("nothing", "Nothing of the kind")
    if known.tree_cut:  # what was left out of the tree was not looked at
        nothing += f" among the {len(known.tree)} processes kept with the case ({known.tree_cut:,} were left out),"
    return weigh(known, _once(held), *needs, shows=given.get("shows", "Found"), nothing=nothing)


def _once(facts: Sequence[Fact]) -> list[Fact]:
    return list({(one.event, one.text): one for one in facts}.values())


@answers
def parents(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a process of the case's interpreter was started by a program whose name fits a pattern."""
    pattern = re.compile(given["pattern"], re.IGNORECASE)
    nodes = {node.key: node for node in known.tree}
    held: list[Fact] = []
    for node in known.tree:
        parent = nodes.get(node.parent or "")
        if (
            node.event is None
            or parent is None
            or not re.fullmatch(known.topic.programs, _base(node.name), re.IGNORECASE)
        ):
            continue
        if pattern.fullmatch(_base(parent.name)):
            held.append(Fact(Kind.CHILD, "parent", f"{parent.name} starts {node.name}", "", node.event, node.time))
    return weigh(
        known, held, Source.PROCESSES, shows=given.get("shows", "Yes"), nothing=given.get("nothing", "No such parent")
    )


def _base(name: str) -> str:
    return re.sub(r"\.exe$", "", name.lower())


@answers
def source_read(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a source was read for this host and time at all."""
    source = Source[given["source"]]
    if not known.facts.has(source):
        return unknown([source])
    return Answered(
        Said.YES,
        f"{known.facts.coverage[source].near:,} {source.value} of the host near the case were read.",
        Confidence.HIGH,
    )
