"""The header of a syslog line, of RFC 3164, RFC 5424 or rsyslog's own form."""

from __future__ import annotations

import re

_PROGRAM = r"(?P<program>[^\s\[\]:<>\"{}=]{1,64})(?:\[(?P<pid>\d{1,10})\])?:(?: (?P<message>.*)|$)"
_FORMS = (
    re.compile(
        r"(?:<(?P<pri>\d{1,3})>)?(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?:(?P<host>[\w.-]{1,255}) )?"
        + _PROGRAM,
        re.DOTALL,
    ),
    re.compile(
        r"(?:<(?P<pri>\d{1,3})>)?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)) "
        r"(?P<host>[\w.:-]{1,255}) " + _PROGRAM,
        re.DOTALL,
    ),
    re.compile(
        r"<(?P<pri>\d{1,3})>1 (?P<time>\S{10,40}) (?P<host>\S{1,255}) (?P<program>\S{1,64}) (?P<pid>\S{1,32}) \S{1,64} "
        r"(?:-|(?:\[(?:[^\]\\]|\\.){0,8000}\]){1,20})(?: (?P<message>.*)|$)",
        re.DOTALL,
    ),
)
_LOOK_AT = 40


def parse_header(line: str) -> re.Match[str] | None:
    """The parts of a line's header and its message, or None where it has none."""
    return next((match for form in _FORMS if (match := form.match(line))), None)


def is_syslog(head: bytes) -> bool:
    """Whether a file that begins like this is syslog: most of its lines have a header."""
    if b"\0" in head[:4096]:
        return False
    lines = [line for line in head.decode("utf-8", "replace").splitlines()[:_LOOK_AT] if line.strip()]
    hits = sum(parse_header(line) is not None for line in lines)
    return bool(hits) and 2 * hits >= len(lines)
