"""Whether a file is worth this room: the question that the command line asks before anything else."""

from __future__ import annotations

from perilune.analysis.lua import carriers, identify, sources
from perilune.analysis.lua.bytecode import luau
from perilune.analysis.lua.work import Waiting


def is_compiled(data: bytes) -> bool:
    return identify.by_magic(data) is not None


def is_lua(data: bytes, name: str = "") -> bool:
    """Lua source or compiled Lua under any file name, or a file that holds some."""
    if (
        identify.by_magic(data) is not None
        or luau.recognised(data) is not None
        or sources.is_source(Waiting(data, "given", name=name))
    ):
        return True
    return bool(carriers.pieces(data, []))


def only_arguments(data: bytes) -> bool:
    """Whether all the Lua in a text is arguments of command lines."""
    found = carriers.pieces(data, [])
    return bool(found) and all(piece.kind == "argument" for piece in found)
