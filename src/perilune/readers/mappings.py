"""Mapping files: which raw field fills which column. A new JSON product is a file like these, not a module.

Read by `docs/reference/sources.md`, which shows every key. Checked when loaded: a wrong key, column, table or
conversion is a ContentError that says the file, the line and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from perilune.model.tables import BOOL, COLUMNS, LONG, TABLES, TEXT, TEXTS, TIME
from perilune.readers.derivations import DERIVED
from perilune.readers.located import Node, locate, suggest
from perilune.readers.prepare import PREPARE

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
    """Which JSON records are of this kind.

    has     all of these are there
    any     at least one of these is there
    equals  each of these has one of its values, as text; one member of it, where it is a list
    """

    has: tuple[FieldPath, ...] = ()
    any: tuple[FieldPath, ...] = ()
    equals: Mapping[FieldPath, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Map:
    """One kind of raw record and the table that it fills.

    as_is     raw fields named as a column fill that column
    prepare   what is done to the raw record before, a name of `prepare.PREPARE`
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
    prepare: str = ""
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


def with_own(paths: Iterable[Path]) -> Mappings:
    """The packaged mappings and the user's files, whose maps count where both would do."""
    folder = files("perilune") / "content" / "mappings"
    shipped = sorted((f for f in folder.iterdir() if f.name.endswith(".yml")), key=lambda f: f.name)
    own = load_all(list(paths))
    both = load_all([*shipped, *paths])
    first = tuple(one for one in both.recognised if any(kind in own.by_kind for kind in one.kinds))
    return Mappings(both.by_kind, (*first, *(one for one in both.recognised if one not in first)))


def load_all(sources: Sequence[Path | Traversable]) -> Mappings:
    """The maps of several files; of two maps for one kind the later one counts."""
    by_kind: dict[str, Map] = {}
    for source in sources:
        for one in parse(source.read_text(encoding="utf-8"), str(source)):
            by_kind |= dict.fromkeys(one.kinds, one)
    unique = {id(one): one for one in by_kind.values()}.values()
    return Mappings(by_kind, tuple(one for one in unique if one.recognise))


# --- from nodes to maps

_FILE_KEYS = ("about", "shared", "maps")
_MAP_KEYS = ("kind", "table", "use", "constants", "columns", "extra", "recognise", "absent", "flat", "as_is", "prepare")
_COLUMN_KEYS = ("from", "as", "values", "otherwise", "absent")
_EXTRA_KEYS = ("of", "add", "drop")
_DEFAULT_HOW = {TEXT: "text", LONG: "int", BOOL: "bool", TIME: "time", TEXTS: "texts"}
_TYPE_NAMES = {"int": LONG, "bool": BOOL, "time": TIME, "texts": TEXTS}


def parse(text: str, where: str) -> list[Map]:
    """The maps of one file, or a ContentError that says which line is wrong."""
    top = locate(text, where).keys(known=_FILE_KEYS, needed=("maps",))
    shared = top["shared"].keys() if "shared" in top else {}
    return [_map(node, shared) for node in top["maps"].items()]


def _map(node: Node, shared: Mapping[str, Node]) -> Map:
    keys = node.keys(known=_MAP_KEYS, needed=("kind", "table"))
    table = keys["table"].text()
    if table not in TABLES:
        raise keys["table"].wrong(f"unknown table {table!r}", suggest(table, list(TABLES)))
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
        prepare=_prepare(keys.get("prepare")),
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


def _specs(keys: Mapping[str, Node], shared: Mapping[str, Node]) -> Iterator[tuple[str, Node]]:
    for use in keys["use"].items() if "use" in keys else ():
        if use.text() not in shared:
            raise use.wrong(f"nothing is shared as {use.text()!r}", suggest(use.text(), list(shared)))
        yield from shared[use.text()].keys().items()
    if "columns" in keys:
        yield from keys["columns"].keys().items()


def _known_column(table: str, name: str, node: Node) -> None:
    known = TABLES[table].columns
    if name not in known:
        raise node.wrong(f"{table} has no column {name!r}", suggest(name, known))


def _kinds(node: Node) -> tuple[str, ...]:
    found = [one.text() for one in node.items()] if isinstance(node.value, list) else [node.text()]
    for kind in found:
        if ":" not in kind:
            raise node.wrong(f"a kind is `family:name`, not {kind!r}")
    return tuple(found)


def _prepare(node: Node | None) -> str:
    name = "" if node is None else node.text()
    if node is not None and name not in PREPARE:
        raise node.wrong(f"unknown preparation {name!r}", suggest(name, list(PREPARE)))
    return name


def _words(node: Node | None) -> frozenset[str]:
    return frozenset() if node is None else frozenset(one.text() for one in node.items())


def _constants(node: Node | None, table: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in node.keys().items() if node else ():
        _known_column(table, name, value)
        found[name] = value.plain()
    return found


_ToPath = Callable[[str], FieldPath]


_STEP = re.compile(r"(?<!\\)\.")


def _dotted(text: str) -> FieldPath:
    r"""The steps into an object; `\.` is a dot within a name."""
    return tuple(step.replace("\\.", ".") for step in _STEP.split(text))


def _flat(text: str) -> FieldPath:
    return (text,)


def _column(name: str, node: Node, absent: frozenset[str], to_path: _ToPath) -> Column:
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


def _how(name: str, node: Node | None) -> str:
    kind = COLUMNS[name]
    if node is None:
        return _DEFAULT_HOW[kind]
    how = node.text()
    known = ("text", "json", *_TYPE_NAMES, *DERIVED)
    if how not in known:
        raise node.wrong(f"unknown conversion {how!r}", suggest(how, known))
    if _TYPE_NAMES.get(how, TEXT) != kind:
        raise node.wrong(f"{how!r} does not give {kind}, which {name} is")
    return how


def _sources(node: Node, to_path: _ToPath) -> tuple[FieldPath | Joined, ...]:
    parts = list(node.items()) if isinstance(node.value, list) else [node]
    return tuple(_source(part, to_path) for part in parts)


def _source(node: Node, to_path: _ToPath) -> FieldPath | Joined:
    if not isinstance(node.value, dict):
        return to_path(node.text())
    keys = node.keys(known=("join", "by"), needed=("join", "by"))
    return Joined(tuple(to_path(part.text()) for part in keys["join"].items()), keys["by"].text())


def _extra(node: Node, to_path: _ToPath) -> Extra:
    keys = node.keys(known=_EXTRA_KEYS, needed=("of",))
    of = keys["of"].text()
    add = keys["add"].keys() if "add" in keys else {}
    return Extra(
        of=to_path(of) if of else (),
        add={name: to_path(path.text()) for name, path in add.items()},
        drop=_words(keys.get("drop")),
    )


def _recognise(node: Node, to_path: _ToPath) -> Recognise:
    keys = node.keys(known=("has", "any", "equals"))
    equals = keys["equals"].keys() if "equals" in keys else {}
    return Recognise(
        has=_some_paths(keys.get("has"), to_path),
        any=_some_paths(keys.get("any"), to_path),
        equals={to_path(path): _values(value) for path, value in equals.items()},
    )


def _some_paths(node: Node | None, to_path: _ToPath) -> tuple[FieldPath, ...]:
    return () if node is None else tuple(to_path(part.text()) for part in node.items())


def _values(node: Node) -> frozenset[str]:
    return _words(node) if isinstance(node.value, list) else frozenset((node.text(),))
