"""Every recorded run of Lua is found or explained, whichever program it ran in.

The development data hold an auditd recording of each program in Debian that runs Lua, one after the other, each
announced by `/bin/echo CASE:<name>`. `AT_WORK` lists by that name the executions whose arguments show Lua at work.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune import pipeline, readers
from perilune.detection import matching
from perilune.model.rules import Role
from perilune.model.sources import SourceReport

CHILD = "sh -c id >/dev/null"
AT_WORK = {
    "lua51": ("lua5.1 probe.lua", CHILD),
    "lua52": ("lua5.2 probe.lua", CHILD),
    "lua53": ("lua5.3 probe.lua", CHILD),
    "lua54": ("lua5.4 probe.lua", CHILD),
    "luajit": ("timeout 25 luajit probe.lua",),  # it was not installed; only the attempt is there
    "lua-e": ("lua5.4 -e os.execute(", CHILD),
    "alt": ("lua probe.lua", CHILD),
    "stdin": ("sh -c lua5.4 - < probe.lua", "lua5.4 -", CHILD),
    "shebang": ("/usr/bin/lua5.4 ./she.lua", CHILD),
    "envshebang": ("/usr/bin/env lua ./env.lua", "lua ./env.lua", CHILD),
    "luainit": ("env LUA_INIT=@probe.lua lua5.4", "lua5.4 -e", CHILD),
    "luac": ("lua5.4 probe.luac", CHILD),
    "lib": ("lua5.4 -l probe", CHILD),
    "renamed": ("./kworker probe.lua", CHILD),
    "argv0": ("bash -c exec -a", "[kworker/0:1] probe.lua", CHILD),
    "memfd": ("timeout 25 python3 -c import os;fd=os.memfd_create", "lua5.4 probe.lua", CHILD),
    "texlua": ("texlua probe.lua", CHILD),
    "luatex": ("luatex --luaonly probe.lua", CHILD),
    "nmap": ("nmap --script ./probe.nse", CHILD),
    "tshark": ("tshark -X lua_script:tshark.lua", CHILD),
    "nvim": ("nvim --headless -u NONE -c lua", CHILD),
    "vim": ("vim -es -u NONE -c lua", CHILD),
    "rpm": ("rpm --eval %{lua:", CHILD),
    "mpv": ("mpv --no-config --script=", CHILD),
    "awesome": ("awesome -k -c rc.lua",),
    "rspamadm": ("rspamadm lua probe.lua", CHILD),
    "rspamadm2": ("rspamadm lua -b probe.lua", CHILD),
    "tarantool": ("tarantool probe.lua", CHILD),
    "prosodyctl": ("/usr/bin/env lua5.4 /usr/bin/prosodyctl", "lua5.4 /usr/bin/prosodyctl"),
    "dnsdist": ("dnsdist --check-config -C rc.lua", CHILD),
    "kresd": ("kresd -n -c rc.lua", CHILD),
    "redis": ("sh -c redis-server", "redis-server --port", "redis-cli -p 6399 eval"),
    "haproxy": ("haproxy -c -f haproxy.cfg", CHILD),  # the script is named in the configuration only
    "vlc": ("/bin/sh /usr/bin/cvlc -I luaintf", "/usr/bin/vlc -I dummy -I luaintf"),
}
# In these the code says on its face that it runs a command, or the program hides; a low finding would not do.
STRONG = ("lua-e", "argv0", "memfd", "nvim", "vim", "rpm", "redis", "haproxy", "dnsdist", "kresd")

Found = dict[str, list[tuple[str, list]]]


@pytest.fixture(scope="module")
def runs(data_dir: Path) -> Found:
    """By case, each execution's command line and the rules that hold on it."""
    rules = pipeline.load_rules()
    found: Found = {}
    case = ""
    for table in readers.read([data_dir / "auditd" / "audit_lua_hosts.log"]):
        if isinstance(table, SourceReport) or table.name != "DeviceProcessEvents":
            continue
        held: dict[int, list] = {}
        for rule, index in matching.match(rules, table):
            held.setdefault(index, []).append(rule)
        for index, command in enumerate(map(str, table.values("ProcessCommandLine"))):
            case = command.partition("CASE:")[2] or case
            found.setdefault(case, []).append((command, held.get(index, [])))
    return found


def test_the_list_names_every_case(runs: Found) -> None:
    assert set(runs) - {""} == set(AT_WORK)


@pytest.mark.parametrize("case", AT_WORK)
def test_lua_at_work_is_found_or_explained(runs: Found, case: str) -> None:
    for start in AT_WORK[case]:
        of_case = [rules for command, rules in runs[case] if command.startswith(start)]
        assert of_case, f"{case}: no execution begins with {start!r}"
        assert all(of_case), f"{case}: nothing is said of {start!r}"


@pytest.mark.parametrize("case", STRONG)
def test_what_runs_commands_or_hides_is_high(runs: Found, case: str) -> None:
    levels = [rule.level.word for _, rules in runs[case] for rule in rules if rule.role is Role.DETECTION]
    assert {"high", "critical"} & set(levels)


def test_known_hosts_explain_only_their_own(runs: Found) -> None:
    explained = {
        case for case, all_runs in runs.items() for _, rules in all_runs if any(r.role is Role.CONTEXT for r in rules)
    }
    assert explained == {"awesome", "prosodyctl", "redis", "haproxy"}


def test_ordinary_commands_are_left_alone(runs: Found) -> None:
    noise = {
        command
        for all_runs in runs.values()
        for command, rules in all_runs
        if rules and command.split()[0] in ("id", "rm", "sleep", "/bin/echo")
    }
    assert noise == set()
