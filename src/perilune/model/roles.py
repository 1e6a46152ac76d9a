"""Who may do what in the console and the API: five roles, each a set of acts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Act(StrEnum):
    """Something that a person or a token may be allowed to do."""

    READ = "read"  # the queue and the cases
    WORK = "work"  # status, owner, comments, feedback
    RESPOND = "respond"  # start and undo runs of playbooks
    APPROVE = "approve"  # decide on their plans
    AUDIT = "audit"  # read the audit log
    ADMINISTER = "administer"  # users and their roles


class Role(StrEnum):
    VIEWER = "viewer"
    ANALYST = "analyst"
    RESPONDER = "responder"
    APPROVER = "approver"
    ADMIN = "admin"


# An approver does not start runs and a responder does not approve them: two people for every live action.
ACTS: Mapping[Role, frozenset[Act]] = {
    Role.VIEWER: frozenset({Act.READ}),
    Role.ANALYST: frozenset({Act.READ, Act.WORK}),
    Role.RESPONDER: frozenset({Act.READ, Act.WORK, Act.RESPOND}),
    Role.APPROVER: frozenset({Act.READ, Act.WORK, Act.APPROVE, Act.AUDIT}),
    Role.ADMIN: frozenset({Act.READ, Act.WORK, Act.AUDIT, Act.ADMINISTER}),
}
