"""Atomic tests out of YAML files in the format of Atomic Red Team, with every fault named by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from perilune.detection.documents import Document, documents
from perilune.detection.files import find_files
from perilune.errors import ContentError, PeriluneError
from perilune.model.atomics import Atomic, Dependency

EXECUTORS = ("sh", "bash", "command_prompt", "powershell", "manual")
RUNS = ("sh", "bash")  # those that run here
PLATFORMS = frozenset(
    ("windows", "macos", "linux", "containers", "office-365", "azure-ad", "google-workspace", "saas", "iaas", "esxi")
)
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ARGUMENT = re.compile(r"#\{(\w+)\}")
MAX_TESTS = 2000
MAX_TEXT = 20_000  # of one command


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tests, and what of the files could not be used."""

    atomics: tuple[Atomic, ...]
    faults: tuple[ContentError, ...]


def load_atomics(paths: Iterable[Path] = ()) -> Loaded:
    """The tests of these files and folders; without any, those that come with Perilune."""
    given = list(paths)
    if given:
        return _load(given)
    with as_file(files("perilune") / "content" / "atomics") as folder:
        return _load([folder])


def _load(paths: list[Path]) -> Loaded:
    found: list[Atomic] = []
    faults: list[ContentError] = []
    for file in find_files(paths):
        for document in documents(file):
            if isinstance(document, PeriluneError):
                faults.append(ContentError(document.what, where=document.where))
                continue
            for item in _tests(document):
                (faults if isinstance(item, ContentError) else found).append(item)  # type: ignore[arg-type]
    faults += _doubles(found)
    if len(found) > MAX_TESTS:
        faults.append(ContentError(f"more than {MAX_TESTS:,} tests; the rest is left out"))
    return Loaded(tuple(found[:MAX_TESTS]), tuple(faults))


def _doubles(found: list[Atomic]) -> Iterator[ContentError]:
    seen: dict[str, Atomic] = {}
    for atomic in found:
        first = seen.setdefault(atomic.guid.lower(), atomic) if atomic.guid else atomic
        if first is not atomic:
            yield ContentError(f"the same auto_generated_guid as {first.id}", where=atomic.source)


def _tests(document: Document) -> Iterator[Atomic | ContentError]:
    technique = document.data.get("attack_technique")
    if not isinstance(technique, str) or not _TECHNIQUE.fullmatch(technique):
        yield ContentError("attack_technique must be a technique such as T1059.004", where=document.where)
        return
    tests = document.data.get("atomic_tests")
    if not isinstance(tests, list) or not tests:
        yield ContentError("atomic_tests must be a list with at least one test", where=document.where)
        return
    for number, (test, line) in enumerate(zip(tests, _lines(document), strict=True), 1):
        one = _Test(test, f"{document.origin}:{line}")
        atomic = one.build(technique, number)
        if one.faults or atomic is None:
            yield from one.faults
        else:
            yield atomic


def _lines(document: Document) -> list[int]:
    """On which line each test begins."""
    values = {key.value: value for key, value in document.node.value}
    return [node.start_mark.line + 1 for node in values["atomic_tests"].value]


class _Test:
    """One test on its way from YAML; gathers every fault instead of stopping at the first."""

    def __init__(self, data: object, where: str) -> None:
        self._data: Mapping[object, object] = data if isinstance(data, Mapping) else {}
        self._where = where
        self.faults: list[ContentError] = []
        if not isinstance(data, Mapping):
            self._fault("a test must be a mapping")

    def _fault(self, what: str, path: str = "") -> None:
        self.faults.append(ContentError(f"{what} @ {path}" if path else what, where=self._where))

    def build(self, technique: str, number: int) -> Atomic | None:
        if self.faults:
            return None
        executor = self._mapping(self._data, "executor")
        arguments = self._arguments()
        name = self._choice(executor, "executor.name", EXECUTORS)
        return Atomic(
            technique=technique,
            number=number,
            name=self._text(self._data, "name", needed=True),
            guid=self._guid(),
            description=self._text(self._data, "description", needed=True).strip(),
            platforms=self._platforms(),
            executor=name,
            command=self._command(executor, "executor.command", arguments, needed=name != "manual"),
            cleanup=self._command(executor, "executor.cleanup_command", arguments),
            elevation=self._flag(executor, "executor.elevation_required"),
            dependencies=self._dependencies(arguments),
            checker=self._text(self._data, "dependency_executor_name") or (name if name in RUNS else "sh"),
            source=self._where,
            arguments=arguments,
        )

    def _text(self, of: Mapping[object, object], path: str, *, needed: bool = False) -> str:
        value = of.get(path.rpartition(".")[2])
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or (needed and not value.strip()):
            self._fault("a text is needed", path)
            return ""
        if len(value) > MAX_TEXT:
            self._fault(f"longer than {MAX_TEXT:,} characters", path)
        return value[:MAX_TEXT]

    def _mapping(self, of: Mapping[object, object], path: str) -> Mapping[object, object]:
        value = of.get(path)
        if not isinstance(value, Mapping):
            self._fault("a mapping is needed", path)
            return {}
        return value

    def _choice(self, of: Mapping[object, object], path: str, known: tuple[str, ...]) -> str:
        value = of.get(path.rpartition(".")[2])
        if value not in known:
            self._fault(f"{value!r} is none of {', '.join(known)}", path)
        return str(value)

    def _flag(self, of: Mapping[object, object], path: str) -> bool:
        value = of.get(path.rpartition(".")[2], False)
        if not isinstance(value, bool):
            self._fault("true or false is needed", path)
        return value is True

    def _guid(self) -> str:
        guid = self._text(self._data, "auto_generated_guid")
        if guid and not _GUID.fullmatch(guid):
            self._fault("not a UUID", "auto_generated_guid")
        return guid

    def _platforms(self) -> tuple[str, ...]:
        value = self._data.get("supported_platforms")
        if not isinstance(value, list) or not value:
            self._fault("a list of platforms is needed", "supported_platforms")
            return ()
        for name in value:
            if str(name).partition(":")[0] not in PLATFORMS:
                self._fault(f"no platform: {name!r}", "supported_platforms")
        return tuple(str(name) for name in value)

    def _arguments(self) -> dict[str, str]:
        given = self._data.get("input_arguments") or {}
        if not isinstance(given, Mapping):
            self._fault("a mapping is needed", "input_arguments")
            return {}
        found = {}
        for name, about in given.items():
            default = about.get("default") if isinstance(about, Mapping) else None
            if isinstance(default, str | int | float) and not isinstance(default, bool):
                found[str(name)] = str(default)
            else:
                self._fault("a default is needed", f"input_arguments.{name}")
        return found

    def _command(
        self, of: Mapping[object, object], path: str, arguments: Mapping[str, str], *, needed: bool = False
    ) -> str:
        return self._filled(self._text(of, path, needed=needed), path, arguments)

    def _filled(self, text: str, path: str, arguments: Mapping[str, str]) -> str:
        for name in sorted(set(_ARGUMENT.findall(text)) - set(arguments)):
            self._fault(f"no input argument {name!r}", path)
        return _ARGUMENT.sub(lambda found: arguments.get(found[1], ""), text)

    def _dependencies(self, arguments: Mapping[str, str]) -> tuple[Dependency, ...]:
        given = self._data.get("dependencies") or []
        if not isinstance(given, list):
            self._fault("a list is needed", "dependencies")
            return ()
        found = []
        for number, about in enumerate(given, 1):
            path = f"dependencies[{number}]"
            if not isinstance(about, Mapping):
                self._fault("a mapping is needed", path)
                continue
            description = self._text(about, f"{path}.description", needed=True).strip()
            found.append(
                Dependency(description, self._command(about, f"{path}.prereq_command", arguments, needed=True))
            )
        return tuple(found)
