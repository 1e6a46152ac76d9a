"""Runs of interpreters out of process events: who, where, from what, with which script and what kind of arguments.

Whole columns at once; each distinct name and command line is looked at once. What is particular to one run (numbers,
temporary names, a user's own folder) is taken out, so that the same habit is the same value on another day.
"""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.baseline import CPU_STEPS, MEMORY_STEPS, Use
from perilune.model.tables import Table

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

Programs = Callable[[str, str], str]  # (image, original file name) -> the interpreter's name, or ``

TABLE = "DeviceProcessEvents"
COLUMNS = """
    Timestamp DeviceName FileName FolderPath ProcessCommandLine ProcessVersionInfoOriginalFileName XUser AccountName
    InitiatingProcessFileName InitiatingProcessFolderPath ProcessId XSourceFile XSourceRecord AdditionalFields
""".split()
TEXTS = ("interpreter", "host", "account", "parent", "script", "shape", "hour", "cpu", "memory")
MAX_SHAPE = 100
DAY = 86_400_000_000
_SCRIPTS = "lua[cu]?|luau|ps[md]?1|py[cw]?|sh|bash|zsh|js|jse|mjs|cjs|ts|vb[se]|wsf|hta|bat|cmd|pl|pm|rb|php|tcl|au3|a3x|ahk|nse|scpt|applescript|kix|r|jl|exs|groovy|ksh|csh|fish"
_FILE = rf"(?i)(?:\"(?P<quoted>[^\"]{{1,400}}\.(?:{_SCRIPTS}))\"|(?:^|[\s=@'])(?P<plain>[^\s\"'=@]{{1,400}}\.(?:{_SCRIPTS})))(?:[\"'\s,;)]|$)"
_GENERAL = (  # of a script's path
    (r"(?i)^([a-z]:\\users\\|/home/|/users/)[^\\/]+", r"\1*"),
    (r"(?i)[0-9a-f]{8}-?[0-9a-f-]{8,}|[0-9a-f]{12,}|\d{3,}", "#"),
)
_SHAPE = (  # of the arguments, one after the other
    (r"\"[^\"]*\"|'[^']*'", "S"),
    (r"(?i)\b[a-z]{2,8}://\S+", "U"),
    (r"(?i)[a-z]:[\\/][^\s,;]*|\\\\[^\s,;]*|/[^\s,;/]+/[^\s,;]*|[\w.*-]+[\\/][^\s,;]*", "P"),  # `/c` is none
    (r"[A-Za-z0-9+/=_-]{32,}", "B"),
    (rf"(?i)[^\s=]+\.(?:{_SCRIPTS})\b", "F"),
    (r"(?i)\b0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", "0"),
)

# What sensors call the share of a processor and the resident memory of a process, in the fields that no column takes.
_CPU = r"(?i)\"(?:process\.cpu\.pct|cpu_?percent|cpu_?pct|cpu_?usage|percent_?processor_?time)\"\s*:\s*\"?(?P<n>\d{1,9}(?:\.\d{1,9})?)"
_MEMORY = r"(?i)\"(?:process\.memory\.rss\.bytes|resident_?size|working_?set(?:_?(?:size|bytes))?|memory_?bytes|rss_?bytes|peak_?working_?set_?size)\"\s*:\s*\"?(?P<n>\d{1,18})"


def observe(table: Table, programs: Programs) -> pa.Table:
    """The runs of interpreters among process events, one row each: place, time, digest, and `TEXTS` as dictionaries."""
    kinds = _interpreters(table, programs)
    places = np.flatnonzero(kinds.indices.fill_null(-1).to_numpy(zero_copy_only=False) >= 0)
    times = _times(table)[places]
    places = places[times >= 0]
    mine = Table(table.name, table.data.take(pa.array(places, pa.int64())))
    times = times[times >= 0]
    commands = _dictionary(mine, "ProcessCommandLine")
    found = {
        "interpreter": kinds.take(pa.array(places, pa.int64())),
        "host": _hosts(mine),
        "account": _lowered(_first(mine, "XUser", "AccountName")),
        "parent": _named(_first(mine, "InitiatingProcessFileName", "InitiatingProcessFolderPath")),
        "script": _mapped(commands, scripts),
        "shape": _mapped(commands, shapes),
        "hour": _hours(times),
        "cpu": _steps(mine, _CPU, 1, CPU_STEPS),
        "memory": _steps(mine, _MEMORY, 1 << 20, MEMORY_STEPS),
    }
    digests = _digests(times, [found["host"], commands, _first(mine, "FolderPath", "FileName")], mine)
    return pa.table({"place": pa.array(places), "time": pa.array(times), "digest": pa.array(digests), **found})


def uses(table: Table, programs: Programs) -> Iterator[Use]:
    """The same, a value each, with the event that each run is."""
    for row in observe(table, programs).to_pylist():
        texts = {name: row[name] or "" for name in TEXTS}
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["time"])
        yield Use(**texts, time=when, event=table.ref(row["place"]))


def scripts(commands: pa.Array[Any]) -> pa.Array[Any]:
    """The script that each command line names; null where it names none."""
    found = compute.extract_regex(_arguments(commands), _FILE)
    quoted, plain = found.field("quoted"), found.field("plain")
    named = compute.if_else(compute.greater(compute.utf8_length(quoted), 0), quoted, plain)
    named = compute.utf8_lower(compute.if_else(compute.is_null(found), None, named))
    for pattern, by in _GENERAL:
        named = compute.replace_substring_regex(named, pattern, by)
    return cast("pa.Array[Any]", compute.if_else(compute.equal(named, ""), None, named))


def shapes(commands: pa.Array[Any]) -> pa.Array[Any]:
    """Each command line's arguments with strings, addresses, paths, code and numbers taken out."""
    found = compute.utf8_slice_codeunits(_arguments(commands), 0, 1000)
    for pattern, by in _SHAPE:
        found = compute.replace_substring_regex(found, pattern, by)
    found = compute.utf8_trim_whitespace(compute.replace_substring_regex(found, r"\s+", " "))
    return cast("pa.Array[Any]", compute.utf8_slice_codeunits(compute.utf8_lower(found), 0, MAX_SHAPE))


def _arguments(commands: pa.Array[Any]) -> pa.Array[Any]:
    return cast("pa.Array[Any]", compute.replace_substring_regex(commands, r"^\s*(?:\"[^\"]*\"|\S+)\s*", ""))


def _interpreters(table: Table, programs: Programs) -> pa.DictionaryArray[Any, Any]:
    """The interpreter of each row, null for other programs; the original file name wins over the image."""
    images = _mapped(_first(table, "FileName", "FolderPath"), lambda names: _known(names, lambda n: programs(n, "")))
    stated = _mapped(
        _dictionary(table, "ProcessVersionInfoOriginalFileName"),
        lambda names: _known(names, lambda n: programs("", n)),
    )
    return _coalesced(stated, images)


def _known(names: pa.Array[Any], of: Callable[[str], str]) -> pa.Array[Any]:
    return pa.array([of(str(name)) or None for name in names.to_pylist()], pa.string())


def _first(table: Table, *columns: str) -> pa.DictionaryArray[Any, Any]:
    """The first of the columns that has a value, row by row."""
    found = _dictionary(table, columns[0])
    for column in columns[1:]:
        found = _coalesced(found, _dictionary(table, column))
    return found


def _coalesced(one: pa.DictionaryArray[Any, Any], other: pa.DictionaryArray[Any, Any]) -> pa.DictionaryArray[Any, Any]:
    mine, theirs = (_codes(part) for part in (one, other))
    if (mine >= 0).all() or not (theirs >= 0).any():
        return one
    joined = compute.coalesce(one.cast(pa.string()), other.cast(pa.string()))
    return cast("pa.DictionaryArray[Any, Any]", joined.dictionary_encode())


def _dictionary(table: Table, column: str) -> pa.DictionaryArray[Any, Any]:
    whole: Any = table.column(column).unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    if isinstance(whole, pa.ChunkedArray):  # an empty column has no chunk
        whole = pa.array([], pa.string()).dictionary_encode()
    return _mapped(whole, lambda texts: compute.if_else(compute.equal(texts, ""), None, texts))


def _mapped(column: Any, of: Callable[[pa.Array[Any]], pa.Array[Any]]) -> pa.DictionaryArray[Any, Any]:
    """What a function makes of the distinct values in use; those that come to the same become one."""
    codes = _codes(column)
    used = np.unique(codes)
    used = used[used >= 0]
    made: Any = of(column.dictionary.take(pa.array(used))).dictionary_encode()
    table = np.full(len(column.dictionary) + 1, -1, np.int64)
    table[used] = _codes(made)
    return _from_codes(table[codes], made.dictionary)


def _codes(column: Any) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _from_codes(codes: npt.NDArray[np.int64], values: Any) -> pa.DictionaryArray[Any, Any]:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), values)


def _lowered(column: pa.DictionaryArray[Any, Any]) -> pa.DictionaryArray[Any, Any]:
    return _mapped(column, compute.utf8_lower)


def _named(column: pa.DictionaryArray[Any, Any]) -> pa.DictionaryArray[Any, Any]:
    """Base names in lower case."""
    return _mapped(column, lambda p: compute.utf8_lower(compute.replace_substring_regex(p, r"^.*[\\/]", "")))


def _hosts(table: Table) -> pa.DictionaryArray[Any, Any]:
    """The host's name in lower case; rows that name none are of their file, as everywhere in Perilune."""
    named = _lowered(_dictionary(table, "DeviceName"))
    files = _mapped(_dictionary(table, "XSourceFile"), lambda p: compute.binary_join_element_wise(
        "unknown (", compute.replace_substring_regex(p, r"^.*[\\/]", ""), ")", ""
    ))  # fmt: skip
    return _coalesced(named, files)


def _times(table: Table) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; -1 where a row has no time, or one before that."""
    column = compute.fill_null(compute.cast(table.column("Timestamp"), pa.int64()), -1)
    return cast("npt.NDArray[np.int64]", column.to_numpy())


def _steps(table: Table, pattern: str, unit: int, steps: Sequence[str]) -> pa.DictionaryArray[Any, Any]:
    """The step of each row's figure; null where it has none."""

    def of(texts: pa.Array[Any]) -> pa.Array[Any]:
        found = compute.extract_regex(texts, pattern)
        numbers = found.field("n").to_pylist() if len(found) else []
        valid = found.is_valid().to_pylist()
        return pa.array(
            [_step(float(n) / unit, steps) if held and n else None for n, held in zip(numbers, valid, strict=True)],
            pa.string(),
        )

    return _mapped(_dictionary(table, "AdditionalFields"), of)


def _step(number: float, steps: Sequence[str]) -> str:
    return steps[min(max(math.ceil(number) - 1, 0).bit_length(), len(steps) - 1)]


_WEEK = [f"{day} {hour:02}" for day in ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed") for hour in range(24)]


def _hours(times: npt.NDArray[np.int64]) -> pa.DictionaryArray[Any, Any]:
    """The hour of the week in UTC; 1970 began on a Thursday."""
    return _from_codes(times // (DAY // 24) % 168, pa.array(_WEEK))


def _digests(
    times: npt.NDArray[np.int64], texts: Sequence[pa.DictionaryArray[Any, Any]], table: Table
) -> npt.NDArray[np.uint64]:
    """A number for each event that is the same whenever and from wherever the event is read."""
    found = times.astype(np.uint64)
    for column in texts:
        hashes = np.zeros(len(column.dictionary) + 1, np.uint64)
        hashes[:-1] = [_hash(value) for value in column.dictionary.to_pylist()]
        found = _mixed(found) ^ hashes[_codes(column)]
    ids = compute.fill_null(compute.cast(table.column("ProcessId"), pa.int64()), -1).to_numpy()
    return _mixed(_mixed(found) ^ ids.astype(np.uint64))


def _hash(value: str | None) -> int:
    return int.from_bytes(hashlib.blake2b((value or "").encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spreads every bit over all (the finalizer of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
