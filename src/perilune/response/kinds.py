"""What each kind of action means, before anything implements it: phase, target, check, inverse, reach, approver.

An action named here without a check is a mistake that a test finds. OpenC2 words are those of its language
specification 1.0; they are shown in plans so that another tool can read what is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from perilune.model.actions import Kind, Phase, TargetType

HOUR = 3600
DAY = 24 * HOUR
_INDICATOR = (TargetType.ADDRESS, TargetType.DOMAIN, TargetType.URL, TargetType.HASH)


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind.

    openc2     action and target in OpenC2's words; empty where OpenC2 has none
    check      how it is told whether the effect is there
    inverse    what undoes it; None where nothing can, which its `note` then says
    reach      what it touches besides the thing itself: the blast radius in words
    approvers  how many people must approve by default
    most       how many of these one plan may hold
    hourly     how many of these may be done in an hour, over all runs
    lasts      seconds after which the inverse is due by default
    """

    kind: Kind
    phase: Phase
    targets: tuple[TargetType, ...]
    openc2: str
    check: str
    inverse: Kind | None
    reach: str
    approvers: int = 1
    most: int = 20
    hourly: int = 60
    lasts: int | None = None
    note: str = ""


_ROWS = (
    KindRow(
        Kind.ISOLATE_HOST, Phase.CONTAINMENT, (TargetType.HOST,), "contain device",
        "the product says isolated, and a connection that is not management fails",
        Kind.RELEASE_HOST, "everything and everyone on the host loses the network, except management",
        most=5, hourly=10,
    ),
    KindRow(
        Kind.RELEASE_HOST, Phase.RECOVERY, (TargetType.HOST,), "allow device",
        "the product says not isolated", Kind.ISOLATE_HOST,
        "whatever is still on the host can reach the network again",
    ),
    KindRow(
        Kind.BLOCK_INDICATOR, Phase.CONTAINMENT, _INDICATOR, "deny ipv4_net|domain_name|uri|file",
        "the block list holds it", Kind.UNBLOCK_INDICATOR,
        "everyone behind the block list loses what shares this address or name",
        most=50, hourly=200, lasts=30 * DAY,
    ),
    KindRow(
        Kind.UNBLOCK_INDICATOR, Phase.RECOVERY, _INDICATOR, "allow ipv4_net|domain_name|uri|file",
        "the block list does not hold it", Kind.BLOCK_INDICATOR, "the indicator can be reached again", most=50,
        hourly=200,
    ),
    KindRow(
        Kind.QUARANTINE_FILE, Phase.CONTAINMENT, (TargetType.FILE,), "contain file",
        "the path is gone and the vault holds the bytes", Kind.RESTORE_FILE,
        "whatever needs the file stops working",
    ),
    KindRow(
        Kind.RESTORE_FILE, Phase.RECOVERY, (TargetType.FILE,), "restore file",
        "the path holds the same bytes, mode, owner, times and attributes", Kind.QUARANTINE_FILE,
        "the file can run again",
    ),
    KindRow(
        Kind.DELETE_FILE, Phase.ERADICATION, (TargetType.FILE,), "delete file", "the path is gone", None,
        "whatever needs the file stops working, for good", approvers=2,
        note="cannot be undone; quarantine first where in doubt",
    ),
    KindRow(
        Kind.TERMINATE_PROCESS, Phase.ERADICATION, (TargetType.PROCESS,), "stop process",
        "no process has this id and start time", None, "unsaved work of that process is lost",
        note="cannot be undone",
    ),
    KindRow(
        Kind.TERMINATE_TREE, Phase.ERADICATION, (TargetType.PROCESS,), "stop process",
        "no process of the lineage is left", None, "unsaved work of the process and all it started is lost",
        note="cannot be undone",
    ),
    KindRow(
        Kind.DISABLE_USER, Phase.CONTAINMENT, (TargetType.ACCOUNT,), "deny user_account",
        "the account is locked", Kind.ENABLE_USER, "the person cannot log in anywhere this directory serves",
        most=5, hourly=10,
    ),
    KindRow(
        Kind.ENABLE_USER, Phase.RECOVERY, (TargetType.ACCOUNT,), "allow user_account",
        "the account is not locked", Kind.DISABLE_USER, "whoever holds the password can log in again",
    ),
    KindRow(
        Kind.RESET_CREDENTIALS, Phase.ERADICATION, (TargetType.ACCOUNT,), "set user_account",
        "the old password is not accepted, or must be changed", None, "services that log in with it stop",
        most=5, hourly=10, note="cannot be undone; the old password is not kept",
    ),
    KindRow(
        Kind.CLEAR_SESSIONS, Phase.CONTAINMENT, (TargetType.ACCOUNT,), "stop user_session",
        "no session of the account is left", None, "the person is logged out everywhere", most=5, hourly=10,
        note="cannot be undone; the person logs in again",
    ),
    KindRow(
        Kind.RESTRICT_INTERPRETER, Phase.ERADICATION, (TargetType.INTERPRETER,), "deny file",
        "the interpreter at this path cannot be run on this host", Kind.ALLOW_INTERPRETER,
        "everything on that host that uses the interpreter at this path", lasts=7 * DAY,
    ),
    KindRow(
        Kind.ALLOW_INTERPRETER, Phase.RECOVERY, (TargetType.INTERPRETER,), "allow file",
        "the interpreter at this path can be run as before", Kind.RESTRICT_INTERPRETER,
        "scripts can run on that host again",
    ),
    KindRow(
        Kind.COLLECT_EVIDENCE, Phase.INVESTIGATION, (TargetType.HOST,), "copy artifact",
        "the bundle is there and its manifest's hashes are right", None, "reads only; takes disk space",
        approvers=0, note="changes nothing that would need undoing",
    ),
    KindRow(
        Kind.NOTIFY, Phase.CONTAINMENT, (TargetType.CASE,), "", "the record has the note", None,
        "a note that people see", approvers=0, note="a note is not taken back",
    ),
    KindRow(
        Kind.CLOSE_CASE, Phase.CLOSING, (TargetType.CASE,), "", "the case is closed", None,
        "the case leaves the queue", note="a case is opened again by new findings or by hand",
    ),
)  # fmt: skip

KINDS: Mapping[Kind, KindRow] = MappingProxyType({row.kind: row for row in _ROWS})


def openc2(kind: Kind, target: TargetType) -> str:
    """The OpenC2 words of an action on this type of target."""
    action, _, choices = KINDS[kind].openc2.partition(" ")
    options = choices.split("|")
    if target in _INDICATOR and len(options) == len(_INDICATOR):
        return f"{action} {options[_INDICATOR.index(target)]}"
    return KINDS[kind].openc2
