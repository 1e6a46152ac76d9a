"""Dynamics: JSON in and out, arrays, sets and property bags."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.convert import convert, to_string
from perilune.detection.kql.functions.base import MANY, Args, call, function, json_value
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    case,
    cast,
    coalesce,
    constant,
    fn,
    loads,
    not_,
    text,
    tried,
)


@function("parse_json", "todynamic", "toobject", "parsejson")
def parse_json(args: Args) -> Value:
    """the dynamic that a JSON text spells; a text that is no JSON stays a text"""
    value = args.value(0)
    if value.kind is Kind.DYNAMIC:
        return value
    if value.kind is not Kind.STRING:
        return convert(value, Kind.DYNAMIC)
    if isinstance(value.const, str):
        try:
            return constant(loads(value.const), Kind.DYNAMIC)
        except ValueError:
            return constant(value.const or None, Kind.DYNAMIC)
    parsed = fn("nullif", fn("json", value.sql), cast(text("null"), "JSON"))
    empty = binary(exp.EQ, value.sql, text(""))
    found = case((fn("json_valid", value.sql), parsed), (not_(empty), fn("to_json", value.sql)))
    return Value(found, Kind.DYNAMIC, source=value.sql)


@function("pack", "bag_pack", least=0, most=MANY)
def bag_pack(args: Args) -> Value:
    """a property bag from names and values"""
    if len(args) % 2:
        raise args.error(f"{args.name}() takes pairs of a name and a value")
    parts: list[Sql] = []
    for n in range(0, len(args), 2):
        parts += [to_string(args.value(n)).sql, convert(args.value(n + 1), Kind.DYNAMIC).sql]
    return json_value(fn("json_object", *parts))


@function("bag_pack_columns", least=1, most=MANY)
def bag_pack_columns(args: Args) -> Value:
    """a property bag from columns under their own names"""
    parts: list[Sql] = []
    for value in args.values():
        if value.name is None:
            raise args.error("bag_pack_columns() takes columns")
        parts += [text(value.name), convert(value, Kind.DYNAMIC).sql]
    return json_value(fn("json_object", *parts))


@function("pack_all", least=0, most=1)
def pack_all(args: Args) -> Value:
    """a property bag of all columns; with true, without those that are null or empty"""
    relation = args.scope.relation
    if relation is None:
        raise args.error("pack_all() needs a table")
    ignore = bool(len(args)) and args.value(0).const is True
    parts: list[Sql] = []
    for one in relation.shown:
        parts += [text(one.name), convert(one.value(), Kind.DYNAMIC).sql]
    packed = fn("json_object", *parts)
    return call("kql_without_empty", cast(packed, "VARCHAR"), kind=Kind.DYNAMIC) if ignore else json_value(packed)


@function("pack_array", least=0, most=MANY)
def pack_array(args: Args) -> Value:
    """an array of the values"""
    values = args.values()
    if all(value.is_const for value in values):
        return constant([convert(value, Kind.DYNAMIC).const for value in values], Kind.DYNAMIC)
    return json_value(fn("json_array", *[convert(value, Kind.DYNAMIC).sql for value in values]))


@function("array_length", "arraylength")
def array_length(args: Args) -> Value:
    """how many items an array has; null for anything else"""
    source = args.sql(0, Kind.DYNAMIC)
    is_array = binary(exp.EQ, fn("json_type", source), text("ARRAY"))
    return Value(case((is_array, cast(fn("json_array_length", source), "BIGINT"))), Kind.LONG)


@function("bag_keys")
def bag_keys(args: Args) -> Value:
    """the names in a property bag, as an array"""
    source = args.sql(0, Kind.DYNAMIC)
    is_bag = binary(exp.EQ, fn("json_type", source), text("OBJECT"))
    return json_value(case((is_bag, fn("to_json", fn("json_keys", source)))))


@function("treepath")
def treepath(args: Args) -> Value:
    """the paths of all properties within a dynamic"""
    return _of_json("kql_treepath", args)


def _of_json(name: str, args: Args, kind: Kind = Kind.DYNAMIC) -> Value:
    """Ours take one JSON array that holds the arguments."""
    items = [convert(value, Kind.DYNAMIC).sql for value in args.values()]
    return call(name, cast(fn("json_array", *items), "VARCHAR"), kind=kind)


def _json_function(name: str, least: int, most: int | None, about: str, kind: Kind = Kind.DYNAMIC) -> None:
    def lower(args: Args) -> Value:
        return _of_json(f"kql_{name}", args, kind)

    lower.__doc__ = about
    function(name, least=least, most=most)(lower)


for _name, _least, _most, _about in (
    ("array_concat", 1, MANY, "arrays joined"),
    ("array_iff", 3, 3, "for each item of an array of bools, one of two values"),
    ("array_index_of", 2, 5, "where an array first holds a value, from 0; -1 where it does not"),
    ("array_reverse", 1, 1, "an array backwards"),
    ("array_rotate_left", 2, 2, "an array with its items moved round to the left"),
    ("array_rotate_right", 2, 2, "an array with its items moved round to the right"),
    ("array_shift_left", 2, 3, "an array with its items moved to the left, gaps filled"),
    ("array_shift_right", 2, 3, "an array with its items moved to the right, gaps filled"),
    ("array_slice", 3, 3, "the items from one place to another; negative places count from the end"),
    ("array_sort_asc", 1, 2, "an array in rising order, nulls last"),
    ("array_sort_desc", 1, 2, "an array in falling order, nulls last"),
    ("array_split", 2, 2, "an array cut at these places"),
    ("array_sum", 1, 1, "the sum of an array"),
    ("bag_has_key", 2, 2, "whether a property bag has a name or a $.path"),
    ("bag_merge", 2, MANY, "property bags joined; the first value of a name stays"),
    ("bag_remove_keys", 2, 2, "a property bag without these names"),
    ("bag_set_key", 3, 3, "a property bag with a value under a name"),
    ("bag_zip", 2, 2, "a property bag from an array of names and one of values"),
    ("jaccard_index", 2, 2, "how alike two sets are, 0 to 1"),
    ("repeat", 2, 2, "an array of one value repeated"),
    ("set_difference", 2, MANY, "the distinct items of the first array that no other has"),
    ("set_has_element", 2, 2, "whether an array holds a value"),
    ("set_intersect", 2, MANY, "the distinct items that all arrays have"),
    ("set_union", 2, MANY, "the distinct items of all arrays"),
    ("zip", 2, MANY, "arrays of the items at the same places"),
):  # fmt: skip
    _kinds = {
        "array_index_of": Kind.LONG, "array_sum": Kind.REAL, "bag_has_key": Kind.BOOL, "jaccard_index": Kind.REAL,
        "set_has_element": Kind.BOOL,
    }  # fmt: skip
    _json_function(_name, _least, _most, _about, _kinds.get(_name, Kind.DYNAMIC))


@function("strcat_array", least=2)
def strcat_array(args: Args) -> Value:
    """an array's items as one text, with a delimiter between"""
    return _of_json("kql_strcat_array", args, Kind.STRING)


@function("extract_json", "extractjson", least=2, most=3)
def extract_json(args: Args) -> Value:
    """what stands at a path such as "$.a.b" of a JSON text"""
    from perilune.detection.kql.functions.texts import _as_typeof

    path, source = args.text(0), to_string(args.value(1)).sql
    held = case((fn("json_valid", source), tried(fn("json_extract_string", source, text(path)))))
    return _as_typeof(args, 2, Value(coalesce(held, text("")), Kind.STRING, False))


del (_name, _least, _most, _about)
