"""Texts: parts, changes, patterns, hashes, encodings."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.convert import convert, to_string
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.functions.base import MANY, Args, call, function, json_value, text_value
from perilune.detection.kql.kinds import KIND_NAMES, Kind
from perilune.detection.kql.syntax import TypeOf
from perilune.detection.kql.terms import PREDICATES, any_of
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    bool_value,
    case,
    cast,
    coalesce,
    constant,
    fn,
    is_null,
    number,
    text,
    tried,
)


def _simple(names: str, sql: str, about: str, *, kind: Kind = Kind.STRING) -> None:
    def lower(args: Args) -> Value:
        return Value(fn(sql, args.sql(0, Kind.STRING)), kind, False)

    lower.__doc__ = about
    function(*names.split())(lower)


_simple("strlen", "length", "how many characters a text has", kind=Kind.LONG)
_simple("string_size", "strlen", "how many bytes of UTF-8 a text has", kind=Kind.LONG)
_simple("reverse", "reverse", "a text backwards")
_simple("toupper", "upper", "a text in capitals")
_simple("tolower", "lower", "a text in small letters")
_simple("hash_md5", "md5", "the MD5 of a text, in hex")
_simple("hash_sha256", "sha256", "the SHA-256 of a text, in hex")
_simple("hash_sha1", "sha1", "the SHA-1 of a text, in hex")
_simple("url_encode_component", "url_encode", "a text for use in a URL's query")


@function("strcat", least=1, most=MANY)
def strcat(args: Args) -> Value:
    """texts joined; other types are written as text first"""
    parts = [to_string(value) for value in args.values()]
    if all(part.is_const for part in parts):
        return constant("".join(str(part.const) for part in parts), Kind.STRING)
    return Value(fn("concat", *[part.sql for part in parts]), Kind.STRING, False)


@function("strcat_delim", least=2, most=MANY)
def strcat_delim(args: Args) -> Value:
    """texts joined with a delimiter between"""
    parts = [to_string(value).sql for value in args.values()]
    return Value(fn("concat_ws", *parts), Kind.STRING, False)


@function("strrep", least=2, most=3)
def strrep(args: Args) -> Value:
    """a text repeated, perhaps with a delimiter"""
    times = args.whole(1)
    if not 0 <= times <= 1024:
        raise args.error("strrep() repeats 0 to 1,024 times")
    part = to_string(args.value(0)).sql
    if not times:
        return constant("", Kind.STRING)
    if len(args) < 3:
        return Value(fn("repeat", part, number(times)), Kind.STRING, False)
    more = fn("repeat", fn("concat", to_string(args.value(2)).sql, part), number(times - 1))
    return Value(fn("concat", part, more), Kind.STRING, False)


@function("strcmp", least=2)
def strcmp(args: Args) -> Value:
    """-1, 0 or 1 as the first text stands before, with or behind the second"""
    a, b = args.sql(0, Kind.STRING), args.sql(1, Kind.STRING)
    sql = case((binary(exp.LT, a, b), number(-1)), (binary(exp.GT, a, b), number(1)), default=number(0))
    return Value(cast(sql, "BIGINT"), Kind.LONG, False)


@function("substring", least=2, most=3)
def substring(args: Args) -> Value:
    """part of a text from a place (0 is the first; negative counts from the end), perhaps with a length"""
    source = args.sql(0, Kind.STRING)
    start: Sql = args.sql(1, Kind.LONG)
    from_end = fn("greatest", exp.Add(this=fn("length", source), expression=start.copy()), number(0))
    start = case((binary(exp.LT, start, number(0)), from_end), default=start)
    place = exp.Add(this=exp.Paren(this=start), expression=number(1))
    if len(args) < 3:
        return text_value(fn("substr", source, place), True)
    size = fn("greatest", args.sql(2, Kind.LONG), number(0))
    return text_value(fn("substr", source, place, size), True)


@function("indexof", least=2, most=5)
def indexof(args: Args) -> Value:
    """where a text first holds another, from 0; -1 where it does not"""
    source, needle = to_string(args.value(0)).sql, to_string(args.value(1)).sql
    if len(args) == 2:
        return Value(cast(exp.Sub(this=fn("strpos", source, needle), expression=number(1)), "BIGINT"), Kind.LONG, False)
    more = [args.sql(n, Kind.LONG) for n in range(2, len(args))]
    more += [number(n) for n in (0, -1, 1)[len(more) :]]
    return call("kql_indexof", source, needle, *[cast(one, "BIGINT") for one in more], kind=Kind.LONG)


@function("indexof_regex", least=2)
def indexof_regex(args: Args) -> Value:
    """where a pattern first matches, from 0; -1 where it does not"""
    return call("kql_indexof_regex", args.sql(0, Kind.STRING), text(_regex(args, 1)), kind=Kind.LONG)


@function("countof", least=2, most=3)
def countof(args: Args) -> Value:
    """how often a text holds another, overlaps counted; with "regex", how often a pattern matches"""
    regex = len(args) == 3 and args.text(2) == "regex"
    needle = text(_regex(args, 1)) if regex else args.sql(1, Kind.STRING)
    name = "kql_countof_regex" if regex else "kql_countof"
    return call(name, args.sql(0, Kind.STRING), needle, kind=Kind.LONG)


@function("split", least=2, most=3)
def split(args: Args) -> Value:
    """the parts of a text between delimiters, as an array; with an index, an array of that part alone"""
    parts = fn("to_json", fn("string_split", args.sql(0, Kind.STRING), args.sql(1, Kind.STRING)))
    if len(args) == 2:
        return json_value(parts)
    index = cast(args.sql(2, Kind.LONG), "BIGINT")
    held = fn("json_extract", parts, index)
    return json_value(case((exp.Not(this=is_null(held)), fn("json_array", held)), default=cast(text("[]"), "JSON")))


@function("trim", least=2)
def trim(args: Args) -> Value:
    """a text without what a pattern matches at both ends"""
    pattern = _regex(args, 0)
    once = fn("regexp_replace", args.sql(1, Kind.STRING), text(f"^(?:{pattern})"), text(""))
    return Value(fn("regexp_replace", once, text(f"(?:{pattern})$"), text("")), Kind.STRING, False)


@function("trim_start", least=2)
def trim_start(args: Args) -> Value:
    """a text without what a pattern matches at its start"""
    found = fn("regexp_replace", args.sql(1, Kind.STRING), text(f"^(?:{_regex(args, 0)})"), text(""))
    return Value(found, Kind.STRING, False)


@function("trim_end", least=2)
def trim_end(args: Args) -> Value:
    """a text without what a pattern matches at its end"""
    found = fn("regexp_replace", args.sql(1, Kind.STRING), text(f"(?:{_regex(args, 0)})$"), text(""))
    return Value(found, Kind.STRING, False)


def _regex(args: Args, index: int) -> str:
    from perilune.detection.kql.scalars import check_regex

    pattern = args.text(index)
    check_regex(pattern, args.place(index))
    return pattern


@function("extract", least=3, most=4)
def extract(args: Args) -> Value:
    """what a group of a pattern matched first, perhaps converted to typeof(…)"""
    pattern, group = _regex(args, 0), args.whole(1)
    if not 0 <= group <= _groups(pattern):
        raise KqlError(f"the pattern has no group {group}", args.place(1))
    found = text_value(fn("regexp_extract", args.sql(2, Kind.STRING), text(pattern), number(group)), True)
    return _as_typeof(args, 3, found)


def _groups(pattern: str) -> int:
    import re2  # type: ignore[import-untyped]

    groups: int = re2.compile(pattern).groups
    return groups


def _as_typeof(args: Args, index: int, found: Value) -> Value:
    if len(args) <= index:
        return found
    expr = args.exprs[index]
    kind = expr.kind if isinstance(expr, TypeOf) else KIND_NAMES.get(args.text(index))
    if kind is None:
        raise args.error("the type is written typeof(long)")
    return convert(found, kind)


@function("extract_all", "extractall", least=2, most=3)
def extract_all(args: Args) -> Value:
    """all that a pattern's groups matched: an array, of arrays where there are several groups"""
    pattern = _regex(args, 0)
    if not _groups(pattern):
        raise KqlError("the pattern of extract_all() needs a group", args.place(0))
    wanted = args.value(1) if len(args) == 3 else None
    chosen = text("" if wanted is None else ",".join(str(n) for n in _listed(args, wanted)))
    return call("kql_extract_all", args.sql(len(args) - 1, Kind.STRING), text(pattern), chosen, kind=Kind.DYNAMIC)


def _listed(args: Args, value: Value) -> list[object]:
    if not isinstance(value.const, list):
        raise args.error("the groups are given as dynamic([1, 2])")
    return value.const


@function("replace_string", "replace_strings", least=3)
def replace_string(args: Args) -> Value:
    """a text with each occurrence of one text, or of several, replaced"""
    if args.name == "replace_strings":
        items = [cast(args.sql(n, Kind.DYNAMIC), "VARCHAR") for n in (1, 2)]
        return call("kql_replace_strings", args.sql(0, Kind.STRING), *items, kind=Kind.STRING)
    old, new = args.sql(1, Kind.STRING), args.sql(2, Kind.STRING)
    return Value(fn("replace", args.sql(0, Kind.STRING), old, new), Kind.STRING, False)


@function("replace_regex", "replace", least=3)
def replace_regex(args: Args) -> Value:
    r"""a text with each match of a pattern replaced; \1 stands for its first group"""
    at = 0 if args.name == "replace_regex" else 2
    pattern = _regex(args, 1 if at == 0 else 0)
    new = args.sql(2 if at == 0 else 1, Kind.STRING)
    found = fn("regexp_replace", args.sql(at, Kind.STRING), text(pattern), new, text("g"))
    return text_value(tried(found), True)


@function("translate", least=3)
def translate(args: Args) -> Value:
    """a text with each character of the first set replaced by its counterpart in the second"""
    return call("kql_translate", *[args.sql(n, Kind.STRING) for n in range(3)], kind=Kind.STRING)


@function("regex_quote")
def regex_quote(args: Args) -> Value:
    """a text as a pattern that matches only it"""
    return Value(fn("regexp_escape", args.sql(0, Kind.STRING)), Kind.STRING, False)


@function("has_any_index", least=2)
def has_any_index(args: Args) -> Value:
    """the place in a list of the first text that is a term of the given one; -1 where none is"""
    items = args.constant(1)
    if not isinstance(items, list):
        raise args.error("has_any_index() takes a constant array")
    source = args.typed(0, Kind.STRING)
    found = [
        (any_of(source, [str(item)], PREDICATES["has"]).sql, number(place)) for place, item in enumerate(items[:500])
    ]
    return Value(cast(case(*found, default=number(-1)) if found else number(-1), "BIGINT"), Kind.LONG, False)


@function("base64_encode_tostring")
def base64_encode(args: Args) -> Value:
    """a text's UTF-8 in base64"""
    return Value(fn("to_base64", fn("encode", args.sql(0, Kind.STRING))), Kind.STRING, False)


@function("base64_decode_tostring")
def base64_decode(args: Args) -> Value:
    """the text that base64 stands for; empty where it is no base64 of UTF-8"""
    return call("kql_base64_text", args.sql(0, Kind.STRING), kind=Kind.STRING)


@function("base64_decode_toarray")
def base64_decode_array(args: Args) -> Value:
    """the bytes that base64 stands for, as an array of numbers; null where it is no base64"""
    return call("kql_base64_bytes", args.sql(0, Kind.STRING), kind=Kind.DYNAMIC)


@function("gzip_decompress_from_base64_string")
def gunzip(args: Args) -> Value:
    """the text in gzip in base64; empty where it is none, cut at 16 MB"""
    return call("kql_gunzip", args.sql(0, Kind.STRING), kind=Kind.STRING)


@function("url_decode")
def url_decode(args: Args) -> Value:
    """a text with its %41 undone"""
    return text_value(coalesce(tried(fn("url_decode", args.sql(0, Kind.STRING))), args.sql(0, Kind.STRING)))


@function("url_encode")
def url_encode(args: Args) -> Value:
    """a text for use in a URL, a space as +"""
    found = fn("replace", fn("url_encode", args.sql(0, Kind.STRING)), text("%20"), text("+"))
    return Value(found, Kind.STRING, False)


@function("tohex", least=1, most=2)
def tohex(args: Args) -> Value:
    """a whole number in hex, perhaps with leading zeros"""
    width = cast(number(args.whole(1, 0)), "BIGINT")
    return call("kql_hex", cast(args.sql(0, Kind.LONG), "BIGINT"), width, kind=Kind.STRING)


@function("unicode_codepoints_from_string", "to_utf8")
def codepoints(args: Args) -> Value:
    """the code points of a text, as an array"""
    return call("kql_codepoints", args.sql(0, Kind.STRING), kind=Kind.DYNAMIC)


@function("make_string", "unicode_codepoints_to_string", least=1, most=MANY)
def make_string(args: Args) -> Value:
    """the text of these code points, given as numbers or arrays"""
    items = [convert(value, Kind.DYNAMIC).sql for value in args.values()]
    return call("kql_from_codepoints", cast(fn("json_array", *items), "VARCHAR"), kind=Kind.STRING)


__all__ = ["bool_value"]
