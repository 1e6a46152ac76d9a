"""IP addresses. `192.168.1.7/24` is an address with the length of its prefix."""

from __future__ import annotations

import ipaddress

_PRIVATE = [ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def _split(text: str) -> tuple[int, int] | None:
    """The address as a number, and its prefix."""
    address, slash, suffix = text.strip().partition("/")
    try:
        number = int(ipaddress.IPv4Address(address))
    except ValueError:
        return None
    prefix = int(suffix) if suffix.isascii() and suffix.isdecimal() and len(suffix) < 3 else (None if slash else 32)
    return (number, prefix) if prefix is not None and prefix <= 32 else None


def _masked(number: int, prefix: int) -> int:
    return number & (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF


def parse_ipv4(text: str) -> int | None:
    found = _split(text)
    return _masked(*found) if found else None


def ipv4_mask(text: str, prefix: int) -> int | None:
    found = _split(text)
    return _masked(found[0], min(prefix, found[1])) if found and 0 <= prefix <= 32 else None


def ipv4_suffix(text: str) -> int | None:
    found = _split(text)
    return found[1] if found else None


def ipv4_compare(one: str, other: str, prefix: int) -> int | None:
    a, b = _split(one), _split(other)
    if a is None or b is None or not 0 <= prefix <= 32:
        return None
    least = min(prefix, a[1], b[1])
    first, second = _masked(a[0], least), _masked(b[0], least)
    return (first > second) - (first < second)


def ipv4_is_private(text: str) -> bool | None:
    found = _split(text)
    if found is None:
        return None
    return any(found[1] >= net.prefixlen and ipaddress.IPv4Address(found[0]) in net for net in _PRIVATE)


def ip_in(text: str, network: str, version: str) -> bool | None:
    """An IPv4 address lies in the IPv6 network that maps it, and only there."""
    try:
        address = ipaddress.ip_address(text.strip().partition("/")[0])
        wanted = ipaddress.ip_network(network.strip(), strict=False)
    except ValueError:
        return None
    if version == "4":
        return address in wanted if address.version == 4 == wanted.version else None
    return _wide(address) in _wide_network(wanted)


def _wide(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(0xFFFF_0000_0000 + int(address))
    return address


def _wide_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv6Network:
    if isinstance(network, ipaddress.IPv4Network):
        return ipaddress.IPv6Network((_wide(network.network_address), 96 + network.prefixlen))
    return network


def format_ipv4(text: str, prefix: int, with_suffix: str) -> str | None:
    if text.isascii() and text.isdecimal() and len(text) < 11:
        text = str(ipaddress.IPv4Address(int(text))) if int(text) < 1 << 32 else ""
    found = _split(text)
    if found is None or not 0 <= prefix <= 32:
        return None
    least = min(prefix, found[1])
    shown = str(ipaddress.IPv4Address(_masked(found[0], least)))
    return f"{shown}/{least}" if with_suffix else shown


def parse_ipv6(text: str) -> str | None:
    address, _, _ = text.strip().partition("/")
    try:
        return _wide(ipaddress.ip_address(address.partition("%")[0])).exploded
    except ValueError:
        return None
