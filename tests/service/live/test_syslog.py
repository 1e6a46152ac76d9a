"""Syslog as it comes over UDP, TCP and TLS: frames of any kind, in any pieces, into rows once."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import UsageError
from perilune.service.live import journal
from perilune.service.live.addresses import Address, open_source
from perilune.service.live.syslog import MOST_MESSAGE, Frames, SyslogSource

FIRST = b"<34>1 2026-11-22T10:00:00.003Z web-01 nginx 77 ID47 - first"
SECOND = b"<13>Nov 22 10:00:01 web-02 cron[12]: second of\ntwo lines"


@contextmanager
def listening(tmp_path: Path, name: str) -> Iterator[SyslogSource]:
    source = open_source(Address(name, tmp_path / "lake"))
    assert isinstance(source, SyslogSource)
    source.start()
    try:
        yield source
    finally:
        source.stop()


def received(source: SyslogSource, enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """The lines that arrived, once there are enough."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = b"".join(chunk.data for chunk in source.poll({}, 1 << 30)).splitlines()
        if enough(found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"only {found}")


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.booleans()), max_size=12), st.integers(1, 30))
def test_frames_in_any_pieces(parts: list[tuple[bytes, bool]], size: int) -> None:
    """A frame says itself how it ends: by a count, or by a line feed."""
    messages = [b"<13>" + part.replace(b"\n", b"~") for part, _ in parts]
    stream = b"".join(
        b"%d %s" % (len(message), message) if counted else message + b"\n"
        for message, (_, counted) in zip(messages, parts, strict=True)
    )
    frames = Frames()
    found: list[bytes] = []
    for at in range(0, len(stream), size):
        found += frames.add(stream[at : at + size])
    assert found + frames.rest() == messages
    assert not frames.cut


def test_a_message_without_end_is_cut_and_counted() -> None:
    frames = Frames()
    found = frames.add(b"x" * (MOST_MESSAGE + 10) + b"\n<13>next\n")
    assert [len(one) for one in found] == [MOST_MESSAGE, 8]
    assert frames.cut == 1
    frames = Frames()
    found = frames.add(b"%d %s" % (MOST_MESSAGE * 2, b"y" * MOST_MESSAGE))
    assert (len(found), frames.cut) == (1, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_frames(data: bytes) -> None:
    frames = Frames()
    assert sum(map(len, frames.add(data) + frames.rest())) <= len(data)


def test_datagrams(tmp_path: Path) -> None:
    with listening(tmp_path, "syslog+udp://127.0.0.1:0") as source:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for message in (FIRST, SECOND):
            sender.sendto(message, ("127.0.0.1", source.port))
        assert received(source, lambda found: len(found) == 2) == [FIRST, SECOND.replace(b"\n", b"#012")]
        sender.close()


@pytest.mark.parametrize("counted", [True, False])
def test_connections(tmp_path: Path, counted: bool) -> None:
    with listening(tmp_path, "syslog+tcp://127.0.0.1:0") as source:
        with socket.create_connection(("127.0.0.1", source.port)) as sender:
            sender.sendall(b"%d %s" % (len(SECOND), SECOND) if counted else FIRST + b"\n")
            sender.sendall(FIRST)  # the last one has no end but that of the connection
        expected = [SECOND.replace(b"\n", b"#012") if counted else FIRST, FIRST]
        assert received(source, lambda found: len(found) == 2) == expected


def test_tls(tmp_path: Path) -> None:
    certificate, secret = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout",
         secret, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    name = f"syslog+tls://127.0.0.1:0?certificate={certificate}&key={secret}"
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    with listening(tmp_path, name) as source:
        with socket.create_connection(("127.0.0.1", source.port)) as plain:
            plain.sendall(b"<13>no handshake\n")
            with suppress(ConnectionResetError):
                plain.recv(100)
        with socket.create_connection(("127.0.0.1", source.port)) as raw, context.wrap_socket(raw) as sender:
            sender.sendall(FIRST + b"\n")
        assert received(source, bool) == [FIRST]
        assert source.state.lost["connections that did not agree on TLS"] == 1


def test_a_sender_waits_while_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path, "syslog+tcp://127.0.0.1:0") as source:
        full = True

        def write(self: journal.Journal, lines: bytes) -> None:
            if full:
                raise OSError(28, "No space left on device")
            plain(self, lines)

        plain = journal.Journal._write
        monkeypatch.setattr(journal.Journal, "_write", write)
        with socket.create_connection(("127.0.0.1", source.port)) as sender:
            sender.sendall(FIRST + b"\n")
            deadline = time.monotonic() + 10
            while not source.state.problem and time.monotonic() < deadline:
                time.sleep(0.02)
            assert "No space" in source.state.problem
            full = False
            assert received(source, bool) == [FIRST]
        assert not source.state.lost


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("syslog+tls://127.0.0.1:0?certificate=/nowhere", "certificate"),
        ("syslog+tcp://127.0.0.1:0?certificat=x", "there is no option"),
        ("syslog+tcp://127.0.0.1:99999", "Port"),
        ("syslog+udp://203.0.113.77:5514", "cannot listen"),
    ],
)
def test_wrong_addresses(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_source(Address(name, tmp_path)).start()
