"""`perilune case merge | split | feedback | guide`: what people do with a case, and how to go on."""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from perilune.errors import UsageError

if TYPE_CHECKING:
    from perilune.model.case import Case
    from perilune.model.findings import Finding
    from perilune.model.guides import Guide
    from perilune.store.cases import CaseStore

SUPPRESSED_FOR = timedelta(days=90)  # proposed; a person may write another day


@click.command("merge", short_help="Make one case of several.")
@click.argument("case_id", metavar="CASE")
@click.argument("others", metavar="OTHERS...", nargs=-1, required=True)
@click.option("--note", default="", help="Why, kept with the case.")
@click.option("--json", "as_json", is_flag=True, help="Print the joined case as one JSON object.")
def merge(case_id: str, others: tuple[str, ...], note: str, as_json: bool) -> None:
    """Put the findings of OTHERS into CASE, score and answer it anew, and close the others.

    Hunts over the same logs keep them together. Nothing is deleted: each case's record keeps what it was.
    """
    from perilune import casework

    store = _store()
    try:
        cases = [store.load(one) for one in dict.fromkeys((case_id, *others))]
        if len(cases) < 2:
            raise UsageError("a case cannot be merged with itself", hint="name at least one other case")
        joined = casework.join(cases, store.feedback())
        done = store.join(joined, [one.id for one in cases[1:]], at=datetime.now(UTC), who=_who(), note=note)
    finally:
        store.close()
    _say(done, as_json, f"{', '.join(one.id for one in cases[1:])} went into {done.id}: {_line(done)}")


@click.command("split", short_help="Take findings out of a case.")
@click.argument("case_id", metavar="CASE")
@click.argument("findings", metavar="FINDINGS...", nargs=-1, required=True)
@click.option("--note", default="", help="Why, kept with both cases.")
@click.option("--json", "as_json", is_flag=True, help="Print the new case as one JSON object.")
def split(case_id: str, findings: tuple[str, ...], note: str, as_json: bool) -> None:
    """Make a case of its own of some of CASE's findings: ids, host names, or rules (id or title).

    Hunts over the same logs keep them apart.
    """
    from perilune import casework

    store = _store()
    try:
        found = store.load(case_id)
        ids = _chosen(found, findings)
        rest, taken = casework.part(found, ids, store.feedback())
        rest, taken = store.part(rest, taken, at=datetime.now(UTC), who=_who(), note=note)
    finally:
        store.close()
    _say(taken, as_json, f"{len(ids)} of {len(found.findings)} findings went into {taken.id}: {_line(taken)}")


@click.command("feedback", short_help="Say whether a case was real.")
@click.argument("case_id", metavar="CASE")
@click.argument("verdict", type=click.Choice(["true", "false"]))
@click.option("--note", default="", help="Why, kept with the case.")
@click.option("--suppress", is_flag=True, help="For a false one: print a suppression to read, narrow and keep.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The suppression's last day.  [default: 90 days on]")
def feedback(case_id: str, verdict: str, note: str, suppress: bool, until: datetime | None) -> None:
    """Say that CASE was a true or a false positive. Later hunts show it with the score of the same rules.

    The word is added to the case's record and never changed; of several, the last counts.
    """
    if suppress and verdict == "true":
        raise UsageError("a true positive is not suppressed", hint="leave --suppress out")
    store = _store()
    try:
        found = store.load(case_id)
        rules = list(dict.fromkeys(finding.rule_id for finding in found.findings))
        body = {"true": verdict == "true", "rules": rules, "note": note}
        store.append(case_id, "feedback", body, at=datetime.now(UTC), who=_who())
    finally:
        store.close()
    click.echo(f"{found.id} is noted as a {verdict} positive of {len(rules)} rules.", err=True)
    if suppress:
        _propose(found, note, until.date() if until else datetime.now(UTC).date() + SUPPRESSED_FOR)


@click.command("guide", short_help="How to go on with a case.")
@click.argument("case_id", metavar="CASE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with `guide`.")
def guide(case_id: str, as_json: bool) -> None:
    """The guide of CASE's technique with the case's own values: what to check, queries to run, how to contain."""
    from perilune.cli import output
    from perilune.cli.output_answers import guide_object
    from perilune.triage import guides

    store = _store()
    try:
        found = store.load(case_id)
    finally:
        store.close()
    if not found.findings:
        raise UsageError(
            f"{found.id} holds no finding", hint="it was merged into another case; see `perilune case show`"
        )
    rendered = guides.render(found)
    if as_json:
        click.echo(output.dump({"guide": guide_object(rendered)}))
    else:
        _print(rendered)


def _print(rendered: Guide) -> None:
    from rich.text import Text

    from perilune.cli.console import out, plain

    out.print(plain(rendered.title, 300, "bold"))
    for text in rendered.happened:
        out.print(plain(text, 3000))
    for heading, texts in (("What to check", rendered.check), ("How to contain", rendered.contain)):
        out.print(Text(f"\n{heading}", "bold"))
        for text in texts:
            out.print(Text("  - ").append_text(plain(text, 3000)))
    out.print(Text("\nQueries, for `perilune kql` and Defender's advanced hunting", "bold"))
    for query in rendered.queries:
        out.print(Text("\n  // ").append_text(plain(query.title, 300)), style="dim")
        for line in query.kql.split("\n"):
            out.print(Text("  ").append_text(plain(line, 10_000)), soft_wrap=True)
    for reference in rendered.references:
        out.print(plain(reference, 300, "dim"))


def _chosen(found: Case, wanted: tuple[str, ...]) -> set[str]:
    """The ids of the findings that the words name; each must name some, and some must stay."""
    chosen: set[str] = set()
    for word in wanted:
        named = {finding.id for finding in found.findings if word.lower() in _names(finding)}
        if not named:
            raise UsageError(
                f"{found.id} has no finding {word!r}", hint="`perilune case show --json` lists ids, rules and hosts"
            )
        chosen |= named
    if len(chosen) == len(found.findings):
        raise UsageError("nothing would be left of the case", hint="name fewer findings")
    return chosen


def _names(finding: Finding) -> set[str]:
    return {finding.id, finding.host.lower(), finding.rule_id.lower(), finding.rule_title.lower()}


def _propose(found: Case, note: str, expires: date) -> None:
    from perilune import settings
    from perilune.triage.suppression import propose

    top = max(found.findings, key=lambda finding: finding.score)
    folder = settings.load().content / "suppressions"
    click.echo(f"# Read it, narrow it (* stands for anything), and keep it as {folder}/NAME.yml")
    click.echo(propose(top, owner=_who(), reason=note or "say why it is harmless", expires=expires))


def _say(case: Case, as_json: bool, line: str) -> None:
    from perilune.cli import output
    from perilune.report.text import visible

    if as_json:
        click.echo(output.dump({"case": output.case_object(case, whole=True)}))
    else:
        click.echo(visible(line))


def _line(case: Case) -> str:
    return f"{case.level.word} {case.score}, {len(case.findings)} findings, {case.title}"


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return "unknown"


def _store() -> CaseStore:
    from perilune import settings
    from perilune.store.cases import CaseStore

    return CaseStore(settings.load().store_url)
