"""What goes over the socket, byte by byte."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.readers.audit_events import _HEADER
from perilune.service.netlink import messages


def _datagram(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload


def test_a_record_is_the_line_that_the_audit_daemon_would_write() -> None:
    line = messages.line_of(_datagram(1309, b'audit(1795.001:7): argc=1 a0="lua"\0'))
    assert line == 'type=EXECVE msg=audit(1795.001:7): argc=1 a0="lua"'


def test_an_unknown_type_keeps_its_number() -> None:
    assert messages.line_of(_datagram(1999, b"audit(1.0:1): x=1")) == "type=UNKNOWN[1999] msg=audit(1.0:1): x=1"


def test_a_record_stays_one_line() -> None:
    line = messages.line_of(_datagram(1123, b"audit(1.0:1): msg='a\ntype=EXECVE msg=audit(2.0:2): b'"))
    assert line is not None
    assert "\n" not in line


def test_what_is_no_record_gives_no_line() -> None:
    assert messages.line_of(_datagram(2, struct.pack("=i", -1))) is None
    assert messages.line_of(b"") is None


@given(st.binary(max_size=200))
def test_any_datagram_gives_a_line_or_nothing(datagram: bytes) -> None:
    line = messages.line_of(datagram)
    assert line is None or re.match(r"type=\S+ msg=audit\(", line)
    list(messages.parse_messages(datagram))


@given(st.integers(0, 65535), st.integers(0, 10**9), st.binary(max_size=50))
def test_every_type_is_a_record_to_the_reader(kind: int, serial: int, rest: bytes) -> None:
    line = messages.line_of(_datagram(kind, b"audit(1795311893.359:%d): " % serial + rest))
    assert line is not None
    assert _HEADER.match(line)


def test_a_short_status_is_refused_and_an_old_kernels_is_read() -> None:
    with pytest.raises(ValueError, match="of 4 bytes"):
        messages.parse_status(b"1234")
    status = messages.parse_status(struct.pack("=8I", 0, 1, 1, 77, 0, 64, 5, 2))
    assert status == messages.Status(enabled=1, daemon=77, backlog_limit=64, lost=5, backlog=2)


def test_an_answer_says_its_error() -> None:
    (answer,) = messages.parse_messages(_datagram(messages.ERROR, struct.pack("=i", -13)))
    assert answer.error == 13
