"""A case becomes what a playbook works on: the things that may be acted on, and the facts that steps look up.

It chooses narrowly. A process is the topmost one that a finding is on, never its innocent parents; a file is what an
interpreter was given to run, never the interpreter; an address is one that a command or connection named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from perilune.analysis import interpreters
from perilune.model.actions import Subject, Target, TargetType
from perilune.model.analysis import Command, Indicator, IndicatorKind, Scope, walk
from perilune.model.case import Case, ProcessNode
from perilune.model.findings import Finding
from perilune.model.rules import Level

MALICIOUS_SCORE = 70

_INDICATORS = {
    IndicatorKind.IPV4: TargetType.ADDRESS,
    IndicatorKind.IPV6: TargetType.ADDRESS,
    IndicatorKind.DOMAIN: TargetType.DOMAIN,
    IndicatorKind.ONION: TargetType.DOMAIN,
    IndicatorKind.URL: TargetType.URL,
}
_IMAGES = (
    ("FolderPath", "ProcessVersionInfoOriginalFileName", ""),
    ("InitiatingProcessFolderPath", "InitiatingProcessVersionInfoOriginalFileName", "InitiatingProcess"),
)


def make_subject(case: Case, *, system_paths: Sequence[str] = (), related: Sequence[str] = ()) -> Subject:
    """What the case gives. `related` are other cases on the same host or of the same account."""
    files = _unique(_files(case))
    indicators = _unique(_indicators(case))
    targets = {
        "hosts": (Target(TargetType.HOST, case.host),) if case.host else (),
        "processes": _unique(_processes(case)),
        "files": files,
        "accounts": _unique(Target(TargetType.ACCOUNT, user, case.host) for user in case.users if user),
        "interpreters": _unique(_brought(case, system_paths)),
        "hashes": _unique(Target(TargetType.HASH, one.sha256) for one in files if one.sha256),
        "addresses": tuple(one for one in indicators if one.type is TargetType.ADDRESS),
        "domains": tuple(one for one in indicators if one.type is TargetType.DOMAIN),
        "urls": tuple(one for one in indicators if one.type is TargetType.URL),
        "case": (Target(TargetType.CASE, case.id),),
    }
    facts = {"command-line": _command_line(case), "related": _related(case, related)}
    return Subject(case.id, targets, facts, frozenset(_interpreter_hashes(case)) - {""})


def is_interpreter(name: str) -> bool:
    return interpreters.find(name) is not None


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    return tuple({target.key: target for target in targets}.values())


def _processes(case: Case) -> Iterator[Target]:
    """The topmost processes with findings; whatever they started goes with them."""
    nodes = {node.key: node for node in case.tree}
    for node in case.tree:
        if node.findings and node.pid is not None and not _found_above(node, nodes):
            yield Target(TargetType.PROCESS, node.path or node.name, case.host, node.pid, node.time)


def _found_above(node: ProcessNode, nodes: dict[str, ProcessNode]) -> bool:
    seen: set[str] = set()
    parent = nodes.get(node.parent or "")
    while parent is not None and parent.key not in seen:
        if parent.findings:
            return True
        seen.add(parent.key)
        parent = nodes.get(parent.parent or "")
    return False


def _files(case: Case) -> Iterator[Target]:
    """Scripts that interpreters were given, and files that findings are on."""
    hashes = {_text(f, "FolderPath"): _text(f, "SHA256") for f in case.findings if f.event.table == "DeviceFileEvents"}
    for finding in case.findings:
        if finding.event.table == "DeviceFileEvents" and (path := _text(finding, "FolderPath")):
            yield Target(TargetType.FILE, path, finding.host, sha256=hashes.get(path, ""))
        folder = _text(finding, "XCurrentDirectory") or _text(finding, "ProcessCurrentDirectory")
        for command in walk(finding.analysis.commands) if finding.analysis else ():
            if path := _script(command, folder):
                yield Target(TargetType.FILE, path, finding.host, sha256=hashes.get(path, ""))


def _script(command: Command, folder: str) -> str:
    """The file that an interpreter's command runs: its first plain argument, where its row says so."""
    row = interpreters.BY_NAME.get(command.interpreter)
    if row is None or row.positional != "file" or command.code is not None:
        return ""
    plain = next((word for word in command.arguments if word and word[0] != "-"), "")
    if not plain or (plain.startswith("/") and len(plain) <= 3):
        return ""
    return _joined(folder, plain) if "." in plain or "/" in plain or "\\" in plain else ""


def _joined(folder: str, path: str) -> str:
    if path.startswith(("/", "\\")) or path[1:2] == ":" or not folder:
        return path
    sign = "\\" if "\\" in folder else "/"
    return folder.rstrip("/\\") + sign + path.removeprefix("./").removeprefix(".\\")


def _brought(case: Case, system_paths: Sequence[str]) -> Iterator[Target]:
    """Interpreters that findings ran from where installed software does not live."""
    for node in case.tree:
        path = node.path.replace("\\", "/").lower()
        system = any(path.startswith(one.replace("\\", "/").lower()) for one in system_paths)
        if node.findings and path and not system and is_interpreter(node.path):
            yield Target(TargetType.INTERPRETER, node.path, case.host)


def _indicators(case: Case) -> Iterator[Target]:
    for finding in case.findings:
        for one in finding.analysis.indicators if finding.analysis else ():
            if one.kind in _INDICATORS and _may_be_blocked(one):
                yield Target(_INDICATORS[one.kind], one.value)
        if finding.event.table == "DeviceNetworkEvents" and (address := _text(finding, "RemoteIP")):
            yield Target(TargetType.ADDRESS, address)


def _may_be_blocked(one: Indicator) -> bool:
    leads_out = one.scope in (Scope.PUBLIC, Scope.NONE) and not any(listing.benign for listing in one.listings)
    return leads_out and not (one.parent and one.kind is IndicatorKind.DOMAIN)


def _interpreter_hashes(case: Case) -> Iterator[str]:
    for finding in case.findings:
        if finding.event.table == "DeviceFileEvents":
            continue
        for path, original, prefix in _IMAGES:
            if interpreters.find(_text(finding, path), _text(finding, original)):
                yield from (_text(finding, f"{prefix}{name}").lower() for name in ("SHA256", "SHA1", "MD5"))


def _command_line(case: Case) -> dict[str, str]:
    analyses = [finding.analysis for finding in case.findings if finding.analysis]
    capabilities = dict.fromkeys(c.id for a in analyses for c in a.capabilities if c.weight > 0)
    malicious = case.score >= MALICIOUS_SCORE and case.level >= Level.HIGH
    return {
        "__verdict__": "malicious" if malicious else "suspicious",
        "__score__": str(case.score),
        "__decoded_layers__": str(sum(len(a.layers) - 1 for a in analyses)),
        "__indicators__": str(len(_unique(_indicators(case)))),
        "__capabilities__": " ".join(capabilities),
    }


def _related(case: Case, related: Sequence[str]) -> dict[str, str]:
    rules = {finding.rule_id for finding in case.findings}
    return {
        "__related__": " ".join(related),
        "__tactics__": " ".join(case.techniques),
        "__other_findings__": str(max(len(rules) - 1, 0)),
    }


def _text(finding: Finding, column: str) -> str:
    value = finding.row.get(column)
    return value if isinstance(value, str) else ""
