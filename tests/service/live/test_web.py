"""HTTP as shippers speak it, spoken by a client over a real socket."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import UsageError
from perilune.service.live import journal
from perilune.service.live.addresses import Address, open_source
from perilune.service.live.bodies import Refused, of_bulk, of_collector
from perilune.service.live.web import WebSource
from tests.service.live.build import event


@pytest.fixture
def source(tmp_path: Path) -> Iterator[WebSource]:
    made = open_source(Address("http://127.0.0.1:0", tmp_path / "lake"))
    assert isinstance(made, WebSource)
    made.start()
    yield made
    made.stop()


def ask(
    source: WebSource, path: str, body: bytes = b"", *, method: str = "POST", token: str | None = None, **more: str
) -> tuple[int, dict[str, object]]:
    given = (source.folder.parent.parent / "http.token").read_text() if token is None else token
    headers = {"Authorization": given if " " in given else f"Splunk {given}"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    connection = http.client.HTTPConnection("127.0.0.1", source.port, timeout=10)
    connection.request(method, path, body, headers)
    with closing(connection):
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


def kept(source: WebSource) -> Mapping[str, list[bytes]]:
    """By journal, the lines that are on disk."""
    found: dict[str, list[bytes]] = {}
    for chunk in source.poll({}, 1 << 30):
        found.setdefault(chunk.stream.partition("#")[2], []).extend(chunk.data.splitlines())
    return found


def test_splunk_events_of_every_kind(source: WebSource) -> None:
    line = json.loads(event(7))
    audit = "type=SYSCALL msg=audit(1795280378.572:32837): arch=c000003e syscall=59"
    body = b"".join(
        json.dumps(one).encode()
        for one in (
            {"event": line, "sourcetype": "defender", "host": "x"},
            {"event": json.dumps(line)},
            {"event": audit, "host": "web-01", "sourcetype": "linux_audit"},
            {"event": "<Event xmlns='x'>\n<System/></Event>"},
            {"event": "lua entry thread aborted", "host": "web 02", "sourcetype": "nginx", "time": "1795280378.5"},
        )
    )
    assert ask(source, "/services/collector/event", body) == (200, {"text": "Success", "code": 0})
    found = kept(source)
    assert [json.loads(one) for one in found["json"]] == [line, line]
    assert found["audit"] == [f"node=web-01 {audit}".encode()]
    assert found["xml"] == [b"<Event xmlns='x'> <System/></Event>"]
    assert found["text"] == [b"<13>1 2026-11-21T16:59:38.500000+00:00 web_02 nginx - - - lua entry thread aborted"]


def test_elastic_documents(source: WebSource) -> None:
    line = event(1).strip()
    body = b'{"create":{"_index":"logs"}}\n' + line + b'\n{"delete":{"_id":"1"}}\n{"index":{}}\n' + line + b"\n"
    code, answer = ask(source, "/logs/_bulk", body)
    assert (code, answer["errors"]) == (200, False)
    assert [next(iter(one)) for one in answer["items"]] == ["create", "delete", "index"]  # type: ignore[attr-defined]
    assert kept(source)["json"] == [json.dumps(json.loads(line), separators=(",", ":")).encode()] * 2
    assert ask(source, "/", method="GET")[1]["tagline"] == "You Know, for Search"
    assert ask(source, "/nothing", method="GET")[0] == 404


@pytest.mark.parametrize("scheme", ["Splunk", "Bearer", "ApiKey", "Basic"])
def test_the_token(source: WebSource, scheme: str) -> None:
    token = (source.folder.parent.parent / "http.token").read_text()
    given = token if scheme in ("Splunk", "Bearer") else base64.b64encode(f"id:{token}".encode()).decode()
    body = b'{"event": {"a": 1}}'
    assert ask(source, "/services/collector", body, token=f"{scheme} {given}")[0] == 200
    for wrong in ("Splunk nothing", f"Splunk {token[:-1]}", "Basic !!!", " "):
        assert ask(source, "/services/collector", body, token=wrong)[0] == 401
    assert (source.folder.parent.parent / "http.token").stat().st_mode & 0o77 == 0


def test_what_is_wrong_is_refused_and_nothing_of_it_is_kept(source: WebSource) -> None:
    good = b'{"event": {"a": 1}}'
    for body, code in ((good + b'{"event": ', 400), (good + b"{}", 400), (b"", 400), (b"[1]", 400)):
        assert ask(source, "/services/collector", body)[0] == code
    assert ask(source, "/_bulk", b'{"drop":{}}\n{}\n')[0] == 400
    bomb = gzip.compress(bytes(70 << 20))
    assert ask(source, "/services/collector", bomb, Content_Encoding="gzip")[0] == 413
    assert ask(source, "/services/collector", b"x", Content_Encoding="gzip")[0] == 400
    assert kept(source) == {}
    assert ask(source, "/services/collector", gzip.compress(good), Content_Encoding="gzip")[0] == 200
    assert source.state.lost["requests refused with 400"] == 6


def test_a_full_disk_is_answered_with_busy(source: WebSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: journal.Journal, lines: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "_write", write)
        assert ask(source, "/services/collector", b'{"event": {"a": 1}}')[0] == 503
        assert "No space" in source.state.problem
    assert ask(source, "/services/collector", b'{"event": {"a": 1}}')[0] == 200
    assert source.state.problem == ""
    assert len(kept(source)["json"]) == 1


@given(st.binary(max_size=200))
def test_any_body_is_taken_or_refused(body: bytes) -> None:
    for take in (of_collector, of_bulk):
        try:
            take(body)
        except Refused as refused:
            assert refused.code in (400, 413)


def test_plain_http_is_for_this_machine_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this machine alone"):
        open_source(Address("http://0.0.0.0:8088", tmp_path))
    with pytest.raises(UsageError, match="16 characters"):
        (tmp_path / "short").write_text("abc")
        open_source(Address(f"http://127.0.0.1:0?token_file={tmp_path / 'short'}", tmp_path))
