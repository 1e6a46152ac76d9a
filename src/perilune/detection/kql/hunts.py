"""Hunts as rules: KQL files whose rows become findings, as the matches of a Sigma rule do. `hunting` runs them.

A hunt begins with its header, YAML in comments between two lines `// ---`:

    // ---
    // title: Lua runs another program
    // id: 0e9d7bb0-…
    // severity: high
    // attack: [T1059.011]
    // evidence: [ProcessCommandLine]
    // ---
    DeviceProcessEvents | where …

Each row of the result must lead back to one event, which filters, columns, sorting, joins (by their left side) and
groups (by their first event) all keep.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from perilune.detection.kql.errors import nearest
from perilune.errors import RuleError
from perilune.model.rules import Level, Or, Refusal, Rule, RuleSet, Scope
from perilune.model.tables import TABLES

MAX_BYTES = 200_000
FENCE = "// ---"
_TEXTS = ("title", "id", "description", "author", "license", "link", "status")
_LISTS = ("attack", "tags", "references", "falsepositives", "evidence", "entities")
KEYS = (*_TEXTS, "severity", *_LISTS)


def load(paths: Iterable[Path]) -> RuleSet:
    """The hunts of files and folders. One that is wrong is refused by name, and the rest are there."""
    rules: list[Rule] = []
    refused: list[Refusal] = []
    for path in _files(paths):
        try:
            text = path.read_bytes()[: MAX_BYTES + 1].decode("utf-8-sig")
            rules.append(parse(text, str(path)))
        except UnicodeDecodeError:
            refused.append(Refusal(str(path), path.stem, "it is no UTF-8"))
        except (RuleError, OSError) as error:
            refused.append(Refusal(str(path), path.stem, error.what if isinstance(error, RuleError) else str(error)))
    return RuleSet(tuple(rules), tuple(refused))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.kql")) if path.is_dir() else [path] if path.suffix == ".kql" else []
    return found


def parse(text: str, source: str) -> Rule:
    """A hunt as a rule, its header checked. The query itself is bound when it is run or checked. Raises `RuleError`."""
    if len(text) > MAX_BYTES:
        raise RuleError(f"it has more than {MAX_BYTES:,} characters", where=source)
    header = _header(text, source)
    shown = (*_listed(header, "evidence"), *_listed(header, "entities"))
    tables = [name for name in TABLES if re.search(rf"\b{name}\b", text)]
    techniques = tuple(f"attack.{one.lower()}" for one in _listed(header, "attack"))
    return Rule(
        id=_text(header, "id"),
        title=_text(header, "title"),
        level=_level(header, source),
        scopes=tuple(Scope(table, Or(())) for table in tables),
        source=source,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        author=_text(header, "author"),
        description=_text(header, "description"),
        status=_text(header, "status"),
        license=_text(header, "license"),
        link=_text(header, "link"),
        tags=(*techniques, *_listed(header, "tags")),
        references=_listed(header, "references"),
        falsepositives=_listed(header, "falsepositives"),
        extra={"kql": text, "evidence": "\n".join(dict.fromkeys(shown))},
    )


def is_hunt(rule: Rule) -> bool:
    return "kql" in rule.extra


# Words of a query that may look into, or give, columns that it does not name.
_WHOLE = re.compile(r"\b(?:search|find|pack_all|bag_unpack|getschema)\b|\*\s*(?:has|contains|==|=~|matches|startswith)")
_TEXT = re.compile(r"""@?(?:"[^"\n]*"|'[^'\n]*')""")
_CHOSEN = re.compile(r"\|\s*(?:project|project-reorder|summarize)\s")


def columns_of(rules: Iterable[Rule], table: str) -> tuple[str, ...] | None:
    """The columns of a table that hunts can need, which are those that they name; None for all."""
    mine = [rule for rule in rules if any(scope.table == table for scope in rule.scopes)]
    texts = [re.sub(r"(?m)^\s*//.*$", "", rule.extra["kql"]) for rule in mine]
    if any(_WHOLE.search(_TEXT.sub("''", text)) or not _CHOSEN.search(text) for text in texts):
        return None
    named = (*texts, *(rule.extra["evidence"] for rule in mine))
    words = {word for text in named for word in re.findall(r"\w+", text)}
    return tuple(name for name in TABLES[table].columns if name in words or name == "Timestamp")


def _header(text: str, source: str) -> Mapping[str, object]:
    lines = text.lstrip().split("\n")
    if not lines or lines[0].strip() != FENCE:
        raise RuleError(f"it does not begin with a header between two lines {FENCE!r}", where=source)
    end = next((n for n, line in enumerate(lines[1:], start=1) if line.strip() == FENCE), 0)
    inner = [line.strip().removeprefix("//") for line in lines[1:end]]
    if not end or not all(line.strip().startswith("//") for line in lines[1:end]):
        raise RuleError(f"its header is not closed by a line {FENCE!r}", where=source)
    try:
        found = yaml.safe_load("\n".join(line.removeprefix(" ") for line in inner))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RuleError(f"its header is no YAML: {' '.join(str(error).split())[:200]}", where=source) from None
    if not isinstance(found, dict):
        raise RuleError("its header is no mapping", where=source)
    for key in found:
        if key not in KEYS:
            raise RuleError(f"unknown key {key!r} in its header", where=source, hint=nearest(str(key), KEYS))
    for key in ("title", "id", "severity"):
        if not found.get(key):
            raise RuleError(f"its header has no {key}", where=source)
    return found


def _text(header: Mapping[str, object], key: str) -> str:
    value = header.get(key)
    return "" if value is None else " ".join(str(value).split())


def _listed(header: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = header.get(key)
    if isinstance(value, Mapping):
        value = list(value.values())
    items = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(str(item) for item in items)


def _level(header: Mapping[str, object], source: str) -> Level:
    word = _text(header, "severity").upper()
    if word not in Level.__members__:
        names = ", ".join(level.word for level in Level)
        raise RuleError(f"its severity {word.lower()!r} is none of {names}", where=source)
    return Level[word]
