"""Credentials read, rights raised and access tried near a case."""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from perilune.investigation.persistence import SHOWN, Place
from perilune.investigation.scope import LOGON_IDS, Hit, Scope, fact, find, logon_masks, owned, taken, with_ids
from perilune.model.case import ProcessNode
from perilune.model.facts import Fact, Kind


def _places(lines: str) -> tuple[Place, ...]:
    return tuple(
        Place(name.strip(), fits.strip()) for name, fits in (ln.split("  ", 1) for ln in lines.strip().splitlines())
    )


CREDENTIALS = _places(r"""
LSASS memory  mimikatz|sekurlsa|lsadump|comsvcs(\.dll)?\W.*(minidump|#\W*24)|procdump.*lsass|lsass.*\.dmp|nanodump|pypykatz|dumpert
Password hashes of Windows  reg(\.exe)?"?\s+save\s+.*\\(sam|security|system)\b|ntdsutil|ntds\.dit|vssadmin.*create\s+shadow|esentutl.*(sam|ntds)|secretsdump
Password file of Unix  /etc/(shadow|gshadow|master\.passwd|security/opasswd)|\bunshadow\b|getent\s+shadow
SSH or cloud keys  \.ssh/id_(rsa|dsa|ecdsa|ed25519)\b|\.aws/credentials|\.config/gcloud|\.azure/|\.kube/config|\.docker/config\.json|\.git-credentials|\.netrc|\.pgpass|169\.254\.169\.254
Passwords of browsers  login data|logins\.json|key4\.db|cookies\.sqlite|\\network\\cookies|local state\b.*encrypted_key|web data\b
Saved credentials  cmdkey(\.exe)?"?\s+/list|vaultcmd|\\microsoft\\(credentials|vault|protect)\\|lazagne|keymgr\.dll|unattend\.xml|groups\.xml|cpassword|wallet\.dat|keychain
Kerberos tickets  \bklist\b|rubeus|kerberoast|asreproast|\.kirbi\b
Search for passwords  (findstr|grep|select-string|\brg\b)\s.*passw|find\s.*-name\s.*(passw|credential|\.pem|id_rsa)
""")
_READ = r"(?i)" + "|".join(f"(?:{place.fits})" for place in CREDENTIALS)
_CREDENTIAL_FILES = r"(?i)[\\/](login data|logins\.json|key4\.db|cookies\.sqlite|ntds\.dit|id_rsa|id_ed25519|wallet\.dat)$|^/etc/(shadow|gshadow)$|lsass.*\.dmp$|[\\/]\.aws[\\/]credentials$"

RAISED = _places(r"""
User account control bypass  fodhelper|computerdefaults|eventvwr.*\\shell\\open|\\mscfile\\|ms-settings\\shell|sdclt|cmstp.*\.inf|slui\.exe.*\\exefile|silentcleanup
Rights of another account  \brunas(\.exe)?\s|start-process.*-verb\s+runas|\bsu(\s+-\S*)*\s+(root|-c)|\bpkexec\b|\bdoas\s|psexec(64)?(\.exe)?"?\s.*\s-s\b|seimpersonate|juicypotato|printspoofer|godpotato
sudo  \bsudo\s+(-\S+\s+)*\S+
Setuid bit or capability  chmod\s+(\S+\s+)*([0-7]?[4-7][0-7]{3}|[ug]?\+s)\b|\bsetcap\s|find\s.*-perm\s.*(4000|6000|u=s)
Membership of a privileged group  net1?(\.exe)?"?\s+localgroup\s+\S+\s.*/add|add-localgroupmember|usermod\s+.*-a?G\S*\s.*\b(sudo|wheel|root|docker|admin)|gpasswd\s+-a|/etc/sudoers
Exploit of the kernel or a service  dirty_?(cow|pipe)|pwnkit|cve-20\d\d-\d{4,}|linpeas|winpeas|unshare\s+-\S*r|nsenter\s+.*(-t|--target)\s*1\b|/release_agent
Rights over the cloud or cluster  (attach-(user|role)-policy|add-iam-policy-binding|role assignment create|clusterrolebinding|assume-role)
""")
_RAISED = r"(?i)" + "|".join(f"(?:{place.fits})" for place in RAISED)
_ROOT = frozenset({"root", "0", "system", "nt authority\\system"})
_LEVELS = {"low": 1, "medium": 2, "high": 3, "system": 4}
FAILED_MANY = 5


def find_credentials(scope: Scope) -> Iterator[Fact]:
    """What near the case reads passwords, hashes, keys or tickets."""
    yield from _of_commands(scope, Kind.CREDENTIAL, CREDENTIALS, _READ)
    for hit in find(scope, "DeviceFileEvents", ("FolderPath",), _CREDENTIAL_FILES):
        said = f"{hit.text('InitiatingProcessFileName') or 'a process'} touches {hit.text('FolderPath')[:SHOWN]}"
        yield fact(scope, Kind.CREDENTIAL, "Credential file", said, hit, hit.text("FolderPath"))
    for hit in find(scope, "DeviceEvents", ("FileName", "FolderPath"), r"(?i)(^|[\\/])lsass\.exe$"):
        if re.search("openprocess|processaccess|readprocess", hit.text("ActionType"), re.IGNORECASE):
            said = f"{hit.text('InitiatingProcessFileName') or 'a process'} opens the memory of lsass.exe"
            yield fact(scope, Kind.CREDENTIAL, "LSASS memory", said, hit)


def find_privilege(scope: Scope) -> Iterator[Fact]:
    """Signs near the case that rights were raised."""
    yield from _of_commands(scope, Kind.PRIVILEGE, RAISED, _RAISED)
    yield from _levels(scope)
    yield from _became_root(scope)
    for hit in with_ids(scope, (4728, 4732, 4756), r"(?i)security-auditing"):
        yield fact(
            scope,
            Kind.PRIVILEGE,
            "Membership of a privileged group",
            f"an account was added to a group: {hit.text('AdditionalFields')[:SHOWN]}",
            hit,
        )


def find_access(scope: Scope) -> Iterator[Fact]:
    """Logons that failed, and new accounts, near the case."""
    for table, mask in logon_masks(scope.near.values()):
        hits = taken(scope, table.name, mask)
        failed = [hit for hit in hits if _has_failed(hit)]
        if len(failed) >= FAILED_MANY:
            said = f"{len(failed)} logons failed, the first: {failed[0].text('AdditionalFields')[:SHOWN]}"
            yield fact(scope, Kind.ACCESS, "Failed logons", said, failed[0], str(len(failed)))
        for hit in hits:
            if hit.row.get("XEventId") == 4720 or hit.text("ActionType") in ("ADD_USER", "UserAccountCreated"):
                yield fact(
                    scope,
                    Kind.ACCESS,
                    "New account",
                    f"an account was made: {hit.text('AdditionalFields')[:SHOWN]}",
                    hit,
                )


def _has_failed(hit: Hit) -> bool:
    if hit.row.get("XEventId") in LOGON_IDS:
        return hit.row.get("XEventId") in (4625, 4740)
    return hit.text("ActionType") == "LogonFailed" or '"res":"failed"' in hit.text("AdditionalFields")


def _of_commands(scope: Scope, kind: Kind, places: tuple[Place, ...], pattern: str) -> Iterator[Fact]:
    for table, column in (("DeviceProcessEvents", "ProcessCommandLine"), ("XScriptEvents", "XScriptText")):
        for hit in find(scope, table, (column,), pattern):
            text = hit.text(column)[:20_000]
            place = next((place for place in places if place.holds(text)), None)
            if place is None:
                continue
            where = hit.text("FileName") if table == "DeviceProcessEvents" else "a script"
            yield fact(
                scope, kind, place.name, f"{where or 'a process'}: {' '.join(text.split())[:SHOWN]}", hit, text[:400]
            )


def _levels(scope: Scope) -> Iterator[Fact]:
    """Windows: a process of the case that runs with a higher integrity than the one that started it."""
    for hit in owned(scope, "DeviceProcessEvents"):
        now = _LEVELS.get(hit.text("ProcessIntegrityLevel").lower(), 0)
        before = _LEVELS.get(hit.text("InitiatingProcessIntegrityLevel").lower(), 0)
        if before and now > before and now >= _LEVELS["high"]:
            said = f"{hit.text('FileName')} runs with {hit.text('ProcessIntegrityLevel')} integrity, started by one with {hit.text('InitiatingProcessIntegrityLevel')}"
            yield fact(scope, Kind.PRIVILEGE, "Higher integrity than its parent", said, hit, hit.text("FileName"))


def _became_root(scope: Scope) -> Iterator[Fact]:
    """A process of the case that runs as root or SYSTEM below one that did not."""
    nodes: Mapping[str, ProcessNode] = {node.key: node for node in scope.processes}
    seen: Counter[str] = Counter()
    for node in scope.processes:
        parent = nodes.get(node.parent or "")
        if parent is None or node.event is None or node.user.lower() not in _ROOT:
            continue
        if parent.user and parent.user.lower() not in _ROOT and not seen[node.name]:
            seen[node.name] += 1
            said = f"{node.name} runs as {node.user}, started by {parent.name} of {parent.user}"
            yield Fact(
                Kind.PRIVILEGE,
                "Runs as a higher account than its parent",
                said,
                node.name,
                node.event,
                node.time,
                scope.host,
                True,
            )
