"""What command lines and scripts hide, as rows that the rules can see.

The first matching pass sees a log as it was written. Where a command line or a script carries something encoded, the
analysis decodes it, and each decoded text becomes a row of `XScriptEvents` (`ActionType` `ScriptDecoded`) that the
second pass matches like any other. The row keeps its event's process, time and place in the log.
"""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.analysis import Analysis, Layer, walk
from perilune.model.tables import COLUMNS, TABLES, Table

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

ACTION = "ScriptDecoded"
MAX_TEXTS = 10_000  # distinct texts that are analysed in one hunt
MAX_SCRIPTS = 2_000  # Lua files whose text is kept until the end of a hunt
MAX_ARGUMENTS = 20
MAX_ROWS = 50_000  # decoded rows that one hunt makes
SHOWN = 2_000  # characters of a layer that a finding keeps
TEXT_OF = {"DeviceProcessEvents": "ProcessCommandLine", "XScriptEvents": "XScriptText"}

# What a text must have for its analysis to be worth the time; RE2, tried on whole columns.
WORTH = (
    r"(?i)[-/\x{2013}\x{2014}]e[a-z]*[\s:]+['\"]?[a-z0-9+/]{16}|base64|b64|[a-z0-9+/]{40}|\^[a-z]+\^|`[a-z]|\[char|\\x[0-9a-f]{2}"
    r"|\\\d{2,3}\\\d|\.char\s*\(|charcode|\bchrw?\s*\(|%\w+:~|!\w+:~|\$\{?ifs|\bxxd\b|\|\s*rev\b|\|\s*tr\b|g(un)?zip|\$'\\|[a-z]''[a-z]"
    r"|[a-z]\"\"[a-z]|-join|\}['\"]\s*\)?\s*-f\b|reverse|-b?xor|fromhex|unhexlify|\[-1\.\.|%[0-9a-f]{2}%[0-9a-f]{2}|&#\d+;&#|\\u00"
    r"|^\x1bL|['\"]\s*\+\s*['\"]|['\"]\s*\.\.\s*['\"]|['\"]\s*&\s*['\"]"
)
# And Lua code, of which what it calls is worth more than how it is written.
LUA_WORTH = r"(?i)popen|execute|\bffi\b|loadlib|socket|\bspawn|fn\.system|\b_G\b|\b_ENV\b|[gs]etfenv|runstring|https?\b|loadstring"
_OF_PROCESS = {
    "ProcessId": "InitiatingProcessId", "FileName": "InitiatingProcessFileName", "FolderPath": "InitiatingProcessFolderPath",
    "ProcessCommandLine": "InitiatingProcessCommandLine", "ProcessCreationTime": "InitiatingProcessCreationTime",
    "AccountName": "InitiatingProcessAccountName", "AccountDomain": "InitiatingProcessAccountDomain",
    "AccountSid": "InitiatingProcessAccountSid", "ProcessUniqueId": "InitiatingProcessUniqueId", "SHA256": "InitiatingProcessSHA256",
    "InitiatingProcessId": "InitiatingProcessParentId", "InitiatingProcessFileName": "InitiatingProcessParentFileName",
    "XUser": "XInitiatingProcessUser",
}  # fmt: skip
_KEPT = "Timestamp DeviceId DeviceName XSourceFile XSourceRecord XSourceFormat XPlatform XProvider XChannel XEventId XUser".split()


class Decoder:
    """Analyses the texts of one hunt, each once, within a budget."""

    def __init__(self) -> None:
        self._known: dict[str, Analysis] = {}
        self._scripts: dict[str, tuple[str, str]] = {}  # by file name: the path and text of scripts that were read
        self.rows = 0
        self.skipped = 0  # rows whose text was not analysed because the budget was used up

    def rows_of(self, batch: Table) -> Table | None:
        """The decoded rows of a batch, or None where it hides nothing."""
        column = TEXT_OF.get(batch.name)
        if column is None or not batch.has(column):
            return None
        if batch.name == "XScriptEvents":
            self._remember(batch)
        places = cast("list[int]", compute.indices_nonzero(_worth(batch)).to_pylist())
        made = list(self._decoded(batch, column, places))
        if not made:
            return None
        names = [name for name in TABLES["XScriptEvents"].columns if any(row.get(name) is not None for row in made)]
        schema = pa.schema([(name, COLUMNS[name]) for name in names])
        return Table("XScriptEvents", pa.Table.from_pylist(made, schema=schema))

    def analysis_of(self, table: str, row: Mapping[str, object]) -> Analysis | None:
        """What an event's command line or script comes to, with long texts cut, for its finding to carry."""
        text = row.get(TEXT_OF.get(table, "")) or row.get("InitiatingProcessCommandLine")
        if not isinstance(text, str) or not text:
            return None
        found = self._analysed(text, row)
        if found is None:
            return None
        return brief(found if table == "XScriptEvents" else self._with_scripts(found))

    def _remember(self, batch: Table) -> None:
        """Lua files by their names, for the processes that run them."""
        if not all(batch.has(name) for name in ("FileName", "FolderPath", "XScriptLanguage")):
            return
        hits = compute.fill_null(compute.equal(batch.column("XScriptLanguage"), "lua"), False)
        places = cast("list[int]", compute.indices_nonzero(hits).to_pylist())
        for row in batch.take(places).data.to_pylist() if places else ():
            if row["FileName"] and row.get("XScriptText") and len(self._scripts) < MAX_SCRIPTS:
                self._scripts[row["FileName"].lower()] = row["FolderPath"] or "", row["XScriptText"]

    def _with_scripts(self, found: Analysis) -> Analysis:
        """With what a Lua script does that the command runs, where the script itself was among what was read."""
        from perilune.analysis.joined import with_script

        for command in walk(found.commands) if self._scripts else ():
            if command.interpreter not in ("lua", "lua-host"):
                continue
            for argument in command.arguments[:MAX_ARGUMENTS]:
                path, text = self._scripts.get(_base_name(argument), ("", ""))
                script = self._analysed(text, {"XScriptLanguage": "lua"}) if text else None
                if script is not None:
                    start = max(0, found.text.find(argument, command.start))
                    note = f"read from {path}" if _same_place(path, argument) else f"of the same name, read from {path}"
                    return with_script(found, start, min(len(found.text), start + len(argument)), script, note)
        return found

    def _decoded(self, batch: Table, column: str, places: list[int]) -> Iterator[dict[str, object]]:
        for place, row in zip(places, batch.take(places).data.to_pylist() if places else (), strict=True):
            if row.get("ActionType") == ACTION:
                continue
            found = self._analysed(row[column], row)
            for layer in _hidden(found) if found is not None else ():
                if self.rows >= MAX_ROWS:
                    self.skipped += 1
                    return
                self.rows += 1
                yield _row(batch.name, row, layer, place)

    def _analysed(self, text: str, row: Mapping[str, object]) -> Analysis | None:
        original = str(row.get("ProcessVersionInfoOriginalFileName") or "")
        language = "lua" if row.get("XScriptLanguage") == "lua" else ""
        key = f"{language}\0{original}\0{text}"
        if key not in self._known:
            if len(self._known) >= MAX_TEXTS:
                self.skipped += 1
                return None
            self._known[key] = _analyzed(text, language, original)
        return self._known[key]


def columns(table: str) -> frozenset[str]:
    """The columns of a table that a `Decoder` takes from its rows."""
    if table not in TEXT_OF:
        return frozenset()
    own = (
        (*_OF_PROCESS,)
        if table == "DeviceProcessEvents"
        else ("XScriptId", "XScriptLanguage", "FileName", "FolderPath")
    )
    acting = (name for name in COLUMNS if name.startswith("InitiatingProcess") and table == "XScriptEvents")
    more = ("ActionType", "ProcessVersionInfoOriginalFileName", "XScriptLanguage")
    return frozenset((TEXT_OF[table], *_KEPT, *own, *acting, *more)) & set(TABLES[table].columns)


def candidates(batch: Table) -> Table | None:
    """The rows of a batch that a `Decoder` looks at, or None: it makes the same of them as of the whole batch."""
    if not batch.has(TEXT_OF.get(batch.name, "")):
        return None
    wanted = _worth(batch)
    if batch.name == "XScriptEvents" and batch.has("XScriptLanguage"):
        wanted = compute.or_(wanted, compute.fill_null(compute.equal(batch.column("XScriptLanguage"), "lua"), False))
    return Table(batch.name, _plain(batch.data.filter(wanted))) if compute.any(wanted).as_py() else None


def _worth(batch: Table) -> Any:
    """For each row whether its text is worth an analysis."""
    texts: Any = batch.column(TEXT_OF[batch.name])
    found = _matched(texts, WORTH)
    if batch.name != "XScriptEvents" or not batch.has("XScriptLanguage"):
        return found
    lua = compute.fill_null(compute.equal(batch.column("XScriptLanguage"), "lua"), False)
    return compute.or_(found, compute.and_(lua, _matched(texts, LUA_WORTH))) if compute.any(lua).as_py() else found


def _matched(texts: Any, pattern: str) -> Any:
    if not pa.types.is_dictionary(texts.type):
        return compute.fill_null(compute.match_substring_regex(texts, pattern), False)
    chunks = (compute.match_substring_regex(one.dictionary, pattern).take(one.indices) for one in texts.chunks)
    return compute.fill_null(pa.chunked_array(list(chunks), pa.bool_()), False)


def _plain(data: pa.Table) -> pa.Table:
    """Without dictionaries, which hold the texts of all the rows that were left out."""
    columns: list[Any] = [c.cast(COLUMNS[name]) for name, c in zip(data.column_names, data.columns, strict=True)]
    return pa.Table.from_arrays(columns, names=data.column_names)


def _base_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].lower()


def _same_place(path: str, argument: str) -> bool:
    """Whether the path that was read is the one that the command names, as far as it names one."""
    plain = argument.replace("\\", "/").lower()
    return "/" in plain.lstrip("./") and path.replace("\\", "/").lower().endswith(plain.lstrip("."))


def _analyzed(text: str, language: str, original: str) -> Analysis:
    # Imported late: a third of a second that most hunts need not wait for.
    if language == "lua":
        from perilune.analysis import lua

        compiled = text.startswith("\x1bL")  # then it has one character for each byte
        return lua.as_analysis(lua.analyze(text.encode("latin-1" if compiled else "utf-8", "replace")))
    from perilune.analysis import analyze

    return analyze(text, original=original)


def _hidden(found: Analysis) -> list[Layer]:
    """The layers that a rule could not see before: decoded texts, not the arguments that stand in the text itself."""
    written = found.layers[0].text
    return [
        layer
        for layer in found.layers[1:]
        if layer.kind not in ("argument", "window")
        and not layer.binary
        and layer.text.strip()
        and layer.text not in written
    ]


def _row(table: str, row: Mapping[str, object], layer: Layer, place: int) -> dict[str, object]:
    made: dict[str, object] = {name: row.get(name) for name in _KEPT}
    if table == "DeviceProcessEvents":
        made |= {ours: row.get(theirs) for theirs, ours in _OF_PROCESS.items()}
    else:
        made |= {name: value for name, value in row.items() if name.startswith("InitiatingProcess")}
        made["XScriptId"] = row.get("XScriptId")
    made |= {
        "ActionType": ACTION,
        "XScriptText": layer.text.encode("utf-8", "replace").decode("utf-8"),
        "XScriptLanguage": layer.language or None,
    }
    made["AdditionalFields"] = f'{{"Decoding":"{layer.kind}","Layer":{layer.number}}}'
    return made


def brief(found: Analysis) -> Analysis:
    """An analysis to keep with a case: long texts cut, which it says."""
    layers = tuple(
        layer if len(layer.text) <= SHOWN else replace(layer, text=layer.text[:SHOWN], note=_cut(layer))
        for layer in found.layers
    )
    return replace(found, layers=layers)


def _cut(layer: Layer) -> str:
    return f"{layer.note}; " * bool(layer.note) + f"the first {SHOWN:,} of {len(layer.text):,} characters are kept"
