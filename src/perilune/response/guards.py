"""What is never done, whoever asks: each guard is a small function that refuses an action and says why, or does not.

The published T1059 playbook terminates every process of an interpreter's name and block-lists the interpreter's own
hash. These guards are the difference; they judge the plan, and what depends on the moment is judged again at the act.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perilune.model.actions import Action, Endpoint, Kind, Role, TargetType
from perilune.response.kinds import KINDS

DESTRUCTIVE_TO_FILES = (Kind.QUARANTINE_FILE, Kind.DELETE_FILE)
TERMINATING = (Kind.TERMINATE_PROCESS, Kind.TERMINATE_TREE)
ON_ACCOUNTS = (Kind.DISABLE_USER, Kind.RESET_CREDENTIALS, Kind.CLEAR_SESSIONS)
BLOCKING = (Kind.BLOCK_INDICATOR,)


@dataclass(frozen=True, slots=True)
class SafeList:
    """What is left alone. Hosts, accounts and processes by name; paths and domains also by what lies under them.

    management  addresses that must stay reachable: this machine's way in
    """

    hosts: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    processes: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    domains: frozenset[str] = frozenset()
    management: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What guards look at besides the action: endpoints by host name, safe-lists, what an interpreter is."""

    endpoints: Mapping[str, Sequence[Endpoint]]
    safe: SafeList
    interpreter_hashes: frozenset[str] = frozenset()
    is_interpreter: Callable[[str], bool] = field(default=lambda name: False)


Guard = Callable[[Action, Surroundings], str | None]


def refuse(action: Action, around: Surroundings) -> tuple[str, str] | None:
    """The first guard that refuses, and its reason."""
    for name, guard in GUARDS.items():
        if (reason := guard(action, around)) is not None:
            return name, reason
    return None


def over_caps(actions: Sequence[Action]) -> dict[Kind, str]:
    """The kinds of which a plan holds more than it may: all of them are refused, not the last ones."""
    counts = Counter(action.kind for action in actions)
    return {
        kind: f"the plan would do this {count} times, and may do it {KINDS[kind].most} times; narrow the case first"
        for kind, count in counts.items()
        if count > KINDS[kind].most
    }


def approvers_needed(action: Action, around: Surroundings) -> int:
    """How many different people: servers and domain controllers need a second, and never none."""
    roles = {endpoint.role for endpoint in around.endpoints.get(_host(action), ())}
    touches = action.kind in (Kind.ISOLATE_HOST, *TERMINATING, *DESTRUCTIVE_TO_FILES, Kind.RESTRICT_INTERPRETER)
    if touches and roles & {Role.SERVER, Role.DOMAIN_CONTROLLER}:
        return max(action.approvers, 2)
    if touches and Role.UNKNOWN in roles:
        return max(action.approvers, 1)
    return action.approvers


def _host(action: Action) -> str:
    return action.target.value if action.target.type is TargetType.HOST else action.target.host


def _base(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()


def _interpreters_own(action: Action, around: Surroundings) -> str | None:
    """An interpreter is everybody's; what runs in it is the attacker's."""
    target = action.target
    digest = (target.value if target.type is TargetType.HASH else target.sha256).lower()
    if digest and action.kind in (*BLOCKING, *DESTRUCTIVE_TO_FILES) and digest in around.interpreter_hashes:
        return "this hash is an interpreter's own: it would stop every legitimate use of it"
    if action.kind in DESTRUCTIVE_TO_FILES and around.is_interpreter(_base(target.value)):
        return "this file is an interpreter; restrict it at this path on this host instead"
    return None


def _process_by_name(action: Action, around: Surroundings) -> str | None:
    target = action.target
    if action.kind not in TERMINATING:
        return None
    if target.pid is None or target.started is None:
        return "a process is terminated by its id and start time, never by its name"
    if target.pid <= 2 or _base(target.value) in around.safe.processes:
        return f"{_base(target.value)} keeps the system running"
    return None


def _safe_host(action: Action, around: Surroundings) -> str | None:
    host = _host(action).lower()
    harmful = action.kind in (Kind.ISOLATE_HOST, Kind.RESTRICT_INTERPRETER)
    return "this host is on the safe-list" if harmful and host in around.safe.hosts else None


def _safe_account(action: Action, around: Surroundings) -> str | None:
    if action.kind not in ON_ACCOUNTS:
        return None
    whole = action.target.value.lower()
    short = whole.replace("/", "\\").rsplit("\\", 1)[-1].split("@")[0]
    if {whole, short} & around.safe.accounts or short.endswith("$"):
        return "this account is on the safe-list or belongs to the system"
    return None


def _safe_path(action: Action, around: Surroundings) -> str | None:
    if action.kind not in DESTRUCTIVE_TO_FILES:
        return None
    path = action.target.value.replace("\\", "/").lower()
    if "/../" in path or path.endswith("/.."):
        return "the path climbs with '..'; name the file itself"
    if not (path.startswith("/") or path[1:3] == ":/"):
        return "the path is not whole, so nobody can say which file it is"
    inside = next((one for one in around.safe.paths if path.startswith(one.replace("\\", "/").lower())), None)
    return f"the path lies in {inside}, which belongs to the system" if inside else None


def _safe_address(action: Action, around: Surroundings) -> str | None:
    if action.kind not in BLOCKING or action.target.type is not TargetType.ADDRESS:
        return None
    try:
        network = ipaddress.ip_network(action.target.value, strict=False)
    except ValueError:
        return "this is no address"
    if network.num_addresses > 256:
        return f"a block of {network.num_addresses:,} addresses is more than one attacker"
    for listed in (*around.safe.management, *around.safe.networks):
        other = ipaddress.ip_network(listed, strict=False)
        if network.version == other.version and network.overlaps(other):
            return f"it lies in {listed}, which is on the safe-list"
    first = network.network_address
    if not first.is_global or first.is_multicast:
        return "the address is private, reserved or this machine's own; isolate the host instead"
    return None


def _safe_domain(action: Action, around: Surroundings) -> str | None:
    if action.kind not in BLOCKING or action.target.type is not TargetType.DOMAIN:
        return None
    name = action.target.value.lower().rstrip(".")
    if "." not in name:
        return "a single name is a machine of your own, or a whole top-level domain"
    parents = {".".join(name.split(".")[n:]) for n in range(name.count(".") + 1)}
    if shared := sorted(parents & around.safe.domains):
        return f"{shared[0]} serves many; block the whole URL instead"
    return None


def _one_endpoint(action: Action, around: Surroundings) -> str | None:
    """One name may be two machines, and a product told to isolate a name isolates both."""
    host = _host(action)
    if not host:
        return None
    found = around.endpoints.get(host, ())
    if len(found) > 1:
        return (
            f"{len(found)} endpoints are called {host} ({', '.join(one.id for one in found[:5])}); name one by its id"
        )
    if not found:
        return f"the connector knows no endpoint called {host}"
    return None


GUARDS: Mapping[str, Guard] = {
    "interpreter": _interpreters_own,
    "process": _process_by_name,
    "safe-host": _safe_host,
    "safe-account": _safe_account,
    "safe-path": _safe_path,
    "safe-address": _safe_address,
    "safe-domain": _safe_domain,
    "one-endpoint": _one_endpoint,
}
