"""Words that the command line and every report share, and the one place where hostile text is made harmless.

Everything here takes and gives raw text. What is shown to a person goes through `visible` exactly once, at
the door: reports do it in their template's `finalize`, the command line where it prints.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from perilune.model.rules import Level
from perilune.report.attack import technique_name, technique_page

if TYPE_CHECKING:
    from perilune.model.case import Case, ProcessNode
    from perilune.model.findings import Finding

__all__ = [
    "clock", "counted", "defang", "defang_name", "duration", "finding_order", "is_linkable", "process_name",
    "reason_sentence", "severity_mark", "severity_word", "shorten", "signed", "span", "technique_name",
    "technique_page", "visible", "when",
]  # fmt: skip

# Shown as nothing although Unicode counts them as letters, marks or symbols: joiners, fillers, selectors.
_BLANK = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]
) | frozenset(range(0xE0100, 0xE01F0))  # fmt: skip
_BRACKETS = "⟨⟩"  # escaped themselves, so that evidence cannot fake an escape
_SHORT = {"\n": r"⟨\n⟩", "\r": r"⟨\r⟩", "\t": r"⟨\t⟩"}
MARKS_MOST = 3  # accents on one letter; more are there to cover the neighbouring lines


def visible(text: str) -> str:
    """The text on one line with every character that hides, reorders or commands written out: `⟨U+202E⟩`.

    Controls (terminal escapes among them), bidirectional and zero-width characters, blanks other than the
    space, lone surrogates, unassigned and private code points, and piled-up accents. Two different texts never
    look the same after it, as far as code points go; look-alike letters of other scripts stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    room = 0  # accents that may still follow
    for char in text:
        kind = unicodedata.category(char)[0]
        if _hides(char) or (kind == "M" and room == 0):
            yield _SHORT.get(char) or f"⟨U+{ord(char):04X}⟩"
            room = 0
        else:
            yield char
            room = room - 1 if kind == "M" else MARKS_MOST if kind == "L" else 0


def _hides(char: str) -> bool:
    return not char.isprintable() or char in _BRACKETS or ord(char) in _BLANK


_URL = re.compile(r"([a-z][a-z0-9+.-]{0,15})://([^\s/?#\"'<>\\|(){}]{1,255})?", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.[\w.-]{1,250}", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9a-f:.]*[0-9a-f])[0-9a-f]{0,4}:[0-9a-f:.]{1,42}(?![\w:])", re.IGNORECASE)
_DOT = re.compile(r"(?<!\[)\.(?!\])")
_SAFE_SCHEMES = {"http": "hxxp", "https": "hxxps", "ftp": "fxp"}


def defang(text: str) -> str:
    """URLs and IP addresses so written that no viewer, mailer or ticket system makes links of them.

    A courtesy, not a border: an address spelled in an unusual way stays as it is. Applying it twice is
    applying it once.
    """
    text = _URL.sub(_defang_url, text)
    text = _WWW.sub(lambda found: defang_name(found[0]), text)
    text = _IPV4.sub(_defang_ip, text)
    return _IPV6.sub(_defang_ip, text)


def defang_name(name: str) -> str:
    """A host name or host:port that is known to be one: every dot bracketed."""
    return _DOT.sub("[.]", name)


def _defang_url(found: re.Match[str]) -> str:
    scheme, host = found[1].lower(), found[2] or ""
    if scheme in _SAFE_SCHEMES.values():
        return found[0]
    safe = f"{_SAFE_SCHEMES[scheme]}://" if scheme in _SAFE_SCHEMES else f"{found[1]}[:]//"
    return safe + (host.replace(":", "[:]") if host.startswith("[") else defang_name(host))


def _defang_ip(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found[0].rstrip("."))
    except ValueError:
        return found[0]
    return defang_name(found[0]) if address.version == 4 else found[0].replace(":", "[:]")


_LINKABLE = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:[/?#][!#-&(-;=?-_a-z{}|~]*)?")


def is_linkable(url: str) -> bool:
    """Whether a rule's URL may become a link: plain http(s), printable ASCII, no user name, quote or bracket in it."""
    return len(url) <= 2000 and _LINKABLE.fullmatch(url) is not None


def shorten(text: str, limit: int) -> str:
    """At most about `limit` characters: the head, how many were left out, the tail.

    Padding that pushes the payload out of sight is an old trick, so a quarter of the room is the tail's.
    """
    if len(text) <= limit:
        return text
    tail = limit // 4
    head = limit - tail
    return f"{text[:head]} … {len(text) - limit:,} more characters … {text[len(text) - tail :]}"


def when(time: datetime | None) -> str:
    """`2026-11-21 17:04:12.310 UTC`; a time without a zone says so instead of being guessed."""
    if time is None:
        return "time unknown"
    return f"{_utc(time):%Y-%m-%d} {clock(time)}" + (" UTC" if time.tzinfo else " (zone unknown)")


def clock(time: datetime) -> str:
    """`17:04:12.310`, in UTC."""
    utc = _utc(time)
    return f"{utc:%H:%M:%S}" + (f".{utc.microsecond // 1000:03d}" if utc.microsecond else "")


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time


def span(first: datetime | None, last: datetime | None) -> str:
    """`2026-11-21 17:04:12 to 17:04:13 UTC (1 s)`."""
    if first is None or last is None or first == last:
        return when(first or last)
    end = clock(last) if _utc(first).date() == _utc(last).date() else f"{_utc(last):%Y-%m-%d} {clock(last)}"
    return f"{when(first).removesuffix(' UTC')} to {end} UTC ({duration(last - first)})"


def duration(length: timedelta) -> str:
    """The two largest units: `2 d 3 h`, `4 min 2 s`, `0.8 s`."""
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    parts = []
    rest = round(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size} {unit}")
            rest %= size
    return " ".join(parts[:2])


_MARKS = {
    Level.CRITICAL: "■",
    Level.HIGH: "▲",
    Level.MEDIUM: "◆",
    Level.LOW: "●",
    Level.INFORMATIONAL: "○",
}


def severity_mark(level: Level) -> str:
    """The shape of a severity, for those who cannot tell its colour; shown beside its word."""
    return _MARKS[level]


def severity_word(level: Level) -> str:
    return level.word.capitalize()


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 rule`, `1,204 rules`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def signed(points: int) -> str:
    """`+6`, `−15` (with a real minus), `0`."""
    return f"+{points}" if points > 0 else f"−{-points}" if points < 0 else "0"


def finding_order(finding: Finding) -> tuple[object, ...]:
    """Heaviest first, then oldest."""
    return (-finding.score, -finding.level, finding.time is None, finding.time and _utc(finding.time).isoformat(),
            finding.id)  # fmt: skip


def reason_sentence(case: Case) -> str:
    """Why an analyst sees this case: who did what under whom, which rule says so, and what speaks against it."""
    if not case.findings:
        return f"No rule's finding is kept with this case on {shorten(case.host, 80) or 'an unknown host'}."
    top = min(case.findings, key=finding_order)
    sentence = (
        f"{_subject(case, top)}, and matched the {top.level.word} rule “{shorten(top.rule_title, 120)}”"
        f"{_others(case, top)}."
    )
    return sentence + "".join(
        f" Lowered by {counted(-reason.points, 'point')}: {shorten(reason.text, 160).rstrip('.')}."
        for reason in case.reasons
        if reason.points < 0
    )


def _subject(case: Case, finding: Finding) -> str:
    nodes = {node.key: node for node in case.tree}
    node = nodes.get(finding.process or "")
    name = shorten(node.name or node.path if node else process_name(finding), 60) or "A process"
    pid = f" (process {node.pid})" if node and node.pid is not None else ""
    user = f" as {shorten(finding.user, 60)}" if finding.user else ""
    host = shorten(finding.host, 80) or "an unknown host"
    return f"{name}{pid} ran on {host}{user}{_lineage(nodes, node)}"


def process_name(finding: Finding) -> str:
    """The name of the process that did it, as the event tells it."""
    new = finding.event.table == "DeviceProcessEvents"
    columns = ("FileName", "FolderPath") if new else ("InitiatingProcessFileName", "InitiatingProcessFolderPath")
    return next((str(finding.row[column]) for column in columns if finding.row.get(column)), "")


def _lineage(nodes: dict[str, ProcessNode], node: ProcessNode | None) -> str:
    names: list[str] = []
    while node is not None and node.parent is not None and len(names) < 3:
        node = nodes.get(node.parent)
        if node is not None and (node.name or node.path):
            names.append(shorten(node.name or node.path, 60))
    if not names:
        return ""
    return f", started by {names[0]}" + (f" under {' under '.join(names[1:])}" if names[1:] else "")


def _others(case: Case, top: Finding) -> str:
    others = len({finding.rule_id for finding in case.findings} - {top.rule_id})
    same = sum(finding.rule_id == top.rule_id for finding in case.findings) - 1
    words = [f"it matched {same:,} more times" if same > 1 else "it matched once more"] if same else []
    if others:
        words.append(f"{others:,} other {'rule matched' if others == 1 else 'rules matched'}")
    return "".join(f"; {word}" for word in words)
