"""How a column's value is read by a rule: as text, as a number, as an address, as a part of a date.

Both matchers use these definitions; what they must not share is how they search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import re2  # type: ignore[import-untyped]

from perilune.errors import RuleError

# Where a keyword is looked for: in what people and programs wrote, not in identifiers or in what we say of a row.
SEARCHED = frozenset(
    "AdditionalFields XArguments FileName FolderPath ProcessCommandLine InitiatingProcessFileName "
    "InitiatingProcessFolderPath InitiatingProcessCommandLine XInitiatingProcessParentCommandLine "
    "XCurrentDirectory RegistryKey RegistryValueName RegistryValueData PreviousFolderPath RemoteUrl XQueryName "
    "XScriptText XUser XProvider".split()
)
_NUMERAL = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18}(?:\.[0-9]{1,18})?)", re.ASCII)
_LAST_CASED = 0x20000  # no code point above this one has a lower case (Unicode 17)
_REGEX_MEMORY = 8 << 20  # RE2's own default; a pattern whose program is larger is refused


@cache
def _lower() -> Mapping[int, str]:
    """Arrow's lower-casing, code point by code point, so that both matchers fold exactly alike."""
    points = [p for p in range(_LAST_CASED) if not 0xD800 <= p < 0xE000]
    lowered = pc.utf8_lower(pa.array(map(chr, points), pa.string())).to_pylist()
    pairs = zip(points, lowered, strict=True)
    return {point: low for point, low in pairs if low is not None and chr(point) != low}


def fold(text: str) -> str:
    """The text in lower case, each code point on its own.

    `str.lower` looks at a sigma's neighbours and makes two code points of İ, so that the lower case of a
    value need not contain the lower case of its part. `K` (Kelvin) folds to `k`, İ to `i`; `ſ` and `ﬀ` do not fold.
    """
    return text.lower() if text.isascii() else text.translate(_lower())


def as_text(value: object) -> str | None:
    """The value as a rule's text sees it, or None where there is none."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"  # as Sysmon
        case list() | tuple():
            return "\n".join(text for item in value if (text := as_text(item)) is not None)
        case dict():
            return orjson.dumps(value, default=str).decode()
        case _:
            return str(value)


def as_number(value: object) -> int | float | None:
    """The number that the value is or spells, in decimal or hexadecimal."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    return spelled(value) if isinstance(value, str) else None


def spelled(text: str) -> int | float | None:
    """The number that a text spells: `4688`, `0x3e7`, `1.5`."""
    if not _NUMERAL.fullmatch(text):
        return None
    if "x" in text or "X" in text:
        return int(text, 16)
    return float(text) if "." in text else int(text)


def json_field(document: object, key: str) -> object:
    """One field of the JSON object that a column holds as text; None where there is none."""
    return json_object(document).get(key) if isinstance(document, str) else None


@lru_cache(maxsize=8)
def json_object(document: str) -> Mapping[str, object]:
    """The JSON object that a text spells; empty for anything else (Defender writes `[]` for none)."""
    if not document.startswith("{"):
        return {}
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def item(values: object, index: str) -> object:
    """One item of a list column (`XArguments`), or None past its end."""
    if not isinstance(values, list | tuple) or not index.isdecimal() or int(index) >= len(values):
        return None
    return values[int(index)]


def in_network(text: str, network: str) -> bool:
    """Whether a text is an address inside the network; v4-mapped v6 addresses count as v4."""
    address = _address(text)
    net = ip_network(network, strict=False)
    return address is not None and address.version == net.version and address in net


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def time_part(value: object, part: str) -> int | None:
    """The minute, hour, day, week (ISO), month or year of a time in UTC."""
    moment = value if isinstance(value, datetime) else _moment(value)
    if moment is None:
        return None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return moment.isocalendar().week if part == "week" else int(getattr(moment, part))


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def regex(pattern: str, flags: str) -> re2._Regexp:
    """The compiled expression. RE2 runs in time linear in the text, whatever the pattern is.

    Raises RuleError for what RE2 does not have (look-around, back-references) or has no memory for.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _REGEX_MEMORY
    prefix = f"(?{flags})" if flags else ""
    try:
        return re2.compile(prefix + pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise RuleError(f"the regular expression {shorten(pattern)!r} is refused: {reason}") from None


def searched(pattern: str, flags: str, text: str) -> bool:
    """Whether the expression is found in the text, in its original case."""
    return regex(pattern, flags).search(text.encode("utf-8", "surrogatepass")) is not None


def shorten(text: str, limit: int = 200) -> str:
    """The text, cut to a length with a mark that says so."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
