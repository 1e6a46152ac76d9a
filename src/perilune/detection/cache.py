"""Compiled rules on disk, so that a start with thousands of rules takes tenths of a second.

The key is made of the rule files' contents and of this room's own code; a changed rule or a changed program is
another key. What is read is data, never code: JSON whose digest must fit, decoded piece by piece with checks. A file
that is damaged, or written by anything else, is made anew.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast, overload

import orjson

from perilune.detection import encoding, shapes
from perilune.detection.encoding import DecodeError
from perilune.detection.files import RuleFile, find_files
from perilune.detection.shape import Shape, shape
from perilune.model.rules import Level, Refusal, Role, Rule, RuleSet, Scope

KEPT = 6  # compiled sets; the one used longest ago is removed first
_MAGIC = b"perilune rules 1\n"
_PLAIN = ("id", "title", "source", "digest", "author", "description", "status", "license", "link")
_LISTS = ("tags", "references", "falsepositives")


def load(paths: Iterable[Path], folder: Path | None) -> RuleSet:
    """The rules of files, folders and archives, from the cache in `folder` where they have not changed."""
    files = list(find_files(paths))
    with _uncollected():
        if folder is None:
            return _compiled(files)
        path = folder / f"rules-{_key(files)}.json"
        found = _read(path)
        if found is None:
            found = _compiled(files)
            _write(path, found)
        return found


def dumps(rules: RuleSet) -> bytes:
    """Compiled rules as data, for a process elsewhere."""
    return orjson.dumps(_encoded(rules))


def loads(data: bytes) -> RuleSet:
    """What `dumps` wrote. Raises `DecodeError` for anything else."""
    with _uncollected():
        try:
            return _decoded(orjson.loads(data))
        except orjson.JSONDecodeError as error:
            raise DecodeError(str(error)) from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection for the moment.

    Ugly, as it holds for the whole process; a third of the time went into walking the objects just made, none of
    which is garbage. Python's collector learning to grow its steps (as 3.14 tried) would end it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _compiled(files: Sequence[RuleFile]) -> RuleSet:
    from perilune.detection import sigma  # late: pySigma is slow to import, and a warm start does without it

    found = sigma.of_files(files)
    return RuleSet(tuple(replace(rule, compiled=shape(rule)) for rule in found.rules), found.refused)


def _key(files: Sequence[RuleFile]) -> str:
    digest = hashlib.blake2b(_code(), digest_size=20)
    for file in files:
        for part in (file.origin, file.text, file.fault):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@cache
def _code() -> bytes:
    """A digest of the code that decides what a rule means."""
    digest = hashlib.blake2b(_MAGIC)
    room = Path(__file__).parent
    for path in sorted([*room.glob("*.py"), *room.glob("*.txt"), *room.parent.glob("model/*.py")]):
        digest.update(path.read_bytes())
    return digest.digest()


def _read(path: Path) -> RuleSet | None:
    """The cached rules; None where there are none that can be trusted to be whole."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    head, body = raw[: len(_MAGIC) + 64], raw[len(_MAGIC) + 64 :]
    if head != _MAGIC + hashlib.blake2b(body).digest():
        return None
    try:
        found = _decoded(orjson.loads(body))
    except (DecodeError, orjson.JSONDecodeError):
        return None
    with suppress(OSError):
        os.utime(path)  # so that what is used is kept
    return found


def _write(path: Path, rules: RuleSet) -> None:
    """Best effort: a cache that cannot be written only makes the next start slower."""
    body = orjson.dumps(_encoded(rules))
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        partial.write_bytes(_MAGIC + hashlib.blake2b(body).digest() + body)
        partial.replace(path)
        for old in sorted(path.parent.glob("rules-*.json"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            old.unlink()
    except OSError:
        with suppress(OSError):
            partial.unlink()


def _encoded(rules: RuleSet) -> object:
    written = shapes.Writer()
    found = [_rule(rule, written) for rule in rules.rules]
    return {
        "tests": written.tests,
        "rules": found,
        "refused": [[each.source, each.title, each.reason] for each in rules.refused],
    }


def _rule(rule: Rule, written: shapes.Writer) -> list[object]:
    compiled = cast("Shape", rule.compiled)
    return [
        [getattr(rule, name) for name in _PLAIN],
        [getattr(rule, name) for name in _LISTS],
        [rule.level.value, rule.role.value, rule.lowers, dict(rule.extra)],
        orjson.dumps([[scope.table, encoding.encode(scope.expr)] for scope in rule.scopes]).decode(),
        written.shape(compiled),
    ]


def _decoded(body: object) -> RuleSet:
    match body:
        case {"tests": list(tests), "rules": list(rules), "refused": list(refused)}:
            reader = shapes.Reader(tests)
            return RuleSet(tuple(_rule_of(each, reader) for each in rules), tuple(map(_refusal_of, refused)))
    raise DecodeError("no rule set")


def _rule_of(value: object, reader: shapes.Reader) -> Rule:
    match value:
        case [list(plain), list(lists), [int(level), str(role), int(lowers), dict(extra)], str(scopes), list(stored)]:
            try:
                tags, references, positives = lists
                return Rule(
                    **dict(zip(_PLAIN, plain, strict=True)),
                    tags=tuple(tags),
                    references=tuple(references),
                    falsepositives=tuple(positives),
                    level=Level(level),
                    role=Role(role),
                    lowers=lowers,
                    extra=extra,
                    scopes=_Scopes(scopes),
                    compiled=reader.shape(stored),
                )
            except (TypeError, ValueError) as error:
                raise DecodeError(str(error)) from None
    raise DecodeError("no rule")


def _refusal_of(value: object) -> Refusal:
    match value:
        case [str(source), str(title), str(reason)]:
            return Refusal(source, title, reason)
    raise DecodeError("no refusal")


class _Scopes(Sequence[Scope]):
    """A rule's scopes, decoded when they are first looked at: a start needs none, a hit needs its own rule's."""

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: tuple[Scope, ...] | None = None

    def _all(self) -> tuple[Scope, ...]:
        if self._found is None:
            self._found = tuple(Scope(table, encoding.decode(expr)) for table, expr in orjson.loads(self._text))
        return self._found

    @overload
    def __getitem__(self, index: int) -> Scope: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Scope, ...]: ...
    def __getitem__(self, index: int | slice) -> Scope | tuple[Scope, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Scope]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(other) == self._all()

    def __hash__(self) -> int:
        return hash(self._all())
