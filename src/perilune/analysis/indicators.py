"""Indicators and the place that each stands at. Every pattern starts only at the beginning of a token: linear."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from perilune.analysis import domains
from perilune.analysis.lists import Lists
from perilune.model.analysis import Indicator, IndicatorKind, Layer, Scope

MAX_INDICATORS = 1_000
MAX_TEXT = 400_000  # characters of one layer

_DOT = r"(?:\.|\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\[\.|\.\])"
_HOST = rf"[A-Za-z0-9_-]{{1,63}}+(?:{_DOT}[A-Za-z0-9_-]{{1,63}}+){{1,12}}"
_URL = re.compile(
    rf"""(?<![A-Za-z0-9+.-])(?P<scheme>h(?:tt|xx|XX|\*\*)ps?|https?|s?f(?:t|x)ps?|wss?|ldaps?|rmi|smb|gopher|tcp|udp|socks[45]?|file|nfs|ssh|git)
    (?P<sep>:// | \[:\]// | :\\{{2,4}}/? | \[://\] | :\[//\] | :/(?=[^/\s]))
    (?P<rest>(?:\[[0-9a-fA-F:.]{2, 45}\])?(?:{_DOT}|\[:\]|[^\s"'<>|`()\[\]{{}};,\\^]|,(?=[\w/])|;(?=\w+=)|\((?=\w+\))|(?<=\w)\))*)""",
    re.VERBOSE | re.IGNORECASE,
)
_DOMAIN = re.compile(
    rf"(?<![\w.@$%\\/:=\])-])(?P<host>(?:[A-Za-z0-9_-]{{1,63}}+{_DOT}){{1,12}}[A-Za-z][A-Za-z0-9-]{{1,23}})(?![\w(@=-]|{_DOT}\w|\\|::)"
)
_AT_DOMAIN = re.compile(
    rf"(?<=[@=/:\\])(?P<host>(?:[A-Za-z0-9_-]{{1,63}}+{_DOT}){{1,12}}[A-Za-z]{{2,24}})(?=[:/\s\"']|$)"
)
_IPV4 = re.compile(rf"(?<![\w.\])-])(?P<ip>(?:\d{{1,3}}{_DOT}){{3}}\d{{1,3}})(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])\[?(?P<ip>(?=[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:)[0-9a-fA-F:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?)(?:%\w{1,15})?\]?(?![\w:.])"
)
_EMAIL = re.compile(
    rf"(?<![\w.+@/:-])(?P<user>[A-Za-z0-9][\w.+-]{{0,63}}+)(?P<at>@|\[@\]|\(@\)|\[at\]|\(at\))(?P<host>{_HOST})",
    re.IGNORECASE,
)
_HASH = re.compile(r"(?<![\w/+=-])(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})(?![\w/+=-])")
_CVE = re.compile(r"(?<![\w-])CVE[-_]\d{4}[-_]\d{4,7}(?!\w)", re.IGNORECASE)
_PLACE = r"[^\s\"'<>|*?;,&()\[\]{}`^:]"
_WINDOWS = re.compile(
    rf"(?<![\w/])(?:(?:\\\\[?.]\\)?[A-Za-z]:|%\w{{2,30}}%|\$env:\w{{2,30}}|\$\{{env:\w{{2,30}}\}})(?:\\{{1,2}}{_PLACE.replace('^:', '^:/')}{{1,200}}+)*(?:\\{_PLACE}{{1,200}}+)?",
    re.IGNORECASE,
)
_WINDOWS_QUOTED = re.compile(
    r"(?<=[\"'])(?:(?:\\\\[?.]\\)?[A-Za-z]:|%\w{2,30}%|\$env:\w{2,30})\\[^\"'<>|*?\r\n]{1,300}(?=[\"'])", re.IGNORECASE
)
_UNC = re.compile(r"(?<![\w\\:])\\\\(?![?.]\\)[\w.@$-]{1,63}(?:\\[^\s\"'<>|*?;,&()\\]{1,128}+){1,20}")
_REGISTRY = re.compile(
    r"(?<!\w)(?:registry::)?(?:HK(?:LM|CU|CR|U|CC|PD)|HKEY_(?:LOCAL_MACHINE|CURRENT_USER|CLASSES_ROOT|USERS|CURRENT_CONFIG)):?(?:\\{1,2}[^\s\"'<>|;,()\\]{1,200}+)+",
    re.IGNORECASE,
)
_REGISTRY_QUOTED = re.compile(
    r"(?<=[\"'])(?:registry::)?(?:HK(?:LM|CU|CR|U|CC)|HKEY_[A-Z_]{5,20}):?\\[^\"'<>|\r\n]{1,400}(?=[\"'])",
    re.IGNORECASE,
)
_UNIX = re.compile(
    r"(?<![\w/.:~%\\)}\]-])(?:~|/(?:bin|boot|dev|etc|home|lib(?:64)?|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|vmfs|Users|Library|Applications|System|Volumes|private|cores))/[^\s\"'<>|;,&()\[\]{}`$:*?#=]{1,300}"
)
_MAC = re.compile(r"/(?:Users|Library|Applications|System|Volumes|private|cores)/|~/Library/")
_BTC = re.compile(r"(?<![\w/+=])(?:bc1[ac-hj-np-z02-9]{25,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?![\w/+=])")
_ETH = re.compile(r"(?<!\w)0x[0-9a-fA-F]{40}(?!\w)")
_XMR = re.compile(r"(?<!\w)[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}(?!\w)")
_AGENT = re.compile(
    r"(?:(?<=[\"'])|User-Agent:\s*)(?P<agent>Mozilla/\d\.\d \([^\"'\r\n]{3,300})|(?:--user-agent[= ]|-UserAgent\s+|\s-A\s+|User-?Agent['\"]?\s*[:=,]\s*)['\"]?(?P<named>[^\"'\r\n]{3,300}?)(?=['\"]|\s-|\s*$)",
    re.IGNORECASE,
)
_MUTEX = re.compile(
    r"(?:CreateMutex\w*\s*\(?[^\"'\r\n]{0,60}|OpenMutex\w*\s*\(?[^\"'\r\n]{0,60}|Threading\.Mutex\]?(?:::new)?[\s(]{0,3}[^\"'\r\n]{0,40})[\"'](?P<name>[^\"'\r\n]{2,120})[\"']|(?P<global>(?:Global|Local)\\[\w{}.-]{4,80})",
    re.IGNORECASE,
)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def find(layers: Sequence[Layer]) -> list[Indicator]:
    """The indicators of all layers, each value once, where it was first seen."""
    found: dict[tuple[IndicatorKind, str], Indicator] = {}
    for layer in layers:
        if layer.binary or not layer.text:
            continue
        text = layer.text[:MAX_TEXT]
        for one in _in_text(text, layer.number):
            found.setdefault((one.kind, one.value), one)
            if len(found) >= MAX_INDICATORS:
                return list(found.values())
    return list(found.values())


def _in_text(text: str, layer: int) -> Iterator[Indicator]:
    if ":" in text:
        yield from _urls(text, layer)
    if "." in text or "dot" in text:
        yield from _hosts(text, layer)
    if text.count(":") > 1:
        yield from _ipv6(text, layer)
    if "@" in text or "(at)" in text or "[at]" in text:
        yield from _emails(text, layer)
    if "\\" in text:
        yield from _windows(text, layer)
    if "/" in text:
        for match in _UNIX.finditer(text):
            kind = IndicatorKind.PATH_MACOS if _MAC.match(match.group()) else IndicatorKind.PATH_UNIX
            value = match.group().rstrip(".")
            yield Indicator(kind, value, layer, match.start(), match.start() + len(value))
    if len(text) > 12:
        yield from _rest(text, layer)


def _plain(text: str) -> str:
    """A host in its usual form again."""
    return re.sub(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\[\.|\.\]", ".", text, flags=re.IGNORECASE).replace("[:]", ":")


_SCHEMES = {
    "hxxp": "http",
    "hxxps": "https",
    "h**p": "http",
    "h**ps": "https",
    "fxp": "ftp",
    "sfxp": "sftp",
    "fxps": "ftps",
}


def _urls(text: str, layer: int) -> Iterator[Indicator]:
    for match in _URL.finditer(text):
        written = match.group("scheme").lower()
        scheme = _SCHEMES.get(written, written)
        if match.group("sep") == ":/" and scheme not in ("http", "https"):
            continue
        rest = match.group("rest").rstrip(".,;:!?)")
        host_part, slash, tail = rest.partition("/")
        host = _plain(host_part).rpartition("@")[2]
        host = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        if not host or host.startswith("$"):
            continue
        end = match.start("rest") + len(rest)
        defanged = written != scheme or _plain(host_part) != host_part or match.group("sep") not in ("://", ":/")
        url = f"{scheme}://{_plain(host_part)}{slash}{tail}"
        scope = _host_scope(host)
        yield Indicator(IndicatorKind.URL, url, layer, match.start(), end, defanged, scope)
        start = match.start("rest")
        yield from _host(host, layer, start, start + len(host_part), defanged, url)


def _host(host: str, layer: int, start: int, end: int, defanged: bool, url: str) -> Iterator[Indicator]:
    address = address_of(host)
    if address is not None:
        kind = IndicatorKind.IPV4 if address.version == 4 else IndicatorKind.IPV6
        yield Indicator(kind, str(address), layer, start, end, defanged, ip_scope(address), url)
    elif host.lower().endswith(".onion"):
        yield Indicator(IndicatorKind.ONION, host.lower(), layer, start, end, defanged, Scope.PUBLIC, url)
    elif domains.is_domain(host) or (
        domains.scope_of(host) in (Scope.LOOPBACK, Scope.RESERVED, Scope.PRIVATE) and "." in host
    ):
        yield Indicator(IndicatorKind.DOMAIN, host.lower(), layer, start, end, defanged, domains.scope_of(host), url)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(host: str) -> Address | None:
    """An address as programs read it: dotted, one number, octal or hexadecimal parts, IPv6 in brackets."""
    host = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    parts = host.lower().split(".")
    if not 1 <= len(parts) <= 4 or not all(re.fullmatch(r"0x[0-9a-f]{1,8}|\d{1,11}", part) for part in parts):
        return None
    try:
        numbers = [int(p, 16) if p[:2] == "0x" else int(p, 8) if p[0] == "0" and len(p) > 1 else int(p) for p in parts]
    except ValueError:
        return None
    *heads, last = numbers
    if any(n > 255 for n in heads) or last >= 256 ** (5 - len(parts)) or (len(parts) == 1 and last < 1 << 24):
        return None
    value = last
    for place, n in enumerate(heads):
        value += n << (24 - 8 * place)
    return ipaddress.IPv4Address(value)


def ip_scope(address: Address) -> Scope:
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return Scope.LOOPBACK
    if (
        address.is_unspecified
        or address.is_multicast
        or any(address in net for net in _DOCUMENTATION if net.version == address.version)
    ):
        return Scope.RESERVED
    if address.is_private or address.is_link_local:
        return Scope.PRIVATE
    return Scope.RESERVED if address.is_reserved else Scope.PUBLIC


_DOCUMENTATION = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32", "3fff::/20")
)


def _host_scope(host: str) -> Scope:
    address = address_of(host)
    return ip_scope(address) if address is not None else domains.scope_of(host)


def _hosts(text: str, layer: int) -> Iterator[Indicator]:
    for match in _IPV4.finditer(text):
        plain = _plain(match.group("ip"))
        try:
            address = ipaddress.IPv4Address(plain)
        except ValueError:
            continue
        yield Indicator(
            IndicatorKind.IPV4, plain, layer, *match.span("ip"), plain != match.group("ip"), ip_scope(address)
        )
    for pattern in (_DOMAIN, _AT_DOMAIN):
        for match in pattern.finditer(text):
            yield from _domain(match, layer)


def _ipv6(text: str, layer: int) -> Iterator[Indicator]:
    for match in _IPV6.finditer(text):
        try:
            address6 = ipaddress.IPv6Address(match.group("ip"))
        except ValueError:
            continue
        if int(address6) < 1 << 16 and int(address6) != 1:
            continue  # `::` alone is PowerShell's and C++'s
        if not any(char.isdigit() for char in match.group("ip")):
            continue  # `a::b` is C++'s as well
        yield Indicator(IndicatorKind.IPV6, str(address6), layer, *match.span("ip"), False, ip_scope(address6))


def _domain(match: re.Match[str], layer: int) -> Iterator[Indicator]:
    name = _plain(match.group("host"))
    defanged = name != match.group("host")
    if name.lower().endswith(".onion"):
        yield Indicator(IndicatorKind.ONION, name.lower(), layer, *match.span("host"), defanged, Scope.PUBLIC)
    elif domains.is_domain(name) if defanged else domains.is_bare_domain(name):
        yield Indicator(
            IndicatorKind.DOMAIN, name.lower(), layer, *match.span("host"), defanged, domains.scope_of(name)
        )


def _emails(text: str, layer: int) -> Iterator[Indicator]:
    for match in _EMAIL.finditer(text):
        host = _plain(match.group("host"))
        if domains.is_domain(host) or domains.scope_of(host) is Scope.RESERVED:
            value = f"{match.group('user')}@{host.lower()}"
            defanged = match.group("at") != "@" or host != match.group("host")
            yield Indicator(IndicatorKind.EMAIL, value, layer, *match.span(), defanged, domains.scope_of(host))


def _windows(text: str, layer: int) -> Iterator[Indicator]:
    for kind, quoted, bare in (
        (IndicatorKind.REGISTRY, _REGISTRY_QUOTED, _REGISTRY),
        (IndicatorKind.PATH_WINDOWS, _WINDOWS_QUOTED, _WINDOWS),
    ):
        for start, end in _quoted_first(text, quoted, bare):
            yield Indicator(kind, text[start:end], layer, start, end)
    for match in _UNC.finditer(text):
        host = match.group()[2:].partition("\\")[0].partition("@")[0]
        yield Indicator(IndicatorKind.UNC, match.group(), layer, *match.span(), False, _host_scope(host))


def _quoted_first(text: str, quoted: re.Pattern[str], bare: re.Pattern[str]) -> list[tuple[int, int]]:
    """The spans of quoted paths, which may hold blanks, and of bare ones outside them."""
    found = [match.span() for match in quoted.finditer(text)]
    inside = iter(list(found))
    current = next(inside, None)
    for match in bare.finditer(text):
        while current is not None and current[1] <= match.start():
            current = next(inside, None)
        if "\\" in match.group()[2:] and not (current and current[0] <= match.start()):
            found.append(match.span())
    return found


def _rest(text: str, layer: int) -> Iterator[Indicator]:
    if len(text) >= 32:
        sizes = {32: IndicatorKind.MD5, 40: IndicatorKind.SHA1, 64: IndicatorKind.SHA256, 128: IndicatorKind.SHA512}
        for match in _HASH.finditer(text):
            if len(set(match.group().lower())) > 6:
                yield Indicator(sizes[len(match.group())], match.group().lower(), layer, *match.span())
        yield from _wallets(text, layer)
    lower = text.lower()
    if "cve" in lower:
        for match in _CVE.finditer(text):
            yield Indicator(IndicatorKind.CVE, match.group().upper().replace("_", "-"), layer, *match.span())
    if "mozilla/" in lower or "agent" in lower or " -a " in lower:
        for match in _AGENT.finditer(text):
            group = "agent" if match.group("agent") else "named"
            yield Indicator(IndicatorKind.USER_AGENT, match.group(group), layer, *match.span(group))
    if "mutex" in lower or "global\\" in lower:
        for match in _MUTEX.finditer(text):
            group = "name" if match.group("name") else "global"
            yield Indicator(IndicatorKind.MUTEX, match.group(group), layer, *match.span(group))


def _wallets(text: str, layer: int) -> Iterator[Indicator]:
    for match in _BTC.finditer(text):
        if match.group().startswith("bc1") or _checks(match.group()):
            yield Indicator(IndicatorKind.WALLET, match.group(), layer, *match.span())
    for pattern in (_ETH, _XMR):
        for match in pattern.finditer(text):
            yield Indicator(IndicatorKind.WALLET, match.group(), layer, *match.span())


def _checks(address: str) -> bool:
    """Base58Check: four bytes of every Bitcoin address check the rest."""
    number = 0
    for char in address:
        number = number * 58 + _BASE58.index(char)
    try:
        data = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def with_listings(found: Sequence[Indicator], lists: Lists) -> list[Indicator]:
    """The same with what lists say of each."""
    return [replace(one, listings=tuple(lists.lookup(one))) for one in found]
