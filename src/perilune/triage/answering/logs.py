"""What applications' logs and the use of resources say."""

from __future__ import annotations

from collections.abc import Mapping

from perilune.model.answers import Confidence
from perilune.model.facts import Kind, Source
from perilune.triage.answering.registry import answers, history
from perilune.triage.known import Answered, Known, no, told, unknown, weigh, yes


@answers
def script_errors(known: Known, given: Mapping[str, str]) -> Answered:
    return weigh(
        known,
        known.facts.of(Kind.ERROR),
        Source.APPLICATION,
        shows="They hold errors of scripts",
        nothing="No error of a script",
    )


@answers
def accusing_errors(known: Known, given: Mapping[str, str]) -> Answered:
    """Errors of code that was built at run time, or errors followed by a finding, speak of an attack."""
    errors = known.facts.of(Kind.ERROR)
    dynamic = [one for one in errors if "dynamic" in one.tags]
    if dynamic:
        return yes(f"Code built at run time failed: {told(dynamic)}.", dynamic, sure=Confidence.MEDIUM)
    if errors:
        return yes(f"Scripts failed near the findings: {told(errors)}.", errors, sure=Confidence.LOW)
    return weigh(known, (), Source.APPLICATION, shows="", nothing="No error of a script")


@answers
def resource_usage(known: Known, given: Mapping[str, str]) -> Answered:
    if found := history(known, "resources", "unusual"):
        return yes(f"More than usual: {told(found)}.", found)
    if known.facts.has(Source.RESOURCES):
        return no("The figures of these processes lie within what the history knows.")
    return unknown([Source.RESOURCES])
