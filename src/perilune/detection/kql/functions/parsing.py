"""Texts with a structure of their own: URLs, paths, command lines, versions, addresses."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.convert import to_string
from perilune.detection.kql.functions.base import MANY, Args, call, function
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.values import Value, bool_value, cast, coalesce, false, fn, joined, number, text


def _text_to_json(names: str, udf: str, about: str) -> None:
    def lower(args: Args) -> Value:
        return call(udf, to_string(args.value(0)).sql, kind=Kind.DYNAMIC)

    lower.__doc__ = about
    function(*names.split())(lower)


_text_to_json("parse_url parseurl", "kql_parse_url", "a URL's parts, as a property bag")
_text_to_json("parse_urlquery", "kql_parse_urlquery", "the parameters of a URL's query, as a property bag")
_text_to_json("parse_path", "kql_parse_path", "a path's parts, as a property bag")
_text_to_json("parse_csv", "kql_parse_csv", "one record of CSV, as an array")


@function("parse_command_line", least=2)
def parse_command_line(args: Args) -> Value:
    """a Windows command line's arguments, as an array"""
    if args.text(1).lower() != "windows":
        raise args.error('parse_command_line() knows the parser type "windows" only')
    return call("kql_parse_command_line", to_string(args.value(0)).sql, kind=Kind.DYNAMIC)


@function("parse_version")
def parse_version(args: Args) -> Value:
    """a version such as 1.2.3.4 as a number that can be compared"""
    return call("kql_parse_version", to_string(args.value(0)).sql, kind=Kind.DECIMAL)


@function("parse_ipv4")
def parse_ipv4(args: Args) -> Value:
    """an IPv4 address as a number; null where it is none"""
    return call("kql_parse_ipv4", to_string(args.value(0)).sql, kind=Kind.LONG)


@function("parse_ipv4_mask", least=2)
def parse_ipv4_mask(args: Args) -> Value:
    """an IPv4 address cut to a prefix's length, as a number"""
    prefix = cast(args.sql(1, Kind.LONG), "BIGINT")
    return call("kql_ipv4_mask", to_string(args.value(0)).sql, prefix, kind=Kind.LONG)


@function("parse_ipv6")
def parse_ipv6(args: Args) -> Value:
    """an IPv6 or IPv4 address in IPv6's full form; empty where it is none"""
    return call("kql_parse_ipv6", to_string(args.value(0)).sql, kind=Kind.STRING)


@function("format_ipv4", "format_ipv4_mask", least=1, most=2)
def format_ipv4(args: Args) -> Value:
    """an IPv4 address, given as text or number, cut to a prefix's length"""
    prefix = cast(number(args.whole(1, 32)), "BIGINT")
    suffix = text("1" if args.name.endswith("mask") else "")
    return call("kql_format_ipv4", to_string(args.value(0)).sql, prefix, suffix, kind=Kind.STRING)


@function("ipv4_is_private")
def ipv4_is_private(args: Args) -> Value:
    """whether an IPv4 address belongs to a private network (RFC 1918)"""
    return call("kql_ipv4_is_private", to_string(args.value(0)).sql, kind=Kind.BOOL)


@function("ipv4_netmask_suffix")
def ipv4_netmask_suffix(args: Args) -> Value:
    """the prefix length behind an IPv4 address; 32 where there is none"""
    return call("kql_ipv4_suffix", to_string(args.value(0)).sql, kind=Kind.LONG)


@function("ipv4_is_match", "ipv4_compare", least=2, most=3)
def ipv4_compare(args: Args) -> Value:
    """whether two IPv4 addresses are the same within their prefixes; or -1, 0, 1 as they are ordered"""
    prefix = cast(number(args.whole(2, 32)), "BIGINT")
    sides = [to_string(args.value(n)).sql for n in (0, 1)]
    if args.name == "ipv4_compare":
        return call("kql_ipv4_compare", *sides, prefix, kind=Kind.LONG)
    found = call("kql_ipv4_compare", *sides, prefix, kind=Kind.LONG)
    return bool_value(exp.Paren(this=exp.EQ(this=found.sql, expression=number(0))), True)


@function("ipv4_is_in_range", least=2)
def ipv4_is_in_range(args: Args) -> Value:
    """whether an IPv4 address lies in a network such as 10.0.0.0/8"""
    return call("kql_ip_in", to_string(args.value(0)).sql, to_string(args.value(1)).sql, text("4"), kind=Kind.BOOL)


@function("ipv6_is_in_range", least=2)
def ipv6_is_in_range(args: Args) -> Value:
    """whether an address lies in a network such as fe80::/10"""
    return call("kql_ip_in", to_string(args.value(0)).sql, to_string(args.value(1)).sql, text("6"), kind=Kind.BOOL)


@function("ipv4_is_in_any_range", "ipv6_is_in_any_range", least=2, most=MANY)
def ip_is_in_any_range(args: Args) -> Value:
    """whether an address lies in one of several networks"""
    source, version = to_string(args.value(0)).sql, text(args.name[3])
    found = []
    for n in range(1, len(args)):
        value = args.value(n)
        items = value.const if value.kind is Kind.DYNAMIC and isinstance(value.const, list) else None
        networks = [text(str(item)) for item in items] if items is not None else [to_string(value).sql]
        found += [coalesce(fn("kql_ip_in", source, network, version), false()) for network in networks]
    return bool_value(joined(exp.Or, found) if found else false())


_IPV4 = r"(?:^|[^0-9A-Za-z.])(?:{})(?:$|[^0-9A-Za-z.])"


@function("has_ipv4", "has_any_ipv4", least=2, most=MANY)
def has_ipv4(args: Args) -> Value:
    """whether a text holds one of these IPv4 addresses, not as part of a longer word"""
    return _addresses(args, [], exact=True)


@function("has_ipv4_prefix", "has_any_ipv4_prefix", least=2, most=MANY)
def has_ipv4_prefix(args: Args) -> Value:
    """whether a text holds an IPv4 address that begins with one of these"""
    return _addresses(args, [], exact=False)


def _addresses(args: Args, found: list[str], *, exact: bool) -> Value:
    for n in range(1, len(args)):
        items = args.constant(n)
        for item in items if isinstance(items, list) else [items]:
            parts = [part for part in str(item).split(".") if part]
            missing = 4 - len(parts)
            octet = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
            if not all(part.isdecimal() and int(part) < 256 for part in parts) or missing < 0 or (exact and missing):
                continue
            found.append(r"\.".join([*parts, *[octet] * missing]))
    if not found:
        return bool_value(false())
    pattern = _IPV4.format("|".join(found))
    return bool_value(fn("regexp_matches", to_string(args.value(0)).sql, text(pattern)))
