"""Lua, deeper: what a file of Lua is, what it can do, and where each of that stands. Nothing of it is run.

>>> from perilune.analysis import lua
>>> lua.analyze(b'local x = os; x["exe" .. "cute"]("id")').calls[0].name
'os.execute'
"""

from __future__ import annotations

from perilune.analysis.lua.explain import analyze
from perilune.analysis.lua.looks import is_compiled, is_lua, only_arguments
from perilune.analysis.lua.plain import as_analysis

__all__ = ["analyze", "as_analysis", "is_compiled", "is_lua", "only_arguments"]
