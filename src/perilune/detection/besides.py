"""The YAML file beside a rule: what it must hit and must miss, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from perilune.detection.files import MAX_FILE
from perilune.errors import RuleError

KINDS = ("hit", "miss")
MAX_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """One thing under `hit` or `miss`, as YAML gave it. `where` is `file:line`."""

    kind: str
    number: int
    value: object
    where: str


def load_items(path: Path, what: str) -> Iterator[Item]:
    """Everything under `hit` and `miss`; `what` names it in errors. Raises RuleError that says which line is wrong."""
    data, nodes = _parse(path, what)
    for kind, node in nodes.items():
        where = f"{path}:{node.start_mark.line + 1}"
        if kind not in KINDS:
            raise RuleError(f"unknown kind of {what} {kind!r}: there are `hit` and `miss`", where=where)
        given = data[kind]
        if not isinstance(given, list) or not isinstance(node, yaml.SequenceNode):
            raise RuleError(f"`{kind}` is not a list of {what}", where=where)
        if len(given) > MAX_ITEMS:
            raise RuleError(f"more than {MAX_ITEMS:,} {what} under `{kind}`", where=where)
        for number, (one, at) in enumerate(zip(given, node.value, strict=True), start=1):
            yield Item(kind, number, one, f"{path}:{at.start_mark.line + 1}")


def _parse(path: Path, what: str) -> tuple[Mapping[str, object], Mapping[str, yaml.Node]]:
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MAX_FILE:
            raise RuleError(f"larger than {MAX_FILE >> 20} MiB", where=str(path))
        top = yaml.compose(text, yaml.CSafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise RuleError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RuleError(f"not valid YAML: {error}", where=str(path)) from None
    if not isinstance(top, yaml.MappingNode) or not isinstance(data, dict):
        raise RuleError(f"{what} are a mapping of `hit` and `miss`", where=f"{path}:1")
    return data, {key.value: value for key, value in top.value}
