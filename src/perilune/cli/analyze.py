"""`perilune analyze`: what a command line, a script, or a list of command lines really does."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.hunt import LEVELS
from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import ReadError, UsageError

if TYPE_CHECKING:
    from perilune.analysis.lists import Lists
    from perilune.cli.analyze_lua import LuaPart
    from perilune.model.analysis import Analysis

MAX_FILE = 64_000_000
MAX_LINES = 100_000
SCRIPTS = {
    ".ps1": "powershell", ".psm1": "powershell", ".psd1": "powershell", ".bat": "cmd", ".cmd": "cmd", ".sh": "posix", ".bash": "posix",
    ".zsh": "posix", ".command": "posix", ".lua": "lua", ".luac": "lua", ".py": "python", ".pyw": "python", ".js": "javascript",
    ".jse": "javascript", ".mjs": "javascript", ".vbs": "vbscript", ".vbe": "vbscript", ".bas": "vbscript", ".hta": "html",
    ".wsf": "html", ".sct": "html", ".pl": "perl", ".rb": "ruby", ".php": "php", ".awk": "awk", ".tcl": "tcl",
    ".ahk": "autohotkey", ".au3": "autoit", ".applescript": "applescript",
}  # fmt: skip


@click.command(short_help="Explain a command line or a script: layers, indicators, capabilities, score.")
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--command", "-c", "command_line", help="The command line to explain, instead of a file.")
@click.option("--language", help="What it is written in, if you know: powershell, cmd, posix, lua, python, …")
@click.option("--original-name", default="", help="The program's original file name, which shows renamed interpreters.")
@click.option(
    "--list",
    "list_paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An indicator list to look up in: CSV, JSON, STIX 2.1, MISP export, warning list (repeatable).",
)
@click.option(
    "--lines/--script", "lines", default=None, help="Each line is a command line of its own, or all is one script."
)
@click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="medium",
    show_default=True,
    help="Exit with 1 at this level and above.",
)
@click.option("--no-exec", is_flag=True, help="Only read Lua; do not run it in the cage.")
@click.option("--deep", is_flag=True, help="For Lua: all calls, the strings that it builds, and the whole disassembly.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report of the Lua as one self-contained HTML file.",
)
def analyze(
    file: Path | None,
    command_line: str | None,
    language: str | None,
    original_name: str,
    list_paths: tuple[Path, ...],
    lines: bool | None,
    fail_on: str,
    no_exec: bool,
    deep: bool,
    as_json: bool,
    html_path: Path | None,
) -> int:
    """Explain a command line (--command), or FILE (- for stdin): a script, a list of command lines, or Lua.

    What is encoded is decoded, layer by layer, within a fixed budget. Nothing is fetched, and nothing is run but Lua:
    source or compiled, under any name or inside other files, it is read, and run in a locked process that can reach
    neither files nor programs nor networks, unless --no-exec says otherwise.
    """
    if (file is None) == (command_line is None):
        raise UsageError("give either FILE or --command", hint="perilune analyze --command 'bash -c id'")
    from perilune.cli import analyze_lua

    data = _read(file) if file is not None else (command_line or "").encode("utf-8", "surrogateescape")
    lists = _lists(list_paths)
    found, parts = look_at(
        file, data, language or "", run=not no_exec, original=original_name, lists=lists, lines=lines
    )
    if html_path is not None:
        analyze_lua.write_html(parts, html_path)
    _print(found, parts, as_json=as_json, deep=deep)
    return _exit_code([one for _, one in found], parts, fail_on)


def look_at(
    file: Path | None,
    data: bytes,
    language: str,
    *,
    run: bool,
    original: str = "",
    lists: Lists | None = None,
    lines: bool | None = None,
) -> tuple[list[tuple[str, Analysis]], list[LuaPart]]:
    """What a file's bytes, or without a file a command line, come to; the command and the MCP server ask alike."""
    from perilune.cli import analyze_lua

    known = _lists(()) if lists is None else lists
    if file is not None and not lines and _is_lua(file, data, language):
        return [], [analyze_lua.explain(data, str(file), run=run, lists=known)]
    found = list(_explained(_texts(file, data, language, lines), original, known))
    return found, analyze_lua.parts_of(*found[0], run=run, lists=known) if len(found) == 1 else []


def _is_lua(file: Path, data: bytes, language: str) -> bool:
    from perilune.cli import analyze_lua

    known = language or SCRIPTS.get(file.suffix.lower(), "")
    return analyze_lua.wants(data, str(file), known, lambda: is_list(decoded(data)))


def _explained(texts: Iterator[tuple[str, str, str]], original: str, lists: Lists) -> Iterator[tuple[str, Analysis]]:
    from perilune import analysis

    for where, text, known in texts:
        yield where, analysis.analyze(text, language=known, original=original, lists=lists)


def _exit_code(found: Sequence[Analysis], parts: Sequence[LuaPart], fail_on: str) -> int:
    from perilune.model.rules import Level

    if any(one.cut for one in found) or any(part.found.cut or part.refused for part in parts):
        return EXIT_PARTIAL
    levels = [one.level for one in found] + [part.found.level for part in parts]
    return EXIT_FOUND if any(level >= Level[fail_on.upper()] for level in levels) else EXIT_NOTHING


def _lists(paths: Sequence[Path]) -> Lists:
    from importlib.resources import files

    from perilune.analysis.lists import Lists, parse

    packaged = files("perilune") / "content" / "lists"
    texts = [
        (one.name, one.read_text(encoding="utf-8"))
        for one in packaged.iterdir()
        if one.name.endswith((".json", ".csv"))
    ]
    texts += [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in paths]
    return Lists((parse(text, name) for name, text in texts), today=datetime.now(UTC).date())


def _texts(file: Path | None, data: bytes, language: str, lines: bool | None) -> Iterator[tuple[str, str, str]]:
    """What is to be explained: where it is from, the text, and its language as far as known."""
    if file is None:
        yield "", data.decode("utf-8", "surrogateescape"), language
        return
    text = decoded(data)
    known = language or ("" if str(file) == "-" else SCRIPTS.get(file.suffix.lower(), ""))
    if lines is None:
        lines = not known and is_list(text)
    if not lines:
        yield str(file), text, known
        return
    for number, line in enumerate(text.splitlines()[:MAX_LINES], 1):
        if line.strip():
            yield f"{file}:{number}", line, language


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_FILE)
        with file.open("rb") as stream:
            return stream.read(MAX_FILE)
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}", where=str(file)) from None


def decoded(data: bytes) -> str:
    """A file's bytes as text: UTF-16 by its mark or zeros, else UTF-8, else one character a byte."""
    from perilune.analysis.decoders import looks_utf16

    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if looks_utf16(data[:4000]):
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


_OF_SCRIPTS = re.compile(
    r"(?mi)^\s*(#!|<\?|<html|\}|\{|fi\b|done\b|esac\b|end\b|then\b|else\b|goto\s|:\w+\s*$|@echo off|\$\w+\s*=|[A-Za-z_]\w*=|def \w|import \w|function\b"
    r"|local \w|var \w|let \w|const \w|dim \w|sub \w|param\s*\(|set -[eux])"
)


def is_list(text: str) -> bool:
    """Whether each line is a command line of its own: more than one, and nothing that only a script has."""
    lines = [line for line in text.splitlines()[:2000] if line.strip()]
    return len(lines) > 1 and _OF_SCRIPTS.search(text[:200_000]) is None and not any(line[0] in " \t" for line in lines)


def _print(found: Sequence[tuple[str, Analysis]], parts: Sequence[LuaPart], *, as_json: bool, deep: bool) -> None:
    from perilune.cli import analyze_lua_output, analyze_output

    if as_json:
        sys.stdout.buffer.write(analyze_output.dump(found, parts) + b"\n")
        sys.stdout.buffer.flush()
        return
    if len(found) > 1:
        analyze_output.show_many(found)
    elif found:
        analyze_output.show(*found[0])
    for part in parts:
        analyze_lua_output.show(part, deep=deep)
    if not found and not parts:
        from perilune.cli import console

        console.out.print("There is nothing to explain: the input is empty.")
