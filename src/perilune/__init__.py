"""Perilune detects, analyses, triages and answers the abuse of script and command interpreters (T1059).

>>> import perilune
>>> found = perilune.hunt(["exports/"])      # doctest: +SKIP
>>> found.cases[0].title, found.tables["DeviceProcessEvents"]   # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perilune.pipeline import Hunt, hunt

__version__ = "0.1.0.dev0"
__all__ = ["Hunt", "__version__", "hunt"]


def __getattr__(name: str) -> object:
    """Imports the pipeline when it is first asked for, so that `import perilune` costs nothing."""
    if name in ("Hunt", "hunt"):
        from perilune import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'perilune' has no attribute {name!r}")
