"""The playbooks of this installation: the packaged ones and the user's own, which win by their id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import yaml

from perilune.errors import ContentError, UsageError
from perilune.model.actions import Document
from perilune.response import cacao
from perilune.response.guards import SafeList
from perilune.response.lint import lint_playbook
from perilune.response.playbook import load_playbook, parse_playbook
from perilune.response.signatures import Standing, Verified, key_id, verify

MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class Shelf:
    """Playbooks by id with their documents.

    broken  the files that were left out, with the reason
    signed  by id, what each signature of a playbook says
    """

    playbooks: Mapping[str, cacao.Playbook]
    documents: Mapping[str, Document]
    broken: tuple[str, ...] = ()
    signed: Mapping[str, tuple[Verified, ...]] = field(default_factory=dict)

    def find(self, wanted: str) -> cacao.Playbook:
        """By id, name, or the beginning of a name that no other has."""
        low = wanted.lower()
        named = [one for one in self.playbooks.values() if low in (one.id.lower(), one.name.lower())]
        named = named or [one for one in self.playbooks.values() if one.name.lower().startswith(low)]
        if len(named) != 1:
            known = ", ".join(repr(one.name) for one in self.playbooks.values())
            raise UsageError(f"{len(named) or 'no'} playbooks are called {wanted!r}", hint=f"there are: {known}")
        return named[0]

    def pinned(self, playbook: cacao.Playbook) -> tuple[Document, ...]:
        """The playbook's document and those of all that it calls, first the playbook's own."""
        found: dict[str, Document] = {}
        queue = [playbook.id]
        while queue:
            current = queue.pop(0)
            if current in found:
                continue
            if current not in self.documents:
                raise ContentError(f"{playbook.name!r} calls the playbook {current}, which is not there")
            found[current] = self.documents[current]
            steps = self.playbooks[current].workflow.values()
            queue += [step.playbook_id for step in steps if isinstance(step, cacao.PlaybookStep)]
        return tuple(found.values())


def load_shelf(content: Path | None) -> Shelf:
    """Every playbook that can be read and run; one that cannot never stops the rest."""
    playbooks: dict[str, cacao.Playbook] = {}
    documents: dict[str, Document] = {}
    broken: list[str] = []
    signed: dict[str, tuple[Verified, ...]] = {}
    trusted = load_trusted(content)
    for where, text, own in _texts(content):
        parsed = parse_playbook(text)
        faults = parsed.faults if parsed.playbook is None else lint_playbook(parsed.playbook)
        if parsed.playbook is None or faults:
            broken.append(f"{where}: {'; '.join(str(fault) for fault in faults[:3])}")
            continue
        found = tuple(verify(text, trusted, datetime.now(UTC))) if parsed.playbook.signatures else ()
        if why := _unsigned(found, trusted if own else {}):
            broken.append(f"{where}: {why}")
            continue
        playbooks[parsed.playbook.id] = parsed.playbook
        documents[parsed.playbook.id] = make_document(parsed.playbook, text)
        signed[parsed.playbook.id] = found
    return Shelf(playbooks, documents, tuple(broken), signed)


def load_trusted(content: Path | None) -> dict[str, str]:
    """Public keys in `trusted_keys/` of the content folder: what they are called, by their SHA-256."""
    folder = content / "trusted_keys" if content else None
    if folder is None or not folder.is_dir():
        return {}
    return {key_id(path.read_bytes()): path.stem for path in sorted(folder.glob("*.pem"))[:MAX_FILES]}


def _unsigned(found: tuple[Verified, ...], trusted: Mapping[str, str]) -> str:
    """Why a playbook is not used. One whose signature is wrong never is; with trusted keys, only theirs are."""
    wrong = [one for one in found if one.standing not in (Standing.TRUSTED, Standing.FITS)]
    if wrong:
        return f"the signature of {wrong[0].signee or 'nobody'} is {wrong[0].standing}: {wrong[0].why}"
    if trusted and not any(one.standing is Standing.TRUSTED for one in found):
        return "it is not signed by a key in trusted_keys/"
    return ""


def make_document(playbook: cacao.Playbook, text: str) -> Document:
    return Document(playbook.id, playbook.name, hashlib.sha256(text.encode()).hexdigest(), text)


def library_of(documents: tuple[Document, ...]) -> dict[str, cacao.Playbook]:
    """The playbooks of pinned documents; one whose bytes are not those of its hash is refused by name."""
    found = {}
    for document in documents:
        if hashlib.sha256(document.text.encode()).hexdigest() != document.sha256:
            raise ContentError(f"the pinned playbook {document.name!r} was changed: its hash is another")
        found[document.id] = load_playbook(document.text, document.name)
    return found


def load_safe_list(content: Path | None) -> SafeList:
    """What is left alone: the packaged list and the user's own together."""
    packaged = (files("perilune") / "content" / "lists" / "left_alone.yml").read_text(encoding="utf-8")
    merged: dict[str, list[str]] = {}
    for where, text in (("left_alone.yml", packaged), *_own_list(content)):
        for name, values in _lists(where, text).items():
            merged.setdefault(name, []).extend(values)
    low = {name: frozenset(one.lower() for one in merged.get(name, ())) for name in ("hosts", "accounts", "processes")}
    return SafeList(
        hosts=low["hosts"],
        accounts=low["accounts"],
        processes=low["processes"],
        paths=tuple(merged.get("paths", ())),
        networks=(*merged.get("networks", ()), *_shared("public_resolvers.json")),
        domains=frozenset(one.lower() for one in (*merged.get("domains", ()), *_shared("shared_hosts.json"))),
        management=tuple(merged.get("management", ())),
    )


def _shared(name: str) -> list[str]:
    """A warning list of the package: what serves everybody."""
    text = (files("perilune") / "content" / "lists" / name).read_text(encoding="utf-8")
    return [str(one) for one in json.loads(text)["list"]]


def _own_list(content: Path | None) -> Iterator[tuple[str, str]]:
    path = content / "left_alone.yml" if content else None
    if path is not None and path.is_file():
        yield str(path), path.read_text(encoding="utf-8")


def _lists(where: str, text: str) -> dict[str, list[str]]:
    known = {"hosts", "accounts", "processes", "paths", "networks", "domains", "management"}
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ContentError(f"is no YAML: {error}", where=where) from error
    if not isinstance(found, dict) or set(found) - known:
        raise ContentError(f"holds lists named {', '.join(sorted(known))}, and nothing else", where=where)
    if not all(isinstance(one, list) and all(isinstance(item, str) for item in one) for one in found.values()):
        raise ContentError("every entry of a list is text; put numbers in quotes", where=where)
    return found


def _texts(content: Path | None) -> Iterator[tuple[str, str, bool]]:
    """Where each comes from, its text, and whether it is the user's own."""
    packaged = files("perilune") / "content" / "playbooks"
    for entry in sorted(packaged.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".json"):
            yield entry.name, entry.read_text(encoding="utf-8"), False
    folder = content / "playbooks" if content else None
    if folder is not None and folder.is_dir():
        for path in sorted(folder.glob("*.json"))[:MAX_FILES]:
            yield str(path), path.read_text(encoding="utf-8", errors="replace"), True
