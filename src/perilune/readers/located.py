"""YAML of which every value knows its line, so that a fault in a content file is said with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import yaml

from perilune.errors import ContentError


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the YAML file, where it stands, and its path in words."""

    value: object
    where: str
    path: str

    def wrong(self, what: str, hint: str | None = None) -> ContentError:
        return ContentError(f"{what} @ {self.path}", where=self.where, hint=hint)

    def text(self) -> str:
        if isinstance(self.value, str):
            return self.value
        raise self.wrong(f"a text is needed, not {type(self.value).__name__}")

    def items(self) -> Iterator[Node]:
        if not isinstance(self.value, list):
            raise self.wrong(f"a list is needed, not {type(self.value).__name__}")
        yield from self.value

    def keys(self, *, known: Sequence[str] = (), needed: Sequence[str] = ()) -> dict[str, Node]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"keys and values are needed, not {type(self.value).__name__}")
        for name in self.value:
            if known and name not in known:
                raise self.wrong(f"unknown key {name!r}", suggest(name, known))
        for name in needed:
            if name not in self.value:
                raise self.wrong(f"the key {name!r} is missing")
        return dict(self.value)

    def plain(self) -> object:
        if isinstance(self.value, list):
            return [node.plain() for node in self.items()]
        return self.value


def suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(list(known)[:20])


def locate(text: str, where: str) -> Node:
    loader = yaml.CSafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise ContentError("the file is empty", where=where)
        return _node(loader, root, where, "$", 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{where}:{mark.line + 1}" if mark else where
        raise ContentError(f"not YAML: {getattr(error, 'problem', error)}", where=line) from None
    finally:
        loader.dispose()


def _node(loader: yaml.CSafeLoader, node: yaml.Node, file: str, path: str, depth: int) -> Node:
    where = f"{file}:{node.start_mark.line + 1}"
    if depth > 20:
        raise ContentError(f"nested too deeply @ {path}", where=where)
    value: object
    if isinstance(node, yaml.MappingNode):
        value = {
            str(loader.construct_object(key)): _node(loader, child, file, f"{path}.{key.value}", depth + 1)
            for key, child in node.value
        }
    elif isinstance(node, yaml.SequenceNode):
        value = [_node(loader, child, file, f"{path}[{n}]", depth + 1) for n, child in enumerate(node.value)]
    else:
        value = loader.construct_object(node)
    return Node(value, where, path)
