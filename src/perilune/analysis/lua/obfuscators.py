"""Who or what made a text hard to read: banners, the shapes that tools leave, measures. A fact, not a verdict.

A banner can be forged and is worth less than the shape beneath it; both together are close to certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from perilune.analysis.lua.work import Work
from perilune.model.lua import Evidence, Form, Obfuscation, Shape

SEARCHED = 400_000
BANNER = 0.6
LEAST = 0.3


@dataclass(frozen=True, slots=True)
class Sign:
    weight: float
    what: str
    pattern: re.Pattern[str]


def _signs(*rows: tuple[float, str, str]) -> tuple[Sign, ...]:
    return tuple(Sign(weight, what, re.compile(pattern)) for weight, what, pattern in rows)


_WRAPPED = (0.15, "everything is inside one function that is called at once", r"(?:^|[;\s)])return\s*\(?\s*\(?function\s*\(\s*(?:\w+\s*,\s*)*\.\.\.\s*\)")
_DISPATCH = (0.3, "a loop that chooses by comparing a number", r"\bwhile\s+(\w{1,4})\s+do\s+if\s+\1\s*<=?\s*[\d(~-]")

TOOLS: dict[str, tuple[Sign, ...]] = {
    "Prometheus": _signs(
        (BANNER, "banner", r"(?i)obfuscated (?:with|by|using)[^\n]{0,20}\bprometheus\b"),
        (0.25, "a table of strings that is rotated by pairs of numbers", r"\bipairs\s*\(\s*\{\s*\{\s*[-+\d\s()x]+[;,][-+\d\s()x]+\}\s*[;,]"),
        (0.25, "newproxy with counted references", r"\bnewproxy\b[\s\S]{0,20000}?__gc|__gc[\s\S]{0,20000}?\bnewproxy\b"),
        (0.2, "strings in decimal escapes only", r"\"(?:\\\d{2,3}){12,}\""),
        (0.3, "tamper check", r"Tamper Detected!|attempt to tamper"),
        _DISPATCH, _WRAPPED,
    ),
    "Luraph": _signs(
        (BANNER, "banner", r"(?i)protected (?:with|using|by) Luraph|https?://lura\.ph"),
        (0.4, "marker of its bytecode", r"['\"(\[]LPH[!+~@#&|]"),
        (0.3, "its own functions", r"\bLPH_(?:NO_VIRTUALIZE|JIT(?:_MAX)?|ENCSTR|CRASH|OBFUSCATED)\b|superflow_bytecode"),
        (0.15, "names made of l, I and 1", r"\b[lI1]{6,}\b"),
        _WRAPPED,
    ),
    "IronBrew": _signs(
        (BANNER, "banner", r"(?i)iron\s*brew"),
        (0.45, "marker of its bytecode", r"['\"(\[]LOL!"),
        (0.2, "runs of zeros written as a letter and a count", r"\dQ0{2,}[0-9A-F]{2,}\dQ0"),
        (0.2, "reads bytes by string.byte, sub and gsub with its own base", r"tonumber\s*\(\s*\w+\s*\(\s*\w+\s*,\s*\w+\s*,\s*\w+\s*\)\s*,\s*(?:36|16)\s*\)"),
        _WRAPPED,
    ),
    "MoonSec": _signs(
        (BANNER, "banner", r"(?i)protected (?:with|by|using) MoonSec"),
        (0.4, "its text is given to a gsub that takes all of it", r":gsub\s*\(\s*['\"]\.\+['\"]\s*,\s*\(?function"),
        (0.15, "reads its own upvalues by number", r"\bgetfenv\s*\(\s*\)\s*or\s*_ENV|_ENV\s*or\s*getfenv"),
        _WRAPPED,
    ),
    "PSU": _signs(
        (BANNER, "banner", r"(?i)(?:obfuscated|protected|made)[^\n]{0,24}\bPSU\b|\bpsu\.dev\b|PSU\s?Obfuscat"),
        (0.35, "marker of its bytecode", r"['\"(\[]PSU\|"),
        (0.3, "its own functions", r"\bPSU_(?:MAX_SECURITY_(?:START|END)|ENCSTR|NO_VIRTUALIZE|REPLICATE)\b"),
        _WRAPPED,
    ),
    "LuaObfuscator": _signs((0.8, "banner", r"(?i)obfuscated (?:with|by|using)[^\n]{0,12}luaobfuscator\.com"), _DISPATCH, _WRAPPED),
    "WeAreDevs": _signs((0.8, "banner", r"(?i)wearedevs\.net/obfuscator"), _WRAPPED),
    "Synapse Xen": _signs((0.7, "its own names", r"\bSynapseXen_\w+"), _WRAPPED),
}  # fmt: skip
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
    for name, signs in TOOLS.items():
        hits = [(sign, match) for sign in signs if (match := sign.pattern.search(text))]
        # The wrapping alone is nobody's.
        if not any(sign.weight >= 0.2 for sign, _ in hits):
            continue
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
        yield Obfuscation("strings written in escapes", round(min(0.95, 0.5 + shape.escape_share), 2), layer, (evidence,))
    elif not known and dense and (shape.entropy > 5.6 or shape.string_share > 0.6 or shape.number_share > 0.4):
        yield Obfuscation("one long line of dense text", 0.7, layer, (evidence,))
    elif not known and shape.tokens > 150 and shape.comment_share < 0.01 and _is_minified(shape):
        yield Obfuscation("minifier", 0.6 if shape.name_length < 2 else 0.45, layer, (evidence,))


def _is_minified(shape: Shape) -> bool:
    return shape.name_length < 3.2 and shape.size / max(1, shape.lines) > 160 or shape.name_length < 1.6
