"""Mapping files: which raw field fills which column. A new JSON product is a file like these, not a module.

Read by `docs/reference/sources.md`, which shows every key. Checked when loaded: a wrong key, column, table or
conversion is a ContentError that says the file, the line and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from perilune.errors import ContentError
from perilune.model.tables import BOOL, COLUMNS, LONG, TABLES, TEXT, TEXTS, TIME
from perilune.readers.values import DERIVED

FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """Several raw fields put together to one text; null where one of them is."""

    paths: tuple[FieldPath, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is filled: the first of `sources` that holds something, converted.

    how     `text`, `int`, `bool`, `time`, `texts`, `json`, or a name of `values.DERIVED`
    values  raw text to column text; what is not listed becomes `otherwise`, or stays when that is None
    absent  raw texts that mean "nothing" here
    """

    name: str
    sources: tuple[FieldPath | Joined, ...]
    how: str
    values: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Extra:
    """Which raw object's unmapped fields become the JSON of AdditionalFields.

    of    the object; `()` is the whole record
    add   further fields, put in under these names unless the object has them
    drop  values not worth keeping
    """

    of: FieldPath
    add: Mapping[str, FieldPath] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recognise:
    """Which JSON records are of this kind: all of `has` present, and all of `equals` equal as text."""

    has: tuple[FieldPath, ...] = ()
    equals: Mapping[FieldPath, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Map:
    """One kind of raw record and the table that it fills.

    as_is     raw fields named as a column fill that column
    siblings  the raw fields that are read, by the object they stand in
    taken     the fields of `extra`'s object that a column takes
    """

    kinds: tuple[str, ...]
    table: str
    columns: tuple[Column, ...]
    constants: Mapping[str, object] = field(default_factory=dict)
    extra: Extra | None = None
    recognise: Recognise | None = None
    as_is: bool = False
    siblings: Mapping[FieldPath, tuple[str, ...]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Mappings:
    """All maps, by kind; `windows:*` is chosen for every kind of `windows:` that has no map of its own."""

    by_kind: Mapping[str, Map]
    recognised: tuple[Map, ...] = ()

    def find(self, kind: str) -> Map | None:
        return self.by_kind.get(kind) or self.by_kind.get(kind.split(":", 1)[0] + ":*")


@cache
def packaged() -> Mappings:
    """The mappings that ship with Perilune."""
    folder = files("perilune") / "content" / "mappings"
    return load_all(sorted((f for f in folder.iterdir() if f.name.endswith(".yml")), key=lambda f: f.name))


def load_all(sources: Sequence[Path | Traversable]) -> Mappings:
    """The maps of several files; of two maps for one kind the later one counts."""
    by_kind: dict[str, Map] = {}
    for source in sources:
        for one in parse(source.read_text(encoding="utf-8"), str(source)):
            by_kind |= dict.fromkeys(one.kinds, one)
    unique = {id(one): one for one in by_kind.values()}.values()
    return Mappings(by_kind, tuple(one for one in unique if one.recognise))


# --- reading one file, every value with its line


@dataclass(frozen=True, slots=True)
class _Node:
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

    def items(self) -> Iterator[_Node]:
        if not isinstance(self.value, list):
            raise self.wrong(f"a list is needed, not {type(self.value).__name__}")
        yield from self.value

    def keys(self, *, known: Sequence[str] = (), needed: Sequence[str] = ()) -> dict[str, _Node]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"keys and values are needed, not {type(self.value).__name__}")
        for name in self.value:
            if known and name not in known:
                raise self.wrong(f"unknown key {name!r}", _suggest(name, known))
        for name in needed:
            if name not in self.value:
                raise self.wrong(f"the key {name!r} is missing")
        return dict(self.value)

    def plain(self) -> object:
        if isinstance(self.value, list):
            return [node.plain() for node in self.items()]
        return self.value


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(list(known)[:20])


def _locate(text: str, where: str) -> _Node:
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


def _node(loader: yaml.CSafeLoader, node: yaml.Node, file: str, path: str, depth: int) -> _Node:
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
    return _Node(value, where, path)


# --- from nodes to maps

_FILE_KEYS = ("about", "shared", "maps")
_MAP_KEYS = ("kind", "table", "use", "constants", "columns", "extra", "recognise", "absent", "flat", "as_is")
_COLUMN_KEYS = ("from", "as", "values", "otherwise", "absent")
_EXTRA_KEYS = ("of", "add", "drop")
_DEFAULT_HOW = {TEXT: "text", LONG: "int", BOOL: "bool", TIME: "time", TEXTS: "texts"}
_TYPE_NAMES = {"int": LONG, "bool": BOOL, "time": TIME, "texts": TEXTS}


def parse(text: str, where: str) -> list[Map]:
    """The maps of one file, or a ContentError that says which line is wrong."""
    top = _locate(text, where).keys(known=_FILE_KEYS, needed=("maps",))
    shared = top["shared"].keys() if "shared" in top else {}
    return [_map(node, shared) for node in top["maps"].items()]


def _map(node: _Node, shared: Mapping[str, _Node]) -> Map:
    keys = node.keys(known=_MAP_KEYS, needed=("kind", "table"))
    table = keys["table"].text()
    if table not in TABLES:
        raise keys["table"].wrong(f"unknown table {table!r}", _suggest(table, list(TABLES)))
    to_path = _flat if "flat" in keys and keys["flat"].value else _dotted
    absent = _words(keys.get("absent"))
    columns: dict[str, Column] = {}
    for name, spec in _specs(keys, shared):
        _known_column(table, name, spec)
        columns[name] = _column(name, spec, absent, to_path)
    extra = _extra(keys["extra"], to_path) if "extra" in keys else None
    paths = _paths(columns.values())
    return Map(
        kinds=_kinds(keys["kind"]),
        table=table,
        columns=tuple(columns.values()),
        constants=_constants(keys.get("constants"), table),
        extra=extra,
        recognise=_recognise(keys["recognise"], to_path) if "recognise" in keys else None,
        as_is=bool(keys["as_is"].value) if "as_is" in keys else False,
        siblings=_siblings((*paths, *(extra.add.values() if extra else ()))),
        taken=frozenset(path[-1] for path in paths if extra and path[:-1] == extra.of),
        source=node.where,
    )


def _paths(columns: Iterable[Column]) -> tuple[FieldPath, ...]:
    """Every raw field that the columns are filled from."""
    sources = [source for column in columns for source in column.sources]
    return tuple(path for one in sources for path in (one.paths if isinstance(one, Joined) else (one,)))


def _siblings(paths: Iterable[FieldPath]) -> dict[FieldPath, tuple[str, ...]]:
    """The names wanted of each object, the objects on the way to nested ones included."""
    found: dict[FieldPath, dict[str, None]] = {}
    for path in paths:
        for depth in range(len(path)):
            found.setdefault(path[:depth], {})[path[depth]] = None
    return {parent: tuple(names) for parent, names in found.items()}


def _specs(keys: Mapping[str, _Node], shared: Mapping[str, _Node]) -> Iterator[tuple[str, _Node]]:
    for use in keys["use"].items() if "use" in keys else ():
        if use.text() not in shared:
            raise use.wrong(f"nothing is shared as {use.text()!r}", _suggest(use.text(), list(shared)))
        yield from shared[use.text()].keys().items()
    if "columns" in keys:
        yield from keys["columns"].keys().items()


def _known_column(table: str, name: str, node: _Node) -> None:
    known = TABLES[table].columns
    if name not in known:
        raise node.wrong(f"{table} has no column {name!r}", _suggest(name, known))


def _kinds(node: _Node) -> tuple[str, ...]:
    found = [one.text() for one in node.items()] if isinstance(node.value, list) else [node.text()]
    for kind in found:
        if ":" not in kind:
            raise node.wrong(f"a kind is `family:name`, not {kind!r}")
    return tuple(found)


def _words(node: _Node | None) -> frozenset[str]:
    return frozenset() if node is None else frozenset(one.text() for one in node.items())


def _constants(node: _Node | None, table: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in node.keys().items() if node else ():
        _known_column(table, name, value)
        found[name] = value.plain()
    return found


_ToPath = Callable[[str], FieldPath]


def _dotted(text: str) -> FieldPath:
    return tuple(text.split("."))


def _flat(text: str) -> FieldPath:
    return (text,)


def _column(name: str, node: _Node, absent: frozenset[str], to_path: _ToPath) -> Column:
    if not isinstance(node.value, dict):
        return Column(name, _sources(node, to_path), _how(name, None), absent=absent)
    keys = node.keys(known=_COLUMN_KEYS, needed=("from",))
    return Column(
        name,
        _sources(keys["from"], to_path),
        _how(name, keys.get("as")),
        values={raw: value.text() for raw, value in keys["values"].keys().items()} if "values" in keys else {},
        otherwise=keys["otherwise"].text() if "otherwise" in keys else None,
        absent=absent | _words(keys.get("absent")),
    )


def _how(name: str, node: _Node | None) -> str:
    kind = COLUMNS[name]
    if node is None:
        return _DEFAULT_HOW[kind]
    how = node.text()
    known = ("text", "json", *_TYPE_NAMES, *DERIVED)
    if how not in known:
        raise node.wrong(f"unknown conversion {how!r}", _suggest(how, known))
    if _TYPE_NAMES.get(how, TEXT) != kind:
        raise node.wrong(f"{how!r} does not give {kind}, which {name} is")
    return how


def _sources(node: _Node, to_path: _ToPath) -> tuple[FieldPath | Joined, ...]:
    parts = list(node.items()) if isinstance(node.value, list) else [node]
    return tuple(_source(part, to_path) for part in parts)


def _source(node: _Node, to_path: _ToPath) -> FieldPath | Joined:
    if not isinstance(node.value, dict):
        return to_path(node.text())
    keys = node.keys(known=("join", "by"), needed=("join", "by"))
    return Joined(tuple(to_path(part.text()) for part in keys["join"].items()), keys["by"].text())


def _extra(node: _Node, to_path: _ToPath) -> Extra:
    keys = node.keys(known=_EXTRA_KEYS, needed=("of",))
    of = keys["of"].text()
    add = keys["add"].keys() if "add" in keys else {}
    return Extra(
        of=to_path(of) if of else (),
        add={name: to_path(path.text()) for name, path in add.items()},
        drop=_words(keys.get("drop")),
    )


def _recognise(node: _Node, to_path: _ToPath) -> Recognise:
    keys = node.keys(known=("has", "equals"))
    equals = keys["equals"].keys() if "equals" in keys else {}
    return Recognise(
        has=tuple(to_path(part.text()) for part in keys["has"].items()) if "has" in keys else (),
        equals={to_path(path): value.text() for path, value in equals.items()},
    )
