"""How `perilune analyze` shows Lua on a terminal. Everything of the sample passes `console.plain` exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from perilune.cli import console
from perilune.cli.analyze_lua import LuaPart
from perilune.cli.analyze_output import indicator_table, reason_line
from perilune.model.analysis import Layer
from perilune.model.lua import Form, LuaAnalysis, Obfuscation, Outcome, Run, Unit
from perilune.report import lua_listing, lua_text, lua_view
from perilune.report.lua_view import Behaviour, LuaView
from perilune.report.text import counted, severity_mark, severity_word, technique_name

SHOWN = 400  # characters of a layer
FEW, MANY = 12, 400  # lines of a section without and with --deep
INSTRUCTIONS = 60
MOST_INSTRUCTIONS = 4_000
OUTCOMES = {
    Outcome.EXPLAINED: "green", Outcome.PARTIAL: "yellow", Outcome.STALLED: "yellow", Outcome.TAMPERED: "red",
    Outcome.NOT_EXECUTED: "yellow",
}  # fmt: skip


def show(part: LuaPart, *, deep: bool) -> None:
    """One piece of Lua: what it is, what it does, what it points at, what is inside, and what was not seen."""
    found, view = part.found, lua_view.lay_out(part.found, signs=40 if deep else 3)
    if part.layer is not None:
        console.out.print()
    console.out.print(_head(part))
    console.out.print(_identity(found))
    _print_runs(part)
    _print_behaviours(view)
    _print_techniques(found)
    _print_score(found)
    if found.indicators:
        console.out.print()
        console.out.print(indicator_table(found.indicators))
    _print_timeline(found, MANY if deep else FEW)
    _print_inner(view, MANY if deep else FEW)
    for one in view.obfuscations:
        _print_obfuscation(one)
    if deep:
        _print_deep(view)
    for unit in view.compiled[: MANY if deep else 1]:
        _print_listing(unit, MOST_INSTRUCTIONS if deep else INSTRUCTIONS)
    _print_missing(view)


def _heading(title: str, count: int | None = None) -> None:
    console.out.print()
    counted = f" ({count:,})" if count is not None else ""
    console.out.print(Text(title + counted, style="bold underline"))


def _head(part: LuaPart) -> Text:
    found = part.found
    line = Text(f"{severity_mark(found.level)} {severity_word(found.level)}", style=console.STYLES[found.level])
    line.append(f"  score {found.score} of 100  ", style="bold")
    where = part.where if part.layer is None else f"{part.where} layer {part.layer}".strip()
    return line.append_text(console.plain(where, 200, "bold"))


def _identity(found: LuaAnalysis) -> Text:
    one = found.identity
    line = Text(lua_text.identity_words(one), style="bold" if one.form is not Form.NONE else "yellow")
    line.append(f"\n{counted(found.size, 'byte')}, SHA-256 {found.sha256}", style="dim")
    chunk = found.units[0].chunk
    if chunk is not None:
        words = f"{lua_text.header_words(chunk.header)}, {counted(len(chunk.prototypes), 'function')}"
        line.append(f"\n{words}", style="dim")
    if one.evidence:
        line.append("\nbecause of: ", style="dim")
        line.append_text(console.plain("; ".join(e.text for e in one.evidence[:6]), 400, "dim"))
    return line


def _print_runs(part: LuaPart) -> None:
    if not part.asked:
        console.out.print(Text("Not run: --no-exec was given. What follows was read.", style="yellow"))
    elif not part.found.runs:
        console.out.print(Text("Not run: there is nothing in it that could be run.", style="yellow"))
    for run in part.found.runs:
        console.out.print(_run_line(run, many=len(part.found.runs) > 1))


def _run_line(run: Run, *, many: bool) -> Text:
    trace = run.trace
    line = Text(f"Layer {run.of}: " if many else "")
    if trace.outcome is Outcome.NOT_EXECUTED:
        line.append("Not run: ", style="bold yellow").append_text(console.plain(trace.reason, 300))
        return line.append(". What follows was read.")
    line.append("Run in the cage: ").append(trace.outcome.value, style=f"bold {OUTCOMES[trace.outcome]}")
    if trace.reason:
        line.append(" (").append_text(console.plain(trace.reason, 300)).append(")")
    cost = f" in {counted(len(trace.passes), 'pass', 'passes')}, {sum(p.cpu_ms for p in trace.passes):.0f} ms"
    return line.append(f", {trace.dialect or 'Lua'}{cost}", style="dim")


def _print_behaviours(view: LuaView) -> None:
    _heading("What it does")
    if not view.behaviours:
        console.out.print(Text(lua_text.NOTHING_SEEN, style="yellow"))
    for one in view.behaviours:
        _print_behaviour(one)
    if view.also:
        console.out.print(Text("Also: ", style="dim").append_text(console.plain("; ".join(view.also), 500, "dim")))


def _print_behaviour(one: Behaviour) -> None:
    line = console.plain(one.sentence, 300, "bold")
    line.append("".join(f"  {technique}" for technique in one.capability.techniques), style="magenta")
    line.append(f"  {one.how}" * bool(one.how), style="dim")
    console.out.print(Padding(line, (0, 0, 0, 2), expand=False))
    for seen in one.seen:
        place = Text(f"{seen.place}: ", style="dim").append_text(console.plain(seen.text, 240, "not dim"))
        console.out.print(Padding(place, (0, 0, 0, 4), expand=False))
    if one.more:
        more = Text(f"and in {counted(one.more, 'more place')}", style="dim")
        console.out.print(Padding(more, (0, 0, 0, 4), expand=False))


def _print_techniques(found: LuaAnalysis) -> None:
    if found.techniques:
        _heading("ATT&CK techniques", len(found.techniques))
    for technique in found.techniques:
        console.out.print(Text(f"  {technique:<10}", style="magenta").append(technique_name(technique)))


def _print_score(found: LuaAnalysis) -> None:
    _heading(f"Why it scores {found.score}")
    for reason in found.reasons:
        console.out.print(reason_line(reason))


def _print_timeline(found: LuaAnalysis, most: int) -> None:
    events = [(run, event) for run in found.runs for event in run.trace.events]
    if not events:
        return
    _heading("What it did when it was run", len(events))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column()
    for _, event in events[:most]:
        words = lua_view.event_text(event)
        times = Text(f"  {event.times:,} times", style="dim") if event.times > 1 else Text()
        table.add_row(f"{event.at:.1f} ms", console.plain(words, 300).append_text(times))
    console.out.print(Padding(table, (0, 0, 0, 2), expand=False))
    _more(len(events) - most, "call")
    if found.decoys:
        listed = "; ".join(f"{value} ({stands_for})" for value, stands_for in found.decoys)
        console.out.print(Padding(console.plain(f"{lua_text.OURS}: {listed}", 600, "dim"), (0, 0, 0, 2), expand=False))


def _print_inner(view: LuaView, most: int) -> None:
    if not view.inner:
        return
    _heading("Code inside code", len(view.inner))
    for layer in view.inner[:most]:
        console.out.print(_layer(layer))
    _more(len(view.inner) - most, "layer")


def _layer(layer: Layer) -> Padding:
    line = Text(lua_text.layer_words(layer), style="cyan")
    if layer.note:
        line.append("  ").append_text(console.plain(layer.note, 160, "dim"))
    if layer.binary:
        line.append("\n" + layer.text[:24].encode("latin-1", "replace").hex(" ") + " …", style="dim")
    else:
        line.append("\n").append_text(console.plain(" ".join(layer.text.split()), SHOWN, "dim"))
    return Padding(line, (0, 0, 0, 2), expand=False)


def _print_obfuscation(one: Obfuscation) -> None:
    _heading("Hard to read")
    words = f"{one.name}, {one.confidence * 100:.0f} % certain, layer {one.layer}. {lua_text.NO_VERDICT}"
    console.out.print(Padding(console.plain(words, 300), (0, 0, 0, 2), expand=False))
    evidence = "; ".join(e.text for e in one.evidence)
    console.out.print(Padding(console.plain(f"because of: {evidence}", 400, "dim"), (0, 0, 0, 2), expand=False))


def _print_deep(view: LuaView) -> None:
    if view.calls:
        _heading("Calls of known functions, as read", len(view.calls))
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
        for place, call, how in view.calls[:MANY]:
            table.add_row(Text(place, style="dim"), console.plain(call, 300), Text(how, style="dim"))
        console.out.print(Padding(table, (0, 0, 0, 2), expand=False))
        _more(len(view.calls) - MANY, "call")
    if view.built:
        _heading("Strings that it builds", len(view.built))
        _lines(view.built[:MANY])
        _more(len(view.built) - MANY, "string")


def _lines(texts: Iterable[str]) -> None:
    for text in texts:
        console.out.print(Padding(console.plain(text, 300), (0, 0, 0, 2), expand=False))


def _print_listing(unit: Unit, most: int) -> None:
    assert unit.chunk is not None
    _heading(f"Disassembly of layer {unit.layer}", sum(len(p.code) for p in unit.chunk.prototypes))
    for line in lua_listing.listing(unit.chunk, most):
        console.out.print(
            console.plain(line, 200, "bold" if line.startswith("function") else ""), no_wrap=True, crop=True
        )


def _print_missing(view: LuaView) -> None:
    if view.missing:
        _heading("What was not seen")
        _lines(dict.fromkeys(view.missing))


def _more(left: int, noun: str) -> None:
    if left > 0:
        console.out.print(Text(f"  and {counted(left, 'more ' + noun)}; see --deep or --json", style="dim"))


__all__: Sequence[str] = ["show"]
