"""One comparison of a rule, as the comparisons that our columns need.

Sources spell the same thing differently: a registry hive, a hash among hashes or in its own column, a path or
only its last part, a number in hexadecimal. Each rewrite below adds spellings; none takes the original away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from perilune.detection.values import spelled
from perilune.model.rules import And, Compare, Exists, Expr, Field, Number, Or, Text, Wildcard
from perilune.model.tables import COLUMNS

Parts = tuple[str | Wildcard, ...]

# Fields that hold the path of a program, and may hold only its last part.
_PROGRAMS = frozenset({"Image", "ParentImage", "GrandParentImage", "GrandparentImage", "NewProcessName"})
_ACTIONS: Mapping[str, str] = {
    "setvalue": "RegistryValueSet",
    "deletevalue": "RegistryValueDeleted",
    "renamevalue": "RegistryValueRenamed",
    "createkey": "RegistryKeyCreated",
    "deletekey": "RegistryKeyDeleted",
    "renamekey": "RegistryKeyRenamed",
}
_HASH_COLUMNS: Mapping[str, str] = {"MD5": "MD5", "SHA1": "SHA1", "SHA256": "SHA256", "IMPHASH": "XImphash"}
_HASH = re.compile(r"(MD5|SHA1|SHA256|IMPHASH)=([0-9a-f]{32,64})", re.IGNORECASE | re.ASCII)
# Sysmon's short names, Defender's long ones; the control set in use, and the one that it usually is.
_HIVES = (
    ("HKLM\\", "HKEY_LOCAL_MACHINE\\"),
    ("HKU\\", "HKEY_USERS\\"),
    ("HKCR\\", "HKEY_CLASSES_ROOT\\"),
    ("HKCU\\", "HKEY_CURRENT_USER\\"),
)
_CONTROL_SETS = ("\\CurrentControlSet\\", "\\ControlSet001\\")


def spellings(test: Text) -> Expr:
    """The test, or one that also holds on the other spellings of the same thing."""
    if test.cased:
        return test
    column = test.field.column
    if pa.types.is_integer(COLUMNS[column]):
        return _number(test)
    found: list[Expr] = [test]
    for rewrite in _REWRITES.get(column, ()):
        found.extend(rewrite(test))
    if test.field.name in _PROGRAMS:
        found.extend(_last_part(test))
    if test.field.name == "EventType":
        found.extend(_action(test))
    unique = tuple(dict.fromkeys(found))
    return unique[0] if len(unique) == 1 else Or(unique)


def _number(test: Text) -> Expr:
    """A text such as `0x3e7`, compared with a column of numbers."""
    if len(test.parts) == 1 and isinstance(test.parts[0], str):
        value = spelled(test.parts[0])
        if value is not None:
            return Number(test.field, Compare.EQ, value)
    return test


def _last_part(test: Text) -> Iterator[Expr]:
    """`*\\cmd.exe` also holds on a column that has only `cmd.exe`."""
    match test.parts:
        case (Wildcard.MANY, str(tail), *rest) if tail[0] in "\\/" and _is_name(tail[1:]):
            yield Text(test.field, (tail[1:], *rest))


def _is_name(text: str) -> bool:
    return bool(text) and not any(slash in text for slash in "\\/")


def _hash_columns(test: Text) -> Iterator[Expr]:
    """`*SHA256=ab…*` also holds on the column of that hash."""
    for part in test.parts:
        if isinstance(part, str):
            for found in _HASH.finditer(part):
                column = _HASH_COLUMNS[found[1].upper()]
                yield Text(Field(test.field.name, column), (found[2],))


def _hash_list(test: Text) -> Iterator[Expr]:
    """A whole hash also holds on the list of all hashes, where the source gives only that."""
    name = next(name for name, column in _HASH_COLUMNS.items() if column == test.field.column)
    match test.parts:
        case (str(value),) if value:
            field = Field(test.field.name, "XHashes")
            yield Text(field, (Wildcard.MANY, f"{name}={value}", Wildcard.MANY))


def _action(test: Text) -> Iterator[Expr]:
    """Sysmon's name of a registry event is an action to Defender."""
    match test.parts:
        case (str(name),) if name.lower() in _ACTIONS:
            yield Text(Field(test.field.name, "ActionType"), (_ACTIONS[name.lower()],))


def _registry(test: Text) -> Iterator[Expr]:
    """Other spellings of the key, and the key apart from its value's name (Defender has two columns)."""
    if test.field.name != "TargetObject":
        return
    for parts in (test.parts, *_respelled(test.parts)):
        if parts != test.parts:
            yield Text(test.field, parts)
        yield from _key_and_name(test.field, parts)


def _respelled(parts: Parts) -> Iterator[Parts]:
    for control in (parts, *_swapped(parts, (_CONTROL_SETS,), _inside)):
        for hive in (control, *_swapped(control, _HIVES, _at_start)):
            if hive != parts:
                yield hive


def _swapped(parts: Parts, pairs: Iterable[tuple[str, str]], replace: Callable[[str, str, str], str]
             ) -> Iterator[Parts]:  # fmt: skip
    for one, other in pairs:
        for old, new in ((one, other), (other, one)):
            changed = tuple(p if isinstance(p, Wildcard) else replace(p, old, new) for p in parts)
            if changed != parts:
                yield changed


def _at_start(part: str, old: str, new: str) -> str:
    return new + part[len(old) :] if part.lower().startswith(old.lower()) else part


def _inside(part: str, old: str, new: str) -> str:
    return re.sub(re.escape(old), new.replace("\\", r"\\"), part, flags=re.IGNORECASE)


def _key_and_name(field: Field, parts: Parts) -> Iterator[Expr]:
    """The pattern cut at its last backslash: what is before it ends the key, what is after begins the name."""
    rest = parts[-1:] if parts and parts[-1] is Wildcard.MANY else ()
    match parts[: len(parts) - len(rest)]:
        case (*head, str(tail)) if "\\" in tail and tail != "\\" and (rest or not tail.endswith("\\")):
            key, _, name = tail.rpartition("\\")
            named = Field(field.name, "RegistryValueName")
            after = Text(named, (name, *rest)) if name else Exists(named)
            yield And((Text(field, (*head, key) if key else (*head,)), after))


_REWRITES: Mapping[str, tuple[Callable[[Text], Iterator[Expr]], ...]] = {
    "XHashes": (_hash_columns,),
    "MD5": (_hash_list,),
    "SHA1": (_hash_list,),
    "SHA256": (_hash_list,),
    "XImphash": (_hash_list,),
    "RegistryKey": (_registry,),
}
