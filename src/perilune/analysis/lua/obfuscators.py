"""Who or what made a text hard to read: banners, the shapes that tools leave, measures. A fact, not a verdict.

A banner can be forged and is worth less than the shape beneath it; both together are close to certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from perilune.analysis.lua.words import Words
from perilune.analysis.lua.work import Work
from perilune.model.lua import Evidence, Form, Obfuscation, Shape

SEARCHED = 400_000
BANNER = 0.6
LEAST = 0.3


@dataclass(frozen=True, slots=True)
class Sign:
    """`words`: one of them, in lower case, has to be in the text before the pattern is tried; that is what is fast."""

    weight: float
    words: frozenset[str]
    what: str
    pattern: re.Pattern[str]


def _signs(*rows: tuple[float, str, str, str]) -> tuple[Sign, ...]:
    return tuple(
        Sign(weight, frozenset(words.split()), what, re.compile(pattern)) for weight, words, what, pattern in rows
    )


_WRAPPED = (
    0.15,
    "return",
    "everything is inside one function that is called at once",
    r"return\s*\(?\s*\(?function\s*\(\s*(?:\w+\s*,\s*)*\.\.\.\s*\)",
)
_DISPATCH = (
    0.3,
    "while",
    "a loop that chooses by comparing a number",
    r"while\s+(\w{1,4})\s+do\s+if\s+\1\s*<=?\s*[\d(~-]",
)

TOOLS: dict[str, tuple[Sign, ...]] = {
    "Prometheus": _signs(
        (BANNER, "prometheus", "banner", r"(?i)obfuscated (?:with|by|using)[^\n]{0,20}\bprometheus\b"),
        (0.25, "ipairs", "a table of strings that is rotated by pairs of numbers", r"ipairs\s*\(\s*\{\s*\{\s*[-+\d\s()x]+[;,][-+\d\s()x]+\}\s*[;,]"),
        (0.25, "newproxy", "newproxy with counted references", r"newproxy\b[\s\S]{0,20000}?__gc|__gc[\s\S]{0,20000}?\bnewproxy\b"),
        (0.2, "\\0 \\1", "strings in decimal escapes only", r"\"(?:\\\d{2,3}){12,}\""),
        (0.3, "tamper", "tamper check", r"Tamper Detected!|attempt to tamper"),
        _DISPATCH, _WRAPPED,
    ),
    "Luraph": _signs(
        (BANNER, "luraph lura.ph", "banner", r"(?i)protected (?:with|using|by) Luraph|https?://lura\.ph"),
        (0.4, "lph", "marker of its bytecode", r"['\"(\[]LPH[!+~@#&|]"),
        (0.3, "lph_ superflow", "its own functions", r"LPH_(?:NO_VIRTUALIZE|JIT(?:_MAX)?|ENCSTR|CRASH|OBFUSCATED)\b|superflow_bytecode"),
        (0.15, "lllll iiiii ilili lilil", "names made of l, I and 1", r"\b[lI1]{6,}\b"),
        _WRAPPED,
    ),
    "IronBrew": _signs(
        (BANNER, "iron", "banner", r"(?i)iron\s*brew"),
        (0.45, "lol!", "marker of its bytecode", r"['\"(\[]LOL!"),
        (0.2, "q00", "runs of zeros written as a letter and a count", r"\dQ0{2,}[0-9A-F]{2,}\dQ0"),
        (0.2, "tonumber", "reads bytes by string.byte, sub and gsub with its own base", r"tonumber\s*\(\s*\w+\s*\(\s*\w+\s*,\s*\w+\s*,\s*\w+\s*\)\s*,\s*(?:36|16)\s*\)"),
        _WRAPPED,
    ),
    "MoonSec": _signs(
        (BANNER, "moonsec", "banner", r"(?i)protected (?:with|by|using) MoonSec"),
        (0.4, "gsub", "its text is given to a gsub that takes all of it", r":gsub\s*\(\s*['\"]\.\+['\"]\s*,\s*\(?function"),
        (0.15, "getfenv", "reads its own upvalues by number", r"getfenv\s*\(\s*\)\s*or\s*_ENV|_ENV\s*or\s*getfenv"),
        _WRAPPED,
    ),
    "PSU": _signs(
        (BANNER, "psu", "banner", r"(?i)(?:obfuscated|protected|made)[^\n]{0,24}\bPSU\b|\bpsu\.dev\b|PSU\s?Obfuscat"),
        (0.35, "psu|", "marker of its bytecode", r"['\"(\[]PSU\|"),
        (0.3, "psu_", "its own functions", r"PSU_(?:MAX_SECURITY_(?:START|END)|ENCSTR|NO_VIRTUALIZE|REPLICATE)\b"),
        _WRAPPED,
    ),
    "LuaObfuscator": _signs((0.8, "luaobfuscator", "banner", r"(?i)obfuscated (?:with|by|using)[^\n]{0,12}luaobfuscator\.com"), _DISPATCH, _WRAPPED),
    "WeAreDevs": _signs((0.8, "wearedevs", "banner", r"(?i)wearedevs\.net/obfuscator"), _WRAPPED),
    "Synapse Xen": _signs((0.7, "synapsexen", "its own names", r"SynapseXen_\w+"), _WRAPPED),
}  # fmt: skip
_WORDS = Words(word for signs in TOOLS.values() for sign in signs for word in sign.words)
_OWN = 0.2  # a sign that weighs less is nobody's alone: the wrapping, names of l and 1
_NEED = {"Prometheus": 0.45}  # its signs without a banner are those of others too


def find(work: Work) -> list[Obfuscation]:
    """At most one tool for a layer, and what the measures say."""
    found: list[Obfuscation] = []
    for unit in work.units:
        if unit.identity.form is Form.SOURCE and unit.shape is not None:
            text = work.layers[unit.layer].text
            searched = text if len(text) <= SEARCHED else text[: SEARCHED // 2] + text[-SEARCHED // 2 :]
            tool = _tool(searched, unit.layer)
            found += [tool] if tool else []
            found += _measured(unit.shape, unit.layer, known=tool is not None)
    return found


def _tool(text: str, layer: int) -> Obfuscation | None:
    best: Obfuscation | None = None
    there = _WORDS.inside(text.lower())
    for name, signs in TOOLS.items():
        possible = [sign for sign in signs if not sign.words.isdisjoint(there)]
        if not any(sign.weight >= _OWN and sign.pattern.search(text) for sign in possible):
            continue
        hits = [(sign, match) for sign in possible if (match := sign.pattern.search(text))]
        confidence = round(min(0.97, sum(sign.weight for sign, _ in hits)), 2)
        if confidence >= _NEED.get(name, LEAST) and (best is None or confidence > best.confidence):
            evidence = tuple(Evidence(sign.what, m.start(), min(m.end(), m.start() + 160)) for sign, m in hits)
            best = Obfuscation(name, confidence, layer, evidence)
    return best


def _measured(shape: Shape, layer: int, *, known: bool) -> Iterator[Obfuscation]:
    """Shapes without a name: minified, encoded strings, one long line of dense text."""
    evidence = Evidence(
        f"longest line {shape.longest_line:,} characters, names of {shape.name_length} letters on average, "
        f"{shape.comment_share:.0%} comments, {shape.escape_share:.0%} escapes, {shape.entropy} bits per character"
    )
    if shape.size < 200:
        return
    dense = shape.longest_line > 2_000 and shape.longest_line > shape.size * 0.5
    if not known and shape.escape_share > 0.12 and shape.string_share > 0.4:
        yield Obfuscation(
            "strings written in escapes", round(min(0.95, 0.5 + shape.escape_share), 2), layer, (evidence,)
        )
    elif not known and dense and (shape.entropy > 5.6 or shape.string_share > 0.6 or shape.number_share > 0.4):
        yield Obfuscation("one long line of dense text", 0.7, layer, (evidence,))
    elif not known and shape.tokens > 150 and shape.comment_share < 0.01 and _is_minified(shape):
        yield Obfuscation("minifier", 0.6 if shape.name_length < 2 else 0.45, layer, (evidence,))


def _is_minified(shape: Shape) -> bool:
    return (shape.name_length < 3.2 and shape.size / max(1, shape.lines) > 160) or shape.name_length < 1.6
