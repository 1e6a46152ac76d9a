"""Landlock without any rule: no file, no TCP, no signal and no abstract socket outside."""

from __future__ import annotations

import ctypes

from perilune.analysis.lua.locked.system import call

_FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
NETWORK_SINCE, SCOPE_SINCE = 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


def version() -> int:
    """What this kernel can do; OSError where it has no Landlock, or it is switched off."""
    return call("landlock_create_ruleset", None, 0, 1)


def ruleset(abi: int) -> int:
    """A descriptor of the ruleset that allows nothing; `landlock_restrict_self` puts it on."""
    attributes = _Ruleset(_FILES[min(abi, 5)], 3 if abi >= NETWORK_SINCE else 0, 3 if abi >= SCOPE_SINCE else 0)
    size = 24 if abi >= SCOPE_SINCE else 16 if abi >= NETWORK_SINCE else 8
    return call("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
