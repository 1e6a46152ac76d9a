"""All checks of rules, in the order in which they are reported."""

from __future__ import annotations

from perilune.detection import lints_attributes as attributes
from perilune.detection import lints_detection as detection
from perilune.detection.lint import Lint

LINTS: tuple[Lint, ...] = (
    attributes.TitleIsShort(),
    attributes.IdIsUuid(),
    attributes.IdIsUnique(),
    attributes.TitleIsUnique(),
    attributes.StatusIsSigma(),
    attributes.LevelIsSigma(),
    attributes.DescriptionSaysWhy(),
    attributes.DescriptionIsASentence(),
    attributes.ReferencesAreAddresses(),
    attributes.AuthorIsNamed(),
    attributes.OriginIsOurs(),
    attributes.DateIsADate(),
    attributes.TagsAreAttack(),
    attributes.TechniqueIsKnown(),
    attributes.FalsePositivesAreNamed(),
    attributes.FileNameIsASlug(),
    attributes.AttributesStandInOrder(),
    attributes.GuideIsNamed(),
    detection.RuleEvaluates(),
    detection.ColumnsAreFilled(),
    detection.SelectionsAreUsed(),
    detection.WordsAreAnchored(),
    detection.PatternsAreAnchored(),
    detection.PatternsAreShort(),
    detection.HitsStandBeside(),
    detection.MissesStandBeside(),
    detection.SeveralHits(),
    detection.SeveralMisses(),
    detection.EventsAreReadable(),
)
GENERAL: tuple[Lint, ...] = tuple(lint for lint in LINTS if not lint.house)
