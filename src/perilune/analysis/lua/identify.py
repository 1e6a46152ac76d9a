"""What some bytes are: Lua source and its dialect, compiled Lua, something that carries Lua, or none of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.lua.lexer import Tokens
from perilune.analysis.lua.words import Words
from perilune.model.lua import Dialect, Evidence, Form, Identity

HEAD = 12_000

_VERSIONS = {
    0x50: Dialect.LUA50, 0x51: Dialect.LUA51, 0x52: Dialect.LUA52, 0x53: Dialect.LUA53, 0x54: Dialect.LUA54, 0x55: Dialect.LUA55,
}  # fmt: skip

# How much each sign says for Lua. None of them is alone in Lua, so one alone is not enough.
_SIGNS: tuple[tuple[float, str, re.Pattern[str]], ...] = tuple(
    (weight, what, re.compile(pattern, re.MULTILINE))
    for weight, what, pattern in (
        (3.0, "interpreter line", r"\A#!.*\b(lua|luajit|resty|texlua|tarantool)\S*"),
        (2.0, "local declaration", r"(^|[;\s)])local\s+(function\s+[A-Za-z_]|[A-Za-z_]\w*(\s*<\w+>)?(\s*,\s*[A-Za-z_]\w*)*\s*(=|$|;))"),
        (2.0, "library of Lua", r"\b(os\.(execute|getenv|time|clock|rename)|io\.(popen|open|lines|read|write)|string\.(char|byte|gsub|format|reverse|rep|sub)"
                                r"|table\.(concat|insert|remove|unpack)|coroutine\.\w+|package\.(loaded|path|loadlib))\b"),
        (1.5, "long comment", r"--\[=*\["),
        (1.0, "function … end", r"function\b[^(\n]{0,80}\([^)\n]*\)(?![\s\n]*\{)[\s\S]{0,4000}?\bend\b"),
        (1.0, "if … then … end", r"if\b[^\n;{}]{1,400}?\bthen\b(?![\s\S]{0,2000}?\bfi\b)[\s\S]{0,4000}?\b(end|else|elseif)\b"),
        (1.0, "do … end", r"\b(for|while)\b[^\n]{1,300}?\bdo\b(?![\s\S]{0,2000}?\bdone\b)[\s\S]{0,4000}?\bend\b"),
        (1.0, "a ~= b", r"~=\s*[\w\"'({#-]"),
        (0.8, "a .. b", r"(?<![./])\.\.\s*[\"'(A-Za-z]"),
        (1.2, "loads a chunk", r"\b(loadstring|load|dofile|getfenv|setfenv|setmetatable|ipairs|pairs)\s*[(\"'\[]"),
        (0.8, "require", r"require\s*\(?\s*[\"']"),
        (1.0, "return function", r"return\s*\(?\s*function\s*\("),
        (1.2, "API of a host", r"\b(ngx\.(say|req|var|exit)|redis\.p?call|game:GetService|PerformHttpRequest|RunString|timer\.Simple|hook\.Add"
                               r"|vim\.(api|cmd|fn|o)|nmap\.\w+|stdnse|ProtoField|RegisterNetEvent|Citizen\.)"),
    )
)  # fmt: skip
_AGAINST: tuple[tuple[float, str, re.Pattern[str]], ...] = tuple(
    (weight, what, re.compile(pattern, re.MULTILINE))
    for weight, what, pattern in (
        (3.0, "another interpreter's line", r"\A#!(?!.*(lua|resty|tarantool)).+"),
        (2.0, "C preprocessor", r"^[ \t]*#\s*(include|define|ifdef)\b"),
        (2.0, "braces of C or JavaScript", r"\)\s*\{[ \t]*$|^[ \t]*\}\s*(else|$)"),
        (2.0, "Python", r"^[ \t]*(def|class)\s+\w+.*:[ \t]*$|^from\s+\S+\s+import\b"),
        (2.0, "a document's tags", r"\A\s*<[!?a-zA-Z]"),
        (2.0, "shell", r"^[ \t]*(fi|done|esac)[ \t]*$|\$\{?\w+\}?\s|\becho\s"),
        (2.0, "PowerShell", r"^[ \t]*\$\w+\s*="),
        (2.0, "Ruby", r"^[ \t]*(require_relative|attr_\w+|puts)\b|\bdo\s*\|\w+\|"),
        (2.0, "assignment without local in an INI file", r"\A(\s*[#;].*\n)*\s*\[[\w .-]+\][ \t]*$"),
    )
)  # fmt: skip
ENOUGH = 2.0
SURE = 6.0  # from here on nothing speaks against it any more


def _word(name: str) -> str:
    """A name that is no field: looked behind after it, because only a pattern that begins with letters is fast."""
    return rf"{name}(?<![\w.:]{name})"


def _names(names: str) -> str:
    """Any of some names, whole, each looked behind after it."""
    return "(?:" + "|".join(rf"{re.escape(one)}(?<!\w{re.escape(one)})" for one in names.split()) + r")\b"


# Before a pattern is tried, one of its words has to be in the text: looking for all of them at once is far faster.
_DIALECTS: tuple[tuple[Dialect, float, str, frozenset[str], tuple[re.Pattern[str], ...]], ...] = tuple(
    (dialect, weight, what, frozenset(words.split()), tuple(map(re.compile, patterns)))
    for dialect, weight, what, words, *patterns in (
        (Dialect.LUA51, 1.0, "setfenv or getfenv", "etfenv", r"etfenv\s*\("),
        (Dialect.LUA51, 1.0, "loadstring", "loadstring", _word("loadstring")),
        (Dialect.LUA51, 0.6, "module(…)", "module", r"module(?<![^\n]module)\s*\(?[\"'.]"),
        (Dialect.LUA51, 0.5, "unpack", "unpack", _word("unpack") + r"\s*\("),
        (Dialect.LUA51, 0.6, "table.getn, table.maxn or string.gfind", "table.getn table.maxn string.gfind", r"\b(table\.(getn|maxn)|string\.gfind)\b"),
        (Dialect.LUA52, 1.0, "_ENV", "_ENV", _word("_ENV")),
        (Dialect.LUA52, 0.8, "table.unpack or table.pack", "table.unpack table.pack", r"table\.(un)?pack\b"),
        (Dialect.LUA52, 0.9, "bit32", "bit32.", r"bit32\."),
        (Dialect.LUA53, 1.0, "string.pack", "string.pack string.unpack", r"string\.(un)?pack(size)?\b"),
        (Dialect.LUA53, 1.0, "utf8 library", "utf8.", r"utf8\.(char|codes|codepoint|len|offset|charpattern)\b"),
        (Dialect.LUA53, 0.9, "math.tointeger or math.type", "math.tointeger math.type math.ult math.maxint math.minint", r"math\.(tointeger|type|ult|maxinteger|mininteger)\b"),
        (Dialect.LUA53, 0.6, "table.move", "table.move", r"table\.move\b"),
        (Dialect.LUA54, 1.5, "<const> or <close>", "const> close>", r"<\s*(const|close)\s*>"),
        (Dialect.LUA54, 1.0, "warn or coroutine.close", "coroutine.close warn(\"@ warn('@", r"coroutine\.close\b|(?<![\w.:])warn\s*\(\s*[\"']@"),
        (Dialect.LUA55, 1.5, "global declaration", "global", r"global (?:function \w|<const>|\*|[A-Za-z_]\w*\s*[,=<])"),
        (Dialect.LUAJIT, 1.5, "ffi", "\"ffi\" 'ffi' ffi.cdef ffi.C ffi.load ffi.new ffi.cast ffi.typeof", r"require\s*\(?\s*[\"']ffi[\"']|\bffi\.(cdef|C|load|new|cast|typeof)\b"),
        (Dialect.LUAJIT, 1.0, "jit library", "jit", r"\bjit\.(on|off|os|arch|version|opt|status)\b|\brequire\s*\(?\s*[\"']jit"),
        (Dialect.LUAJIT, 0.7, "bit library", "\"bit\" 'bit' bit.bxor bit.band bit.bor bit.lshift bit.rshift bit.tobit", r"require\s*\(?\s*[\"']bit[\"']|(?<![\w.:])bit\.(bxor|band|bor|lshift|rshift|tobit)\b"),
        (Dialect.LUAU, 1.5, "type declaration", "type", r"type [A-Za-z]\w*(?:<[^=\n]*>)?\s*=\s*[{(A-Za-z\"]"),
        (Dialect.LUAU, 1.0, "typed local or parameter", "local function", r"local \w+\s*:\s*\{?[A-Za-z]\w*\}?\??\s*=", r"function[^-\n(]{0,80}\(\s*\w+\s*:\s*(string|number|boolean|any|\{)"),
        (Dialect.LUAU, 1.0, "services of Roblox", "GetService workspace Instance.new script.Parent --!", r"game\s*:\s*GetService\b|\bworkspace\s*[.:]\s*\w|\bInstance\.new\b|\bscript\.Parent\b|--!(strict|nonstrict|native)"),
        (Dialect.LUAU, 0.8, "task library", "task.spawn task.wait task.defer task.delay getgenv hookfunction syn.", r"task\.(spawn|wait|defer|delay)\b|(?<![\w.:])(getgenv|hookfunction|syn)\b"),
        (Dialect.CFXLUA, 1.2, "API of FiveM", "Event PerformHttp Citizen GetCurrentResource",
            _names("RegisterNetEvent RegisterServerEvent TriggerServerEvent TriggerClientEvent PerformHttpRequest Citizen.Wait Citizen.CreateThread GetCurrentResourceName")),
        (Dialect.CFXLUA, 0.8, "resource manifest", "fx_version resource_manifest client_script server_script", r"(?m)^\s*(fx_version|resource_manifest_version|client_scripts?|server_scripts?)\b\s*['\"{]"),
        (Dialect.GLUA, 1.2, "API of Garry's Mod", "hook.Add timer. AddCSLuaFile util.AddNet RunString CompileString concommand SERVER CLIENT",
            _names("hook.Add timer.Simple timer.Create AddCSLuaFile util.AddNetworkString RunString RunStringEx CompileString concommand.Add SERVER CLIENT")),
    )
)  # fmt: skip
_ORDER = list(Dialect)
_WORDS = Words(word for row in _DIALECTS for word in row[3])


def by_magic(data: bytes) -> Identity | None:
    """Compiled Lua by its first bytes."""
    if data[:4] == b"\x1bLua" and len(data) > 4:
        dialect = _VERSIONS.get(data[4])
        what = f"signature of {dialect}" if dialect else f"signature of Lua with the unknown version {data[4]:#04x}"
        return Identity(Form.BYTECODE, dialect or Dialect.LUA, 1.0 if dialect else 0.7, (Evidence(what, 0, 5),))
    if data[:3] == b"\x1bLJ" and len(data) > 4:
        dialect = {1: Dialect.LUAJIT20, 2: Dialect.LUAJIT21}.get(data[3], Dialect.LUAJIT)
        return Identity(Form.BYTECODE, dialect, 1.0, (Evidence(f"signature of {dialect}", 0, 4),))
    return None


def of_source(text: str, name: str = "") -> tuple[float, tuple[Evidence, ...]]:
    """How much speaks for Lua source, and what: `ENOUGH` is enough. Text as one character per byte."""
    head = text if len(text) <= HEAD else text[: HEAD // 2] + "\n" + text[-HEAD // 2 :]
    if "\0" in head[:4000]:
        return 0.0, ()
    score = 0.0
    evidence: list[Evidence] = []
    if re.search(r"(?i)\.(lua|luau|nse|rockspec|p8|lua\.txt)$", name):
        score += 2.0
        evidence.append(Evidence(f"file name {name[-80:]}"))
    for weight, what, pattern in _SIGNS:
        if found := pattern.search(head):
            score += weight
            if found.end() <= min(len(text), HEAD // 2):
                evidence.append(Evidence(what, found.start(), min(found.end(), found.start() + 120)))
            if score >= SURE:
                return score, tuple(evidence)
    for weight, what, pattern in _AGAINST:
        if found := pattern.search(head):
            score -= weight
            evidence.append(Evidence(f"against it: {what}", found.start(), found.end()))
    return score, tuple(evidence)


def dialect_of(tokens: Tokens) -> tuple[Dialect, float, tuple[Evidence, ...]]:
    """The dialect with the best evidence; of plain versions the latest that something needs."""
    weights: dict[Dialect, float] = {}
    evidence: list[Evidence] = []
    for dialect, weight, what, start, end in (*_by_operators(tokens), *_by_names(tokens.text)):
        weights[dialect] = weights.get(dialect, 0.0) + weight
        evidence.append(Evidence(f"{dialect}: {what}", start, end))
    if not weights:
        return Dialect.LUA, 0.0, ()
    best = max(weights, key=lambda one: (weights[one], _ORDER.index(one)))
    total = sum(weights.values())
    return best, round(min(0.99, weights[best] / (total + 0.3)), 2), tuple(evidence)


_Sign = tuple[Dialect, float, str, int, int]


def _by_names(text: str) -> Iterator[_Sign]:
    # The tail counts as well: what was appended to a file is what matters most.
    searched = text if len(text) <= 400_000 else text[:200_000] + "\n" * 8 + text[-200_000:]
    there = _WORDS.inside(searched)
    for dialect, weight, what, words, patterns in _DIALECTS:
        if words.isdisjoint(there):
            continue
        if found := next(filter(None, (pattern.search(searched) for pattern in patterns)), None):
            end = min(found.end(), 200_000)
            yield dialect, weight, what, min(found.start(), end), end


_OPERATORS: dict[str, tuple[Dialect, float, str]] = {
    "!=": (Dialect.GLUA, 1.2, "!="), "&&": (Dialect.GLUA, 1.5, "&&"), "||": (Dialect.GLUA, 1.5, "||"), "!": (Dialect.GLUA, 1.0, "!"),
    "//": (Dialect.LUA53, 0.8, "//"), "&": (Dialect.LUA53, 0.7, "&"), "|": (Dialect.LUA53, 0.5, "|"), "<<": (Dialect.LUA53, 1.0, "<<"),
    ">>": (Dialect.LUA53, 0.6, ">>"), "::": (Dialect.LUA52, 0.8, "goto label"), "->": (Dialect.LUAU, 1.0, "->"),
    "+=": (Dialect.LUAU, 0.7, "+="), "-=": (Dialect.LUAU, 0.7, "-="), "..=": (Dialect.LUAU, 0.7, "..="),
    "?.": (Dialect.CFXLUA, 0.9, "?."),
}  # fmt: skip
_ESCAPES = re.compile(r"\\(?:(?P<x>x[0-9a-fA-F]{2})|(?P<z>z\s)|(?P<u>u\{))")


def _by_operators(tokens: Tokens) -> Iterator[_Sign]:
    text = tokens.text
    if ("\\x" in text or "\\z" in text or "\\u{" in text) and (found := _ESCAPES.search(text)):
        dialect = Dialect.LUA53 if found.lastgroup == "u" else Dialect.LUA52
        yield dialect, 0.6, f"\\{found.group()[1]} escape", found.start(), found.end()
    code = tokens.code()
    there = set(code.types)
    for word in sorted(_OPERATORS.keys() & there, key=code.types.index):
        at = code.types.index(word)
        yield (*_OPERATORS[word], code.starts[at], code.ends[at])
    if "tick" in there:
        at = code.types.index("tick")
        yield Dialect.LUAU, 0.6, "backtick string", code.starts[at], code.ends[at]
    if "number" in there and _LONG.search(text) is not None:
        yield from _long_number(tokens)


_LONG = re.compile(r"[0-9a-fA-F][lLuU]{2}")


def _long_number(tokens: Tokens) -> Iterator[_Sign]:
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "number" and tokens.text[end - 1] in "lLuU" and tokens.text[end - 2] in "lLuU":
            yield Dialect.LUAJIT, 1.2, "64-bit number", start, end
            return


def wants_c_comments(tokens: Tokens) -> bool:
    """Whether `//` begins comments, as in Garry's Mod: other C operators are there, or `/*`, or it begins lines."""
    text = tokens.text
    if "//" not in text and "/*" not in text:
        return False
    for found, _ in zip(_SLASHES.finditer(text), range(2_000), strict=False):
        if not text[text.rfind("\n", 0, found.start()) + 1 : found.start()].strip(" \t"):
            return True
    return not _OF_GLUA.isdisjoint(tokens.code().types)


_SLASHES = re.compile(r"/[/*]")
_OF_GLUA = frozenset(("!=", "&&", "||"))
