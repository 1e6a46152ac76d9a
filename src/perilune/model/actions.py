"""What is done about a case: actions on targets, the plan that holds them, approvals, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Everything that Perilune can do to something. `response/kinds.py` says of each what it means."""

    ISOLATE_HOST = "isolate-host"
    RELEASE_HOST = "release-host"
    BLOCK_INDICATOR = "block-indicator"
    UNBLOCK_INDICATOR = "unblock-indicator"
    QUARANTINE_FILE = "quarantine-file"
    RESTORE_FILE = "restore-file"
    DELETE_FILE = "delete-file"
    TERMINATE_PROCESS = "terminate-process"
    TERMINATE_TREE = "terminate-tree"
    DISABLE_USER = "disable-user"
    ENABLE_USER = "enable-user"
    RESET_CREDENTIALS = "reset-credentials"
    CLEAR_SESSIONS = "clear-sessions"
    RESTRICT_INTERPRETER = "restrict-interpreter"
    ALLOW_INTERPRETER = "allow-interpreter"
    COLLECT_EVIDENCE = "collect-evidence"
    NOTIFY = "notify"
    CLOSE_CASE = "close-case"


class Phase(StrEnum):
    INVESTIGATION = "investigation"
    CONTAINMENT = "containment"
    ERADICATION = "eradication"
    RECOVERY = "recovery"
    CLOSING = "closing"


class TargetType(StrEnum):
    HOST = "host"
    PROCESS = "process"
    FILE = "file"
    ADDRESS = "address"
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    ACCOUNT = "account"
    INTERPRETER = "interpreter"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is done to.

    value    a host's or account's name, a path, an address, a hash, a case's id; of a process its image
    host     where it is; empty for what holds everywhere, such as a blocked address in a tenant
    pid      of a process, with
    started  its start time: together they name one process, a number alone does not
    sha256   of a file, where it is known
    """

    type: TargetType
    value: str
    host: str = ""
    pid: int | None = None
    started: datetime | None = None
    sha256: str = ""

    @property
    def key(self) -> str:
        """What epochs are counted on and effects are found by."""
        parts = [self.type.value, self.host, self.value]
        if self.pid is not None:
            parts += [str(self.pid), self.started.isoformat() if self.started else ""]
        return "|".join(parts)

    @property
    def words(self) -> str:
        place = f" on {self.host}" if self.host else ""
        if self.type is TargetType.PROCESS:
            since = f", started {self.started.isoformat(timespec='milliseconds')}" if self.started else ""
            return f"process {self.pid} ({self.value}{since}){place}"
        return f"{self.type.value} {self.value}{place}"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do to one target.

    number     its place in the plan, from 1
    step       the playbook step that asks for it
    approvers  how many different people must approve it; 0 where the inputs say automatically
    lasts      seconds after which its inverse is due; None: until somebody undoes it
    undoes     of an inverse: the key of the act that it undoes, under which the connector kept what was before
    """

    number: int
    kind: Kind
    target: Target
    step: str
    phase: Phase
    why: str
    approvers: int = 1
    lasts: int | None = None
    undoes: str = ""

    @property
    def key(self) -> str:
        """The same action of the same step in every walk through the same playbook."""
        return f"{self.step}|{self.kind.value}|{self.target.key}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that the playbook asked for and a guard refused."""

    kind: Kind
    target: Target
    step: str
    guard: str
    reason: str

    @property
    def key(self) -> str:
        return f"{self.step}|{self.kind.value}|{self.target.key}"


@dataclass(frozen=True, slots=True)
class Document:
    """A playbook as it was when a plan was made of it; the run goes on with exactly these bytes."""

    id: str
    name: str
    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a playbook comes to for one case, if every action does what it should.

    documents  the playbook first, then those that it calls, pinned
    inputs     as they were given, defaults filled in
    facts      what steps look up, as it was when the plan was made
    steps      the action steps that were walked through; a run does nothing at any other
    answers    of questions, by variable, as they were given when the plan was made
    unknown    what cannot be known before: answers of people that were assumed, and what hangs on them
    undoes     the run whose effects this plan takes back, if it does
    """

    case: str
    connector: str
    documents: tuple[Document, ...]
    inputs: Mapping[str, str | None]
    actions: tuple[Action, ...]
    refusals: tuple[Refusal, ...] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    undoes: str = ""


class Outcome(StrEnum):
    """What came of an action. Unknown is an answer, and is never tried again blindly."""

    DONE = "done"  # done, and seen to hold
    ALREADY = "already"  # it held before; nothing was sent
    REFUSED = "refused"  # by a guard, a person, or time
    FAILED = "failed"
    UNKNOWN = "unknown"  # sent, and nobody can say whether it holds


class Closing(StrEnum):
    """What a case turned out to be, as other products are told."""

    HANDLED = "handled"
    FALSE_POSITIVE = "false-positive"
    EXPECTED = "expected"


class State(StrEnum):
    """Whether an action's effect is there, as a connector reads it."""

    HOLDS = "holds"
    ABSENT = "absent"
    PENDING = "pending"  # under way at the product
    AWAY = "away"  # the target cannot be reached now and may come back
    BLIND = "blind"  # the product has no way to read it; only the act itself can tell
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """A state that was read, and what was seen, in words."""

    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a connector says of one act. `reference` is the product's own id of it.

    confirmed  the product itself said, in the act, that the effect is there; for what cannot be read otherwise
    """

    outcome: Outcome
    detail: str = ""
    reference: str = ""
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an action in a run."""

    outcome: Outcome
    detail: str = ""

    @property
    def held(self) -> bool:
        return self.outcome in (Outcome.DONE, Outcome.ALREADY)


@dataclass(frozen=True, slots=True)
class Approval:
    """What one person decided about a plan. `actions` are their numbers; empty means all of them."""

    plan: str
    approver: str
    granted: bool
    reason: str
    at: datetime
    expires: datetime
    actions: tuple[int, ...] = ()

    def covers(self, number: int) -> bool:
        return not self.actions or number in self.actions


class Role(StrEnum):
    """What a host is for, as far as it changes who must approve."""

    WORKSTATION = "workstation"
    SERVER = "server"
    DOMAIN_CONTROLLER = "domain-controller"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host as a connector knows it."""

    id: str
    name: str
    role: Role = Role.UNKNOWN
    connected: bool = True
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case gives a playbook to work on.

    targets       by the word that a step selects them with: `hosts`, `processes`, `files`, `addresses`, …
    facts         what a step can look up, as variables by topic: `command-line`, `related`
    interpreters  hashes known to be an interpreter's own
    """

    case: str
    targets: Mapping[str, tuple[Target, ...]]
    facts: Mapping[str, Mapping[str, str]]
    interpreters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that a connector would send or change, exactly, and what it does in words."""

    what: str
    body: str = ""
    effect: str = ""
