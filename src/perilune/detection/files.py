"""Rule files, wherever they are: loose, in folders, in archives. Each is read whole, inside a budget."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_FILE = 1 << 20
MAX_FILES = 50_000
SUFFIXES = (".yml", ".yaml")
_EXAMPLES = (".events.yml", ".events.yaml")  # a rule's hits and misses, beside it


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The text of one file, or why it could not be had. `origin` is what its rules' `source` begins with."""

    origin: str
    text: str = ""
    fault: str = ""


def find_files(paths: Iterable[Path]) -> Iterator[RuleFile]:
    """The rule files among files, folders and archives, in a stable order."""
    for count, file in enumerate(file for path in paths for file in _files(path)):
        if count >= MAX_FILES:
            yield RuleFile(file.origin, fault=f"more than {MAX_FILES:,} rule files; the rest is not read")
            return
        yield file


def _files(path: Path) -> Iterator[RuleFile]:
    if path.is_dir():
        for folder, inner, names in os.walk(path):
            inner.sort()
            for name in sorted(filter(is_rule_name, names)):
                yield _plain_file(Path(folder, name))
    elif zipfile.is_zipfile(path):
        yield from _zip(path)
    elif path.is_file() and tarfile.is_tarfile(path):
        yield from _tar(path)
    else:
        yield _plain_file(path)


def is_rule_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.lower().endswith(_EXAMPLES)


def _plain_file(path: Path) -> RuleFile:
    try:
        with path.open("rb") as stream:
            return _read(str(path), stream)
    except OSError as error:
        return RuleFile(str(path), fault=f"cannot be read: {error.strerror or error}")


def _zip(path: Path) -> Iterator[RuleFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if is_rule_name(name):
                    with archive.open(name) as stream:
                        yield _read(f"{path}!{name}", stream)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        yield RuleFile(str(path), fault=f"the archive is damaged or locked: {error}")


def _tar(path: Path) -> Iterator[RuleFile]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() and is_rule_name(member.name) else None
                if stream is not None:
                    yield _read(f"{path}!{member.name}", stream)
    except (OSError, tarfile.TarError, EOFError) as error:
        yield RuleFile(str(path), fault=f"the archive is damaged: {error}")


def _read(origin: str, stream: IO[bytes]) -> RuleFile:
    raw = stream.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        return RuleFile(origin, fault=f"larger than {MAX_FILE >> 20} MiB")
    try:
        return RuleFile(origin, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RuleFile(origin, fault=f"not UTF-8 at byte {error.start}")
