"""How `perilune analyze` shows an analysis: a tree for people, one JSON object for programs.

Everything of the analysed text goes through `visible` exactly once, in `console.plain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from perilune import __version__
from perilune.cli import console
from perilune.cli.analyze_lua import LuaPart
from perilune.model.analysis import Analysis, Capability, Command, Indicator, Layer, LayerState, Listing, Weighed
from perilune.report.text import severity_mark, severity_word, shorten

SHOWN = 600  # characters of one layer
MOST_COMMANDS = 40
MOST_LINES = 200

Plain = dict[str, object]


def show(where: str, found: Analysis) -> None:
    """One analysis: score with reasons, then layers, commands, capabilities and indicators."""
    console.out.print(_head(where, found))
    for reason in found.reasons:
        console.out.print(reason_line(reason))
    console.out.print()
    console.out.print(_layers(found))
    if found.commands:
        console.out.print(_commands(found))
    if found.capabilities:
        console.out.print(_capabilities(found.capabilities))
    if found.indicators:
        console.out.print(indicator_table(found.indicators))
    for cut in found.cut:
        console.out.print(console.plain(f"Not looked at: {cut}", 400, "yellow"))


def show_many(found: Sequence[tuple[str, Analysis]]) -> None:
    """One line for each, the highest score first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Severity", "Score", "Where", "What it can do", "Command line"):
        table.add_column(name, no_wrap=name in ("Severity", "Score"))
    ordered = sorted(found, key=lambda one: -one[1].score)
    for where, one in ordered[:MOST_LINES]:
        titles = ", ".join(c.title for c in one.capabilities if c.weight > 0) or "–"
        table.add_row(
            console.severity(one.level), str(one.score), console.plain(where, 60), titles, console.plain(one.text, 160)
        )
    console.out.print(table)
    if len(ordered) > MOST_LINES:
        console.out.print(f"{len(ordered) - MOST_LINES:,} more lines, all with a lower score; see --json", style="dim")


def _head(where: str, found: Analysis) -> Text:
    line = Text(f"{severity_mark(found.level)} {severity_word(found.level)}", style=console.STYLES[found.level])
    line.append(f"  score {found.score} of 100", style="bold")
    if found.techniques:
        line.append(f"  {' '.join(found.techniques[:8])}", style="dim")
    return line.append("  ").append_text(console.plain(where, 200, "dim")) if where else line


def reason_line(reason: Weighed) -> Text:
    return Text(f"  {reason.odds:+5.1f}  ", style="dim" if reason.odds < 0 else "").append(reason.text)


def _layers(found: Analysis) -> Tree:
    root = Tree(Text("Layers", style="bold underline"))
    branches: dict[int, Tree] = {}
    for layer in found.layers:
        parent = root if layer.parent is None else branches[layer.parent]
        branches[layer.number] = parent.add(_layer(layer))
    return root


def _layer(layer: Layer) -> Text:
    line = Text(f"{layer.number} {layer.kind}", style="bold cyan")
    if layer.parent is not None:
        line.append(f"  at {layer.start}–{layer.end}", style="dim")
    if layer.language:
        line.append(f"  {layer.language}", style="dim")
    if layer.state is not LayerState.WHOLE:
        line.append(f"  {layer.state}", style="yellow")
    if layer.note:
        line.append("  ").append_text(console.plain(layer.note, 200, "dim"))
    if layer.binary:
        return line.append(f"\n{len(layer.text):,} bytes: {layer.text[:24].encode('latin-1', 'replace').hex(' ')} …")
    return line.append("\n").append_text(console.plain(layer.text, SHOWN))


def _commands(found: Analysis) -> Tree:
    root = Tree(Text("Commands", style="bold underline"))
    left = [MOST_COMMANDS]
    for command in found.commands:
        _command(root, command, left)
    if left[0] <= 0:
        root.add(Text("and more; see --json", style="dim"))
    return root


def _command(tree: Tree, command: Command, left: list[int]) -> None:
    if left[0] <= 0:
        return
    left[0] -= 1
    line = console.plain(command.image, 120, "bold")
    if command.interpreter:
        line.append(f" [{command.interpreter} {command.technique}]", style="magenta")
    line.append(" ").append_text(console.plain(shorten(" ".join(command.arguments), 160), 200, "dim"))
    if command.by != "given":
        line.append("  ← ", style="dim").append_text(console.plain(command.by, 40, "dim"))
    branch = tree.add(line)
    for inner in command.inner:
        _command(branch, inner, left)


def _capabilities(capabilities: Iterable[Capability]) -> Tree:
    root = Tree(Text("What it can do", style="bold underline"))
    for one in capabilities:
        line = Text(one.title, style="bold" if one.weight > 0 else "green")
        branch = root.add(line.append(f"  {one.family}  {' '.join(one.techniques)}", style="dim"))
        for sign in one.signs:
            branch.add(
                Text(f"layer {sign.layer} at {sign.start}: ", style="dim").append_text(console.plain(sign.text, 160))
            )
    return root


def indicator_table(indicators: Sequence[Indicator]) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title="Indicators",
        title_justify="left",
        title_style="bold underline",
    )
    listed = any(one.listings for one in indicators)  # a column that is always empty takes room from the values
    for name in ("Kind", "Value", "Layer", "Scope", *(["Lists"] if listed else [])):
        table.add_column(name, no_wrap=name != "Value", overflow="fold")
    for one in indicators[:MOST_LINES]:
        cells = [one.kind.value, console.plain(one.value, 300), f"{one.layer} at {one.start}", one.scope.value]
        table.add_row(*cells, *([_listed(one.listings)] if listed else []))
    return table


def _listed(listings: Sequence[Listing]) -> Text:
    words = []
    for one in listings:
        age = f", {one.age_days} days old" if one.age_days is not None else ""
        words.append(f"{'known benign' if one.benign else 'listed'}: {one.list} ({one.entry}{age})")
    return console.plain("; ".join(words), 300, "green" if all(one.benign for one in listings) else "red")


# --- JSON: docs/reference/analysis.md and content/schemas/analyze.schema.json -----------------------------------------


def dump(found: Sequence[tuple[str, Analysis]], parts: Sequence[LuaPart] = ()) -> bytes:
    from perilune.cli import output
    from perilune.cli.analyze_lua_json import lua_object

    analyses = [analysis_object(one, where) for where, one in found]
    return output.dump({"perilune": __version__, "analyses": analyses, "lua": [lua_object(part) for part in parts]})


def analysis_object(found: Analysis, where: str = "") -> Plain:
    """An analysis as JSON; spans are [start, end] in characters of the named layer's text."""
    return {
        "where": where,
        "score": found.score,
        "severity": found.level.word,
        "techniques": list(found.techniques),
        "reasons": [{"odds": r.odds, "text": r.text, "capability": r.capability or None} for r in found.reasons],
        "layers": [layer_object(layer) for layer in found.layers],
        "commands": [_command_object(command) for command in found.commands],
        "capabilities": [capability_object(one) for one in found.capabilities],
        "indicators": [indicator_object(one) for one in found.indicators],
        "not_looked_at": list(found.cut),
        "work": found.work,
    }


def layer_object(layer: Layer) -> Plain:
    return {
        "number": layer.number,
        "kind": layer.kind,
        "parent": layer.parent,
        "span": [layer.start, layer.end],
        "language": layer.language or None,
        "state": layer.state.value,
        "note": layer.note or None,
        "binary": layer.binary,
        "text": scalars(layer.text),
    }


def scalars(text: str) -> str:
    """JSON has no lone surrogates, which a damaged text may hold."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _command_object(command: Command) -> Plain:
    return {
        "image": scalars(command.image),
        "interpreter": command.interpreter or None,
        "technique": command.technique or None,
        "arguments": [scalars(one) for one in command.arguments],
        "by": command.by,
        "layer": command.layer,
        "span": [command.start, command.end],
        "code": command.code,
        "inner": [_command_object(one) for one in command.inner],
    }


def capability_object(one: Capability) -> Plain:
    return {
        "id": one.id,
        "title": one.title,
        "family": one.family,
        "techniques": list(one.techniques),
        "weight": one.weight,
        "why": one.why,
        "signs": [
            {"test": s.test, "layer": s.layer, "span": [s.start, s.end], "text": scalars(s.text)} for s in one.signs
        ],
    }


def indicator_object(one: Indicator) -> Plain:
    return {
        "kind": one.kind.value,
        "value": scalars(one.value),
        "layer": one.layer,
        "span": [one.start, one.end],
        "defanged": one.defanged,
        "scope": one.scope.value or None,
        "parent": scalars(one.parent) or None,
        "listings": [
            {
                "list": listing.list,
                "entry": listing.entry,
                "benign": listing.benign,
                "since": listing.since.isoformat() if listing.since else None,
                "age_days": listing.age_days,
                "note": listing.note or None,
            }
            for listing in one.listings
        ],
    }
