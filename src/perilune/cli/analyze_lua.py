"""The Lua part of `perilune analyze`: which files are Lua, and what of a command line is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from perilune.errors import ReadError, UsageError

if TYPE_CHECKING:
    from perilune.analysis.lists import Lists
    from perilune.analysis.lua.controlled import Execute
    from perilune.model.analysis import Analysis
    from perilune.model.lua import LuaAnalysis

SUFFIXES = frozenset((".lua", ".luac", ".luau", ".nse", ".rockspec", ".texlua", ".p8"))
MOST_OF_A_COMMAND = 5  # pieces of Lua of one command line


@dataclass(frozen=True, slots=True)
class LuaPart:
    """Lua that is explained on its own. `layer`: where it stands in the analysis of the command line around it."""

    where: str
    found: LuaAnalysis
    layer: int | None = None
    asked: bool = True  # whether it was to be run

    @property
    def refused(self) -> bool:
        """Whether it was to be run, and could not be."""
        from perilune.model.lua import Outcome

        return any(one.trace.outcome is Outcome.NOT_EXECUTED for one in self.found.runs)


def wants(data: bytes, name: str, language: str, listed: Callable[[], bool]) -> bool:
    """Whether a file is explained as Lua: it is said to be, or its bytes are, or they carry some.

    Args:
        data: the file.
        name: its name.
        language: what the user or the name says that it is.
        listed: whether its lines are command lines of their own, asked only where that matters.
    """
    if language == "lua" or (not language and PurePath(name).suffix.lower() in SUFFIXES):
        return True
    from perilune.analysis import lua

    if language:
        return lua.is_compiled(data)  # compiled Lua is Lua, whatever its name says
    return lua.is_lua(data, name) and not (lua.only_arguments(data) and listed())


def explain(data: bytes, where: str, *, run: bool, lists: Lists, layer: int | None = None) -> LuaPart:
    from perilune.analysis import lua

    found = lua.analyze(data, where if layer is None else None, execute=_execute() if run else None, lists=lists)
    return LuaPart(where, found, layer, run)


def parts_of(where: str, found: Analysis, *, run: bool, lists: Lists) -> list[LuaPart]:
    """The Lua that a command line hands to an interpreter, each piece explained on its own."""
    layers = [one for one in found.layers if one.language == "lua" and one.parent is not None and not one.binary]
    outer = [one for one in layers if found.layers[one.parent or 0].language != "lua"]
    return [
        explain(one.text.encode("utf-8", "surrogateescape"), where, run=run, lists=lists, layer=one.number)
        for one in outer[:MOST_OF_A_COMMAND]
    ]


def write_html(parts: Sequence[LuaPart], path: Path) -> None:
    """The report of the first piece; what there is none of is a wrong use."""
    from datetime import UTC, datetime

    from perilune import __version__
    from perilune.report import lua_html

    if not parts:
        raise UsageError("there is no Lua in it to report on", hint="leave --html out, or say --language lua")
    page = lua_html.render([one.found for one in parts], generated=datetime.now(UTC), version=__version__)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReadError(f"cannot be written: {error.strerror}", where=str(path)) from None


def _execute() -> Execute:
    from perilune.analysis.lua import cage

    return lambda code, identity, name: cage.run(code, identity, name=name)
