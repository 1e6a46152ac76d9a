"""What is never done. Each guard with what it refuses and what it lets through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perilune.model.actions import Action, Endpoint, Kind, Role, Target, TargetType
from perilune.response.guards import SafeList, Surroundings, approvers_needed, over_caps, refuse
from tests.response.build import ACCOUNT, ADDRESS, FILE, HOST, PROCESS, action, around

LUA_HASH = "cd" * 32
SAFE = SafeList(
    hosts=frozenset({"web-01"}),
    accounts=frozenset({"root", "administrator"}),
    processes=frozenset({"sshd", "lsass.exe"}),
    paths=("/usr/bin/", "C:\\Windows\\"),
    networks=("8.8.8.8",),
    domains=frozenset({"github.com"}),
    management=("198.18.0.7",),
)


def hit(kind: Kind, target: Target, **more: object) -> str | None:
    surroundings = replace(
        around(interpreter_hashes=frozenset({LUA_HASH}), is_interpreter=lambda name: name in ("lua", "lua.exe")), **more
    )
    found = refuse(action(kind, target), surroundings)
    return found[0] if found else None


def block(kind: TargetType, value: str) -> Target:
    return Target(kind, value)


@pytest.mark.parametrize(
    ("kind", "target", "guard"),
    [
        (Kind.BLOCK_INDICATOR, block(TargetType.HASH, LUA_HASH.upper()), "interpreter"),
        (Kind.BLOCK_INDICATOR, block(TargetType.HASH, "ab" * 32), None),
        (Kind.QUARANTINE_FILE, Target(TargetType.FILE, "/tmp/lua", "web-01"), "interpreter"),
        (Kind.QUARANTINE_FILE, Target(TargetType.FILE, "C:\\Users\\a\\lua.exe", "web-01"), "interpreter"),
        (Kind.DELETE_FILE, replace(FILE, sha256=LUA_HASH), "interpreter"),
        (Kind.QUARANTINE_FILE, FILE, None),
        (Kind.TERMINATE_PROCESS, PROCESS, None),
        (Kind.TERMINATE_PROCESS, replace(PROCESS, pid=None), "process"),
        (Kind.TERMINATE_TREE, replace(PROCESS, started=None), "process"),
        (Kind.TERMINATE_TREE, replace(PROCESS, pid=1), "process"),
        (Kind.TERMINATE_TREE, replace(PROCESS, value="/usr/sbin/sshd"), "process"),
        (Kind.TERMINATE_TREE, replace(PROCESS, value="C:\\Windows\\System32\\LSASS.EXE"), "process"),
        (Kind.ISOLATE_HOST, HOST, "safe-host"),
        (Kind.RELEASE_HOST, HOST, None),
        (Kind.DISABLE_USER, replace(ACCOUNT, value="root"), "safe-account"),
        (Kind.DISABLE_USER, replace(ACCOUNT, value="CORP\\Administrator"), "safe-account"),
        (Kind.DISABLE_USER, replace(ACCOUNT, value="CORP\\WS7$"), "safe-account"),
        (Kind.DISABLE_USER, ACCOUNT, None),
        (Kind.ENABLE_USER, replace(ACCOUNT, value="root"), None),
        (Kind.QUARANTINE_FILE, replace(FILE, value="/usr/bin/x"), "safe-path"),
        (Kind.QUARANTINE_FILE, replace(FILE, value="c:/windows/Temp/x.lua"), "safe-path"),
        (Kind.DELETE_FILE, replace(FILE, value="/tmp/../usr/bin/x"), "safe-path"),
        (Kind.DELETE_FILE, replace(FILE, value="x.lua"), "safe-path"),
        (Kind.BLOCK_INDICATOR, ADDRESS, None),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "10.0.0.1"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "8.8.8.8"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "198.18.0.7"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "45.0.0.0/8"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "::1"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "224.0.0.1"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.ADDRESS, "not one"), "safe-address"),
        (Kind.BLOCK_INDICATOR, block(TargetType.DOMAIN, "raw.github.com"), "safe-domain"),
        (Kind.BLOCK_INDICATOR, block(TargetType.DOMAIN, "com"), "safe-domain"),
        (Kind.BLOCK_INDICATOR, block(TargetType.DOMAIN, "notgithub.com"), None),
        (Kind.BLOCK_INDICATOR, block(TargetType.URL, "https://github.com/x/y"), None),
        (Kind.UNBLOCK_INDICATOR, block(TargetType.ADDRESS, "10.0.0.1"), None),
    ],
)
def test_a_guard_refuses_what_it_must_and_nothing_else(kind: Kind, target: Target, guard: str | None) -> None:
    assert hit(kind, target, safe=SAFE) == guard


def test_one_name_of_several_endpoints_is_refused_and_says_which() -> None:
    two = {"web-01": (Endpoint("e1", "web-01"), Endpoint("e2", "web-01"))}
    found = refuse(action(), Surroundings(two, SafeList()))
    assert found is not None
    assert found[0] == "one-endpoint"
    assert "e1, e2" in found[1]


def test_an_endpoint_that_nobody_knows_is_refused() -> None:
    assert refuse(action(), Surroundings({}, SafeList())) == (
        "one-endpoint",
        "the connector knows no endpoint called web-01",
    )


@pytest.mark.parametrize(
    ("role", "given", "needed"),
    [
        (Role.WORKSTATION, 0, 0),
        (Role.WORKSTATION, 1, 1),
        (Role.SERVER, 0, 2),
        (Role.DOMAIN_CONTROLLER, 1, 2),
        (Role.UNKNOWN, 0, 1),
    ],
)
def test_servers_need_a_second_approver_and_the_unknown_at_least_one(role: Role, given: int, needed: int) -> None:
    assert approvers_needed(action(approvers=given), around(role)) == needed


def test_blocking_an_address_needs_no_second_approver_because_of_a_server() -> None:
    assert approvers_needed(action(Kind.BLOCK_INDICATOR, ADDRESS), around(Role.SERVER)) == 1


def test_over_a_cap_the_whole_kind_is_named() -> None:
    many: list[Action] = [action(Kind.ISOLATE_HOST, Target(TargetType.HOST, f"h{n}")) for n in range(6)]
    assert set(over_caps([*many, action(Kind.BLOCK_INDICATOR, ADDRESS)])) == {Kind.ISOLATE_HOST}
    assert over_caps(many[:5]) == {}
