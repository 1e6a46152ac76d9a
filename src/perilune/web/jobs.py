"""What people ask to be hunted or queried: sources by name, uploads into their place, hunts saved from queries."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from starlette.datastructures import UploadFile

from perilune.detection.kql import hunts
from perilune.errors import RuleError, StoreError, UsageError
from perilune.model.rules import Level
from perilune.model.tables import TABLES
from perilune.service.jobs import SAMPLES, safe_name
from perilune.store.jobs import Job
from perilune.web.problems import not_found
from perilune.web.rooms import Rooms

QUERY_MOST = 50_000
_TECHNIQUE = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Draft:
    """A query that becomes a hunt."""

    query: str
    title: str
    severity: str
    techniques: str
    description: str = ""


def find(held: Rooms, job_id: str) -> Job:
    try:
        return held.crew.store.load(job_id)
    except StoreError as error:
        raise not_found(error.what) from None


def sources(held: Rooms) -> list[tuple[str, str]]:
    """What may be read, by its name and in words: the samples, the settings' folders, what was uploaded."""
    found = [(SAMPLES, "The sample logs that come with Perilune")]
    found += [(name, f"{name} (folder of the settings)") for name in sorted(held.settings.logs)]
    return found + [(job.id, f"{job.id}: {job.source}") for job in held.crew.uploads()]


def begin(held: Rooms, kind: str, source: str, who: str, query: str = "") -> Job:
    """A hunt or a query over a source by its name."""
    words = dict(sources(held)).get(source)
    if words is None:
        raise UsageError("choose a source or give files")
    body: dict[str, object] = {"from": source}
    if kind == "query":
        body["query"] = checked(query)
    job = held.crew.store.create(kind, who, words, body, at=held.now())
    return _queued(held, job)


def upload(held: Rooms, files: Sequence[UploadFile], who: str) -> Job:
    """A hunt over files, copied under names of ours. What they are is told by their bytes, later, elsewhere."""
    given = [one for one in files if one.filename]
    if not given:
        raise UsageError("choose a source or give files")
    names = [safe_name(n, one.filename or "") for n, one in enumerate(given, 1)]
    body: dict[str, object] = {"files": names, "bytes": sum(one.size or 0 for one in given)}
    job = held.crew.store.create("hunt", who, ", ".join(name[3:] for name in names)[:200], body, at=held.now())
    folder = held.crew.place(job.id)
    for one, name in zip(given, names, strict=True):
        with (folder / name).open("xb") as kept:
            (folder / name).chmod(0o600)
            shutil.copyfileobj(one.file, kept, 1 << 20)
    return _queued(held, job)


def remove(held: Rooms, job: Job, who: str) -> None:
    """Removes the files of a job; that it was stays."""
    held.crew.remove(job.id)
    held.note("upload removed", {"job": job.id}, who)


def _queued(held: Rooms, job: Job) -> Job:
    held.crew.store.queue(job.id)
    held.crew.ring()
    return held.crew.store.load(job.id)


def checked(query: str) -> str:
    """The query, if it can be run; what is wrong with it otherwise."""
    if not query.strip():
        raise UsageError("there is no query")
    if len(query) > QUERY_MOST:
        raise UsageError(f"a query has at most {QUERY_MOST:,} characters here")
    from perilune.querying import check

    check(query)
    return query


@cache
def words() -> dict[str, list[str]]:
    """What the editor completes: our tables and columns, the language's operators and functions."""
    from perilune.detection.kql.aggregates import AGGREGATE_SIGNATURES
    from perilune.detection.kql.functions import SIGNATURES
    from perilune.detection.kql.operators import OPERATORS

    columns = dict.fromkeys(name for table in TABLES.values() for name in table.columns)
    language = dict.fromkeys([*OPERATORS, *SIGNATURES, *AGGREGATE_SIGNATURES])
    return {"tables": list(TABLES), "columns": sorted(columns), "language": sorted(language)}


def save(held: Rooms, draft: Draft, who: str) -> Path:
    """Writes the query as a hunt into the content folder, where every hunt finds it; refused unless it can be run."""
    text = _hunt_text(held, draft, who)
    try:
        hunts.parse(text, draft.title)
    except RuleError as error:
        raise UsageError(f"this is no hunt yet: {error.what}") from None
    name = re.sub(r"[^a-z0-9]+", "_", draft.title.lower()).strip("_")[:60]
    if not name:
        raise UsageError("a hunt has a title in letters")
    path = held.settings.content / "hunts" / f"{name}.kql"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as kept:
            kept.write(text)
    except FileExistsError:
        raise UsageError("there is a hunt of this title", where=path.name) from None
    held.note("hunt saved", {"file": path.name, "title": draft.title}, who)
    return path


def _hunt_text(held: Rooms, draft: Draft, who: str) -> str:
    if draft.severity not in {level.word for level in Level}:
        raise UsageError(f"a severity is one of {', '.join(level.word for level in Level)}")
    techniques = [word for word in draft.techniques.replace(",", " ").split() if word]
    if wrong := [one for one in techniques if not _TECHNIQUE.fullmatch(one)]:
        raise UsageError(f"{wrong[0]!r} is no technique such as T1059.011")
    body = draft.query.strip()
    if body.startswith(hunts.FENCE):
        raise UsageError("leave out the header of the query: it is written from this form")
    head = {
        "title": draft.title.strip()[:200], "id": str(uuid.uuid4()), "severity": draft.severity,
        "description": draft.description.strip()[:2000] or f"Saved at the console on {held.now():%Y-%m-%d}.",
        "author": who, "attack": techniques,
    }  # fmt: skip
    lines = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=110).splitlines()
    return "\n".join([hunts.FENCE, *(f"// {line}" for line in lines), hunts.FENCE, body, ""])
