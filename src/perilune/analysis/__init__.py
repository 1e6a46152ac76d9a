"""One text in, one `Analysis` out: what a command line or script really does, layer by layer.

Pure but for the packaged content: the same text with the same lists gives the same result, in a bounded time.

>>> from perilune import analysis
>>> analysis.analyze("bash -c 'id'").commands[0].interpreter
'sh'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perilune.analysis.budget import Limits
    from perilune.analysis.capabilities import Catalogue
    from perilune.analysis.lists import Lists
    from perilune.model.analysis import Analysis

__all__ = ["Limits", "Lists", "analyze"]


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is asked for: a file of Lua without commands needs no shells."""
    if name == "Limits":
        from perilune.analysis import budget

        return budget.Limits
    if name == "Lists":
        from perilune.analysis import lists

        return lists.Lists
    raise AttributeError(f"module 'perilune.analysis' has no attribute {name!r}")


def analyze(
    text: str,
    *,
    language: str = "",
    original: str = "",
    lists: Lists | None = None,
    limits: Limits | None = None,
    catalogue: Catalogue | None = None,
) -> Analysis:
    """Explains a command line or a script.

    Args:
        text: as logged; nothing in it is run, fetched or looked up.
        language: what it is written in (`powershell`, `cmd`, `posix`, `lua`, …); found out where not given.
        original: the original file name of the program's version resource, which shows renamed interpreters.
        lists: local indicator lists to look its indicators up in.
        limits: how much may be looked at; what was left out is said in `cut`.
        catalogue: capabilities to look for instead of the packaged ones.
    """
    from perilune.analysis import indicators, score
    from perilune.analysis.budget import Budget, Limits
    from perilune.analysis.capabilities import packaged
    from perilune.analysis.decode import peel
    from perilune.analysis.detect import language_of
    from perilune.model.analysis import Analysis

    budget = Budget(limits or Limits())
    peeled = peel(text, language or language_of(text, "posix"), budget, original)
    found = indicators.find(peeled.layers)
    if lists is not None:
        found = indicators.with_listings(found, lists)
    capabilities = (catalogue or packaged()).find(peeled.layers, peeled.commands, found)
    points, level, reasons = score.weigh(capabilities)
    return Analysis(
        layers=tuple(peeled.layers),
        commands=peeled.commands,
        indicators=tuple(found),
        capabilities=tuple(capabilities),
        reasons=reasons,
        score=points,
        level=level,
        cut=tuple(budget.cut),
        work=budget.work,
    )
