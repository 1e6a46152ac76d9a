"""This Linux host, for real: processes, files, network, accounts, evidence. Needs root; acts on this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from perilune.connectors.linux.accounts import Accounts
from perilune.connectors.linux.evidence import Evidence
from perilune.connectors.linux.files import Files
from perilune.connectors.linux.firewall import Firewall
from perilune.connectors.linux.kept import Keeper
from perilune.connectors.linux.trees import Trees
from perilune.connectors.tools import Tool, pick
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import (
    Action,
    Endpoint,
    Kind,
    Observation,
    Receipt,
    Request,
    Role,
    TargetType,
)
from perilune.ports import look_again

T = TypeVar("T")


_TOOLS: Mapping[tuple[Kind, TargetType], str] = {
    (Kind.ISOLATE_HOST, TargetType.HOST): "firewall",
    (Kind.RELEASE_HOST, TargetType.HOST): "firewall",
    (Kind.BLOCK_INDICATOR, TargetType.ADDRESS): "firewall",
    (Kind.BLOCK_INDICATOR, TargetType.DOMAIN): "firewall",
    (Kind.UNBLOCK_INDICATOR, TargetType.ADDRESS): "firewall",
    (Kind.UNBLOCK_INDICATOR, TargetType.DOMAIN): "firewall",
    (Kind.QUARANTINE_FILE, TargetType.FILE): "files",
    (Kind.RESTORE_FILE, TargetType.FILE): "files",
    (Kind.DELETE_FILE, TargetType.FILE): "files",
    (Kind.RESTRICT_INTERPRETER, TargetType.INTERPRETER): "files",
    (Kind.ALLOW_INTERPRETER, TargetType.INTERPRETER): "files",
    (Kind.TERMINATE_PROCESS, TargetType.PROCESS): "trees",
    (Kind.TERMINATE_TREE, TargetType.PROCESS): "trees",
    (Kind.DISABLE_USER, TargetType.ACCOUNT): "accounts",
    (Kind.ENABLE_USER, TargetType.ACCOUNT): "accounts",
    (Kind.RESET_CREDENTIALS, TargetType.ACCOUNT): "accounts",
    (Kind.CLEAR_SESSIONS, TargetType.ACCOUNT): "accounts",
    (Kind.COLLECT_EVIDENCE, TargetType.HOST): "evidence",
}


@dataclass(slots=True)
class Linux:
    """The connector.

    state       a folder for the vault, evidence, and what was before each act
    management  addresses that an isolated host must stay reachable from
    """

    state: Path
    management: tuple[str, ...] = ()
    name: str = "linux"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(_TOOLS)
    _tools: dict[str, Tool] = field(init=False)

    def __post_init__(self) -> None:
        self._tools = {
            "firewall": Firewall(self.management),
            "files": Files(Keeper(self.state / "vault")),
            "trees": Trees(Keeper(self.state / "processes")),
            "accounts": Accounts(Keeper(self.state / "accounts")),
            "evidence": Evidence(Keeper(self.state / "evidence")),
        }

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        """This machine, if it goes by that name; every other name is unknown here."""
        own = socket.gethostname().lower()
        names = {own, own.split(".")[0]}
        if host.lower() not in names and host.lower().split(".")[0] not in names:
            return []
        return [Endpoint(_machine_id(), host, Role.UNKNOWN, platform="linux")]

    def describe(self, action: Action) -> Sequence[Request]:
        return self._tool(action).describe(action)

    def check(self, action: Action) -> Observation:
        return self._safely(lambda: self._tool(action).check(action))

    def act(self, action: Action, key: str) -> Receipt:
        if os.geteuid() != 0:
            raise UsageError("the linux connector needs root", hint="run it with sudo")
        look_again()
        return self._safely(lambda: self._tool(action).act(action, key))

    def _tool(self, action: Action) -> Tool:
        return pick(self.name, _TOOLS, self._tools, action)

    def _safely(self, call: Callable[[], T]) -> T:
        """What the system refuses is this connector's answer, never a traceback."""
        try:
            return call()
        except OSError as error:
            raise ConnectorError(f"{error.strerror or error}", where=str(error.filename or "")) from error


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()
