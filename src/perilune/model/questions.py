"""The runbook's questions as data, and the interpreters that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perilune.model.answers import Part, Said


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    answer   the name of the function that answers it
    given    what that function is given besides what is known
    source   the runbook's own words, where they are another's than ours
    accuses  which answer speaks for abuse, if any
    """

    id: str
    part: Part
    text: str
    answer: str
    source: str = ""
    accuses: Said | None = None
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic:
    """A sub-technique: what its interpreters are called, and what is asked of it besides the common questions.

    programs  a regular expression for the base names, without `.exe`, of its interpreters
    scripts   the same for the file names of its scripts
    """

    technique: str
    name: str
    programs: str
    scripts: str
    questions: tuple[Question, ...] = ()
