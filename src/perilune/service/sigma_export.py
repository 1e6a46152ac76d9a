"""Our rules for other products: pySigma's backends convert them, in a Python of their own.

The backends of Kusto, Splunk, Elasticsearch and Cortex want pySigma 1, the matcher wants 2; one environment cannot hold
both. So a Python that has them is asked, as a process that gets rules and gives queries, and nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

from perilune.errors import ContentError, UsageError

TARGETS: Mapping[str, str] = {"kusto": ".kql", "splunk": ".spl", "elastic": ".lucene", "cortex": ".xql"}
PACKAGES = ("pysigma-backend-kusto", "pysigma-backend-splunk", "pysigma-backend-elasticsearch",
            "pysigma-backend-cortexxdr")  # fmt: skip
SECONDS = 600
RULES_MOST = 20_000
_ANSWER_MOST = 256 << 20
_EVENTS = ".events.yml"


@dataclass(frozen=True, slots=True)
class Source:
    """One rule's file, and what its author wants to be named with it."""

    path: str
    title: str
    id: str
    author: str
    license: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Converted:
    source: Source
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """`versions`: of pySigma and of the backend that wrote the queries."""

    target: str
    converted: tuple[Converted, ...]
    refused: tuple[Refused, ...]
    versions: Mapping[str, str]


def environment(home: Path) -> Path:
    """The Python that is asked unless another is named: of an environment in Perilune's own folder, if it is there."""
    own = home / "sigma-export" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def find_rules(paths: Sequence[Path] = ()) -> list[Source]:
    """The rules at the paths; without paths, the pack's with its correlations."""
    if paths:
        return list(_sources(paths))
    with as_file(files("perilune") / "content") as folder:
        return list(_sources([folder / "sigma", folder / "correlations"], folder))


def convert(target: str, rules: Sequence[Source], python: Path) -> Conversion:
    """The rules as queries of the target. What its backend refuses is kept with the reason."""
    if len(rules) > RULES_MOST:
        raise UsageError(f"more than {RULES_MOST:,} rules", hint="name fewer")
    asked = {"target": target, "rules": [{"number": n, "texts": one.texts} for n, one in enumerate(rules)]}
    found = _ask(python, json.dumps(asked))
    if "missing" in found:
        raise UsageError(f"{python} has no backend for {target} ({found['missing']})", hint=_how(python))
    converted = [Converted(rules[one["number"]], tuple(one["queries"])) for one in found["converted"]]
    refused = [Refused(rules[one["number"]], str(one["reason"])) for one in found["refused"]]
    return Conversion(target, tuple(converted), tuple(refused), found["versions"])


def _how(python: Path) -> str:
    folder = python.parent.parent if python.parent.parent.name == "sigma-export" else Path("sigma-export")
    return (
        f"python3 -m venv {folder} && {folder}/bin/pip install {' '.join(PACKAGES)}, then --python {folder}/bin/python"
    )


def _ask(python: Path, question: str) -> Any:
    """Runs the other side: in isolated mode, without a shell, within a time limit."""
    with as_file(files("perilune") / "service" / "sigma_backends.py") as script:
        try:
            done = subprocess.run(  # noqa: S603 - a Python that the user names, and our own file
                [str(python), "-I", str(script)], input=question, capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(f"cannot be run: {error.strerror}", where=str(python)) from None
        except subprocess.TimeoutExpired:
            raise UsageError(f"took longer than {SECONDS} seconds", where=str(python)) from None
    if done.returncode or len(done.stdout) > _ANSWER_MOST:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        raise UsageError(f"converting failed: {last[0][:300]}", where=str(python))
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise UsageError(f"converting gave no answer: {error}", where=str(python)) from None


def _sources(paths: Iterable[Path], base: Path | None = None) -> Iterable[Source]:
    for path in paths:
        found = sorted(path.rglob("*.yml")) if path.is_dir() else [path]
        for one in found:
            if not one.name.endswith(_EVENTS):
                yield _source(one, f"pack:{one.relative_to(base)}" if base else str(one))


def _source(path: Path, name: str) -> Source:
    """A rule's file. One that cannot be parsed goes on as it is: its backend refuses it by name."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        first = next((one for one in yaml.safe_load_all(text) if isinstance(one, dict)), {})
    except yaml.YAMLError:
        first = {}
    said = {key: str(first.get(key) or "") for key in ("title", "id", "author", "license")}
    return Source(name, said["title"] or path.stem, said["id"], said["author"], said["license"], (text,))
