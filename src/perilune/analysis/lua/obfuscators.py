"""Who or what made a text hard to read. Obfuscated is a fact, not a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perilune.model.lua import Obfuscation

if TYPE_CHECKING:
    from perilune.analysis.lua.work import Work


def find(work: Work) -> list[Obfuscation]:
    return list(work.obfuscations)
