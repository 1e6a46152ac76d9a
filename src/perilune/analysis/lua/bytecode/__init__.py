"""Compiled Lua: read, verified, listed, and followed for what it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perilune.model.lua import Identity, Unit

if TYPE_CHECKING:
    from perilune.analysis.lua.work import Waiting, Work


def explain(work: Work, one: Waiting, identity: Identity) -> None:
    number = work.add(one, one.data.decode("latin-1"), binary=True, language="lua")
    work.units.append(Unit(number, identity))
