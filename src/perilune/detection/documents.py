"""The YAML documents of rule files, read inside a budget, with the line that each begins on.

Rule files come from anywhere. The budgets below are far above what SigmaHQ needs (its largest file has 295 kB
and 2,300 values) and far below what hurts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from perilune.detection.files import RuleFile
from perilune.errors import RuleError

MAX_DEPTH = 40
MAX_NODES = 40_000  # of one document, its aliases expanded

Plain = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its data, its text's digest, and where the things in it stand."""

    origin: str
    line: int
    data: Plain
    digest: str
    node: yaml.MappingNode

    @property
    def where(self) -> str:
        return f"{self.origin}:{self.line}"

    @property
    def title(self) -> str:
        return str(self.data.get("title") or "")

    def at(self, *names: str) -> str:
        """`file:line` of the first key that is one of the names, modifiers aside; else of the document."""
        wanted = frozenset(names)
        for key in _keys(self.node):
            if key.value in wanted or key.value.partition("|")[0] in wanted:
                return f"{self.origin}:{key.start_mark.line + 1}"
        return self.where


def _keys(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        key, value = child if isinstance(child, tuple) else (None, child)
        if isinstance(key, yaml.ScalarNode):
            yield key
        yield from _keys(value)


def documents(file: RuleFile) -> Iterator[Document | RuleError]:
    """The documents of a file; what is wrong with one of them is an error with its place, not an exception."""
    if file.fault:
        yield RuleError(file.fault, where=file.origin)
        return
    try:
        _within_depth(file)
        yield from _documents(file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        yield RuleError(f"not valid YAML: {error.problem or error}", where=f"{file.origin}:{line}")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        yield RuleError(f"not valid YAML: {error}", where=f"{file.origin}:1")
    except RuleError as error:
        yield error


def _documents(file: RuleFile) -> Iterator[Document | RuleError]:
    loader = yaml.CSafeLoader(file.text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:  # pragma: no cover  check_node said otherwise
                return
            where = f"{file.origin}:{node.start_mark.line + 1}"
            try:
                found = _document(file, node, where, loader)
            except RuleError as error:
                yield error
                continue
            if found is not None:
                yield found
    finally:
        loader.dispose()


def _document(file: RuleFile, node: yaml.Node, where: str, loader: yaml.CSafeLoader) -> Document | None:
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return None  # an empty document, as after a trailing `---`
    if not isinstance(node, yaml.MappingNode):
        raise RuleError("not a Sigma rule: the document is not a mapping", where=where)
    if not _is_plain(file.text):
        _check_size(node, where)
    _unique_keys(node, file.origin)
    data = loader.construct_document(node)
    text = file.text[node.start_mark.index : node.end_mark.index]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Document(file.origin, node.start_mark.line + 1, data, digest, node)


def _is_plain(text: str) -> bool:
    """Whether a text is too short to hold too much, and has no aliases to make more of it."""
    return len(text) < MAX_NODES and "&" not in text and _nesting(text) <= MAX_DEPTH


def _check_size(node: yaml.Node, where: str) -> None:
    try:
        size = _size(node, {}, ())
    except RuleError as error:
        raise RuleError(error.what, where=where) from None
    if size > MAX_NODES:
        raise RuleError(f"more than {MAX_NODES:,} YAML nodes, aliases expanded", where=where)


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many nodes the tree has when every alias is replaced by what it stands for."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in above:
        raise RuleError("a YAML alias contains itself")
    if len(above) > MAX_DEPTH:
        raise RuleError(f"nested deeper than {MAX_DEPTH} levels")
    if id(node) not in known:
        children = (item for child in node.value for item in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_size(child, known, (*above, id(node))) for child in children)
    return known[id(node)]


def _unique_keys(node: yaml.Node, origin: str) -> None:
    """A key given twice would silently hide what stands under the first."""
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        _unique_keys(child[1] if isinstance(child, tuple) else child, origin)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise RuleError(f"the key {key.value!r} is given twice", where=f"{origin}:{key.start_mark.line + 1}")
            if isinstance(key.value, str):
                seen.add(key.value)


_SURELY_SHALLOW = 400
_LEADING = re.compile(r"^[ \-?]*", re.MULTILINE)


def _nesting(text: str) -> int:
    """How deep a text could be nested at most, by the characters that nest."""
    return text.count("[") + text.count("{") + 2 * max((len(lead) for lead in _LEADING.findall(text)), default=0)


def _within_depth(file: RuleFile) -> None:
    """Refuses what is nested too deeply, before a parser that recurses sees it."""
    if _nesting(file.text) <= _SURELY_SHALLOW:
        return  # too few characters to nest dangerously with; `_size` looks closer
    depth = 0
    for event in yaml.parse(file.text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise RuleError(f"nested deeper than {MAX_DEPTH} levels", where=f"{file.origin}:{line}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
