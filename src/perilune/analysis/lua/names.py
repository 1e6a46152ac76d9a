"""Names of Lua's own: the ways to the table of globals, modules under their required names, functions that pass on."""

from __future__ import annotations

from perilune.analysis.lua.values import UNKNOWN, Ref, Value

# Paths that are the table of globals itself.
GLOBALS = frozenset(
    (
        "_G",
        "_ENV",
        "getfenv()",
        "getgenv()",
        "getrenv()",
        "shared",
        "_G._G",
        "package.loaded._G",
        "debug.getregistry()[2]",
    )
)
# What their result, or their call, is that of their first argument.
PASS_THROUGH = frozenset(
    (
        "pcall",
        "xpcall",
        "assert",
        "setmetatable",
        "coroutine.wrap",
        "rawget",
        "task.spawn",
        "spawn",
        "setfenv",
        "Citizen.Trace",
    )
)
_LOADED = frozenset(("package.loaded", "debug.getregistry()._LOADED", "_LOADED"))
# Modules whose documented name is not the one they are required by.
_MODULES = {
    "_G": "_G", "socket.core": "socket", "posix.unistd": "posix", "posix.stdlib": "posix", "bit": "bit", "ssl.https": "ssl.https",
    "resty.http": "resty.http", "awful.spawn": "awful.spawn", "cjson.safe": "cjson",
}  # fmt: skip


def of_index(path: str, key: str) -> str:
    """The path of a field: `_G.os` and `package.loaded.os` are `os`."""
    if path in GLOBALS or path in _LOADED:
        return key
    return f"{path}.{key}"


def of_require(argument: Value) -> Value:
    """What `require` gives for a known name: the module under its usual path."""
    if not isinstance(argument, str) or not argument or len(argument) > 120:
        return UNKNOWN
    return Ref(_MODULES.get(argument, argument.replace("/", ".")))


def of_loadlib(arguments: list[Value]) -> str:
    """The path of what `package.loadlib` gives: called, it is the library that its function opens."""
    name = arguments[1] if len(arguments) > 1 else None
    if isinstance(name, str) and name.startswith("luaopen_"):
        return f"{OPENS}{name[8:].replace('_', '.')}"
    return "package.loadlib()"


OPENS = "opens:"
