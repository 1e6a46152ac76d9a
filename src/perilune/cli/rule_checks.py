"""What `perilune rules lint|test|coverage` do and print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from perilune import __version__, correlating
from perilune.cli import console, output
from perilune.detection import attack, linking, oracle, proofs, sigma, stories
from perilune.detection import lint as linting
from perilune.detection.coverage import Covered, cover
from perilune.detection.files import find_files
from perilune.detection.lints import LINTS
from perilune.errors import RuleError, UsageError
from perilune.model.rules import Role, Rule, RuleSet
from perilune.readers import mappings

LEVELS = ("critical", "high", "medium", "low", "informational")
_PACK = ("sigma", "known_hosts")
_TRIED = (*_PACK, "correlations")
# Readers fill these themselves: the place of a record, and what they work out from other records.
_BY_READERS = "XSourceFile XSourceRecord XSourceFormat XUtcOffset XPartsSeen XPartsTotal XParts".split()
_DERIVED = {
    "XScriptEvents": "ActionType XScriptText XScriptLanguage FolderPath FileName FileSize SHA256 XScriptId",
    "DeviceProcessEvents": "XInitiatingProcessParentFolderPath XInitiatingProcessParentCommandLine",
}

_SHORT = {"informational": "Info", "medium": "Med.", "critical": "Crit."}


def packaged(names: Iterable[str] = _PACK) -> list[Path]:
    """The folders of the pack that hold rules with events beside them."""
    with as_file(files("perilune") / "content") as content:
        return [Path(content) / name for name in names]


def filled() -> linting.Filled:
    """By table, the columns that a mapping or a reader fills."""
    found: dict[str, set[str]] = defaultdict(lambda: set(_BY_READERS))
    for one in mappings.packaged().by_kind.values():
        found[one.table] |= {column.name for column in one.columns} | one.constants.keys() | {"AdditionalFields"}
        if one.as_is:
            found[one.table] |= _all_columns(one.table)
    for table, names in _DERIVED.items():
        found[table] |= set(names.split())
    return {table: frozenset(columns) for table, columns in found.items()}


def _all_columns(table: str) -> frozenset[str]:
    """What a record may bring that is named as the columns are: all that Defender has."""
    from perilune.model.tables import TABLES

    return frozenset(name for name in TABLES[table].columns if not name.startswith("X"))


def lint(paths: Sequence[Path], *, house: bool, exclude: Iterable[str] = ()) -> linting.Report:
    """Every fault of the rules at the paths, or of the pack."""
    ids = {one.id for one in LINTS}
    unknown = sorted(set(exclude) - ids)
    if unknown:
        raise UsageError(f"there is no check {', '.join(unknown)}", hint=f"there are {', '.join(sorted(ids))}")
    chosen = [one for one in LINTS if (house or not one.house) and one.id not in set(exclude)]
    known = linting.Surroundings(attack.packaged().names, filled())
    return linting.check(paths or packaged(_TRIED), known, chosen)


def print_faults(found: linting.Report) -> None:
    """Each fault with its place, and what to do once for each check."""
    hints: dict[str, str] = {}
    for fault in found.faults:
        click.echo(console.plain(f"{fault.where}: {fault.lint}: {fault.what}", 1000).plain)
        hints[fault.lint] = fault.hint
    if hints:
        click.echo("\nWhat to do:")
    for name, hint in hints.items():
        click.echo(f"  {name}: {hint}")
    click.echo(f"{found.rules:,} rules, {len(found.faults):,} faults", err=True)


def lint_object(found: linting.Report) -> output.Plain:
    faults = [{"lint": one.lint, "where": one.where, "what": one.what, "hint": one.hint} for one in found.faults]
    return {"rules": found.rules, "faults": faults}


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules did on the events beside them. `faults` are rules that could not be tried, with the reason."""

    outcomes: tuple[tuple[Rule, proofs.Outcome], ...]
    faults: tuple[tuple[str, str], ...]
    rules: int

    @property
    def passed(self) -> bool:
        return not self.faults and all(outcome.right for _, outcome in self.outcomes)


def try_out(paths: Sequence[Path]) -> Trial:
    """Each rule at the paths, or of the pack, on the events beside it."""
    outcomes: list[tuple[Rule, proofs.Outcome]] = []
    faults: list[tuple[str, str]] = []
    rules = 0
    for file in find_files(paths or packaged(_TRIED)):
        found = linking.link(sigma.of_files([file]))
        rules += len(found.rules)
        faults += [(refusal.source, f"cannot be evaluated: {refusal.reason}") for refusal in found.refused]
        try:
            outcomes += _on_its_events(found, Path(file.origin))
        except RuleError as error:
            faults.append((error.where or file.origin, error.what))
    return Trial(tuple(outcomes), tuple(faults), rules)


def _on_its_events(found: RuleSet, path: Path) -> list[tuple[Rule, proofs.Outcome]]:
    if not found.rules:
        return []
    events = proofs.beside(path)
    if not events.is_file():
        raise RuleError(f"no events beside it: write {events.name}", where=str(path))
    if any(map(linking.is_correlation, found.rules)):
        return _on_its_cases(found, events)
    if len(found.rules) > 1:
        raise RuleError("several rules in one file: events belong to one rule", where=str(path))
    return [(found.rules[0], outcome) for outcome in proofs.try_out(found.rules[0], proofs.load(events))]


def _on_its_cases(found: RuleSet, path: Path) -> list[tuple[Rule, proofs.Outcome]]:
    """A correlation is tried on whole cases, with the rules that stand in its file."""
    (one, *more) = [rule for rule in found.rules if linking.is_correlation(rule) and rule.role is Role.DETECTION]
    if more:
        raise RuleError("several correlations in one file: cases belong to one", where=str(path))
    tried = []
    for story in stories.load(path):
        held = any(finding.rule_id == one.id for finding in correlating.try_out(found, story.rows))
        event = proofs.Event(story.kind, story.number, "", {}, story.where)
        outcome = proofs.Outcome(event, held)
        why = oracle.Explanation(f"{len(story.rows):,} events; `rules explain` shows windows on a log", held)
        tried.append(
            (one, outcome if outcome.right else proofs.Outcome(event, held, oracle.Explanation("", held, None, (why,))))
        )
    return tried


def print_trial(found: Trial) -> None:
    """What went wrong, each with its explanation, and the count."""
    for where, what in found.faults:
        click.echo(console.plain(f"{where}: {what}", 1000).plain)
    for rule, outcome in found.outcomes:
        if outcome.why is not None:
            console.out.print(_wrong(rule, outcome))
    wrong = sum(not outcome.right for _, outcome in found.outcomes)
    told = f"{found.rules:,} rules, {len(found.outcomes):,} events, {wrong:,} wrong, {len(found.faults):,} not tried"
    click.echo(told, err=True)


def _wrong(rule: Rule, outcome: proofs.Outcome) -> Tree:
    event = outcome.event
    did = "is hit but must not be" if outcome.held else "is not hit but must be"
    root = Tree(console.plain(f"{event.where}: {rule.title}: {event.kind} {event.number} {did}", 400, "bold red"))
    for part in outcome.why.parts if outcome.why is not None else ():
        console.branch(root, part)
    return root


def trial_object(found: Trial) -> output.Plain:
    return {
        "rules": found.rules,
        "outcomes": [
            {
                "rule_id": rule.id,
                "rule_title": rule.title,
                "where": outcome.event.where,
                "kind": outcome.event.kind,
                "number": outcome.event.number,
                "held": outcome.held,
                "right": outcome.right,
            }
            for rule, outcome in found.outcomes
        ],
        "faults": [{"where": where, "what": what} for where, what in found.faults],
    }


def covered(rules: Iterable[Rule]) -> tuple[Covered, ...]:
    return cover(rules, attack.packaged().names)


def coverage_table(rows: Sequence[Covered], *, by_source: bool = False) -> Table:
    """One row per sub-technique; below its name, where its rules look."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Technique", no_wrap=True)
    table.add_column("Name, and the log sources" if by_source else "Name, and the tables")
    for name in ("Rules", *(_SHORT.get(level, level.capitalize()) for level in LEVELS)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        counts = [str(row.levels.get(level, 0) or "") for level in LEVELS]
        where = _counted(row.sources if by_source else row.tables)
        about = Text.assemble(row.name, (f"\n{where}", "dim")) if where else Text(row.name)
        table.add_row(row.technique, about, str(row.rules), *counts)
    return table


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number}" for name, number in ordered if name)


def coverage_object(rows: Sequence[Covered]) -> output.Plain:
    return {
        "attack": attack.packaged().version,
        "techniques": [
            {
                "technique": row.technique,
                "name": row.name,
                "rules": row.rules,
                "guided": row.guided,
                "levels": dict(row.levels),
                "tables": dict(row.tables),
                "logsources": dict(row.sources),
                "titles": list(row.titles),
            }
            for row in rows
        ],
    }


def navigator_layer(rules: Iterable[Rule]) -> str:
    """The text of a Navigator layer."""
    from perilune.report import navigator

    known = attack.packaged()
    by = f"Perilune {__version__}"
    made = navigator.layer(rules, known.names, known.version, name="Perilune: rules for T1059", by=by)
    return output.dump(made).decode() + "\n"
