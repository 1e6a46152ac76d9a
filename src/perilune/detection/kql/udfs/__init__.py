"""Functions that DuckDB does not have, in Python. Each takes and gives plain values; dynamics are JSON in text.

They are called once for each distinct combination of arguments of a chunk, never see a null unless they ask for it,
and give null for what they cannot do: no row of a log may end a query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perilune.detection.kql.udfs import addresses, dynamics, encodings, searching, structured, times

Plain = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Udf:
    """`takes` and `gives` are SQL types."""

    function: Callable[..., object]
    takes: tuple[str, ...]
    gives: str


def _udf(function: Callable[..., object], takes: str, gives: str = "VARCHAR") -> Udf:
    return Udf(function, tuple(takes.split()), gives)


UDFS: dict[str, Udf] = {
    "kql_base64_bytes": _udf(encodings.base64_bytes, "VARCHAR"),
    "kql_base64_text": _udf(encodings.base64_text, "VARCHAR"),
    "kql_codepoints": _udf(encodings.codepoints, "VARCHAR"),
    "kql_from_codepoints": _udf(encodings.from_codepoints, "VARCHAR"),
    "kql_gunzip": _udf(encodings.gunzip, "VARCHAR"),
    "kql_hex": _udf(encodings.to_hex, "BIGINT BIGINT"),
    "kql_hex_long": _udf(encodings.hex_long, "VARCHAR", "BIGINT"),
    "kql_translate": _udf(encodings.translate, "VARCHAR VARCHAR VARCHAR"),
    "kql_replace_strings": _udf(encodings.replace_strings, "VARCHAR VARCHAR VARCHAR"),
    "kql_has_term": _udf(searching.has_term, "VARCHAR VARCHAR VARCHAR", "BOOLEAN"),
    "kql_has_terms": _udf(searching.has_terms, "VARCHAR VARCHAR VARCHAR", "BOOLEAN"),
    "kql_indexof": _udf(searching.indexof, "VARCHAR VARCHAR BIGINT BIGINT BIGINT", "BIGINT"),
    "kql_indexof_regex": _udf(searching.indexof_regex, "VARCHAR VARCHAR", "BIGINT"),
    "kql_countof": _udf(searching.countof, "VARCHAR VARCHAR", "BIGINT"),
    "kql_countof_regex": _udf(searching.countof_regex, "VARCHAR VARCHAR", "BIGINT"),
    "kql_extract_all": _udf(searching.extract_all, "VARCHAR VARCHAR VARCHAR"),
    "kql_datetime": _udf(times.to_datetime, "VARCHAR", "TIMESTAMP"),
    "kql_timespan": _udf(times.to_timespan, "VARCHAR", "BIGINT"),
    "kql_timespan_text": _udf(times.timespan_text, "BIGINT"),
    "kql_format_datetime": _udf(times.format_datetime, "TIMESTAMP VARCHAR"),
    "kql_format_timespan": _udf(times.format_timespan, "BIGINT VARCHAR"),
    "kql_to_local": _udf(times.to_local, "TIMESTAMP VARCHAR", "TIMESTAMP"),
    "kql_to_utc": _udf(times.to_utc, "TIMESTAMP VARCHAR", "TIMESTAMP"),
    "kql_parse_url": _udf(structured.parse_url, "VARCHAR"),
    "kql_parse_urlquery": _udf(structured.parse_urlquery, "VARCHAR"),
    "kql_parse_path": _udf(structured.parse_path, "VARCHAR"),
    "kql_parse_csv": _udf(structured.parse_csv, "VARCHAR"),
    "kql_parse_command_line": _udf(structured.parse_command_line, "VARCHAR"),
    "kql_parse_version": _udf(structured.parse_version, "VARCHAR", "DECIMAL(38, 0)"),
    "kql_parse_kv": _udf(structured.parse_kv, "VARCHAR VARCHAR"),
    "kql_parse_ipv4": _udf(addresses.parse_ipv4, "VARCHAR", "BIGINT"),
    "kql_ipv4_mask": _udf(addresses.ipv4_mask, "VARCHAR BIGINT", "BIGINT"),
    "kql_ipv4_suffix": _udf(addresses.ipv4_suffix, "VARCHAR", "BIGINT"),
    "kql_ipv4_compare": _udf(addresses.ipv4_compare, "VARCHAR VARCHAR BIGINT", "BIGINT"),
    "kql_ipv4_is_private": _udf(addresses.ipv4_is_private, "VARCHAR", "BOOLEAN"),
    "kql_ip_in": _udf(addresses.ip_in, "VARCHAR VARCHAR VARCHAR", "BOOLEAN"),
    "kql_format_ipv4": _udf(addresses.format_ipv4, "VARCHAR BIGINT VARCHAR"),
    "kql_parse_ipv6": _udf(addresses.parse_ipv6, "VARCHAR"),
    "kql_series": _udf(dynamics.series, "VARCHAR BIGINT VARCHAR"),
    "kql_set_of": _udf(dynamics.set_of, "VARCHAR BIGINT"),
    "kql_bag_of": _udf(dynamics.bag_of, "VARCHAR"),
    "kql_bag_items": _udf(dynamics.bag_items, "VARCHAR VARCHAR"),
    "kql_without_empty": _udf(dynamics.without_empty, "VARCHAR"),
    "kql_step": _udf(dynamics.step, "VARCHAR VARCHAR"),
    "kql_range": _udf(dynamics.range_, "VARCHAR VARCHAR VARCHAR"),
    "kql_strcat_array": _udf(dynamics.strcat_array, "VARCHAR"),
    "kql_bag_has_key": _udf(dynamics.of_json(dynamics.bag_has_key), "VARCHAR", "BOOLEAN"),
    "kql_set_has_element": _udf(dynamics.of_json(dynamics.set_has_element), "VARCHAR", "BOOLEAN"),
    "kql_array_index_of": _udf(dynamics.of_json(dynamics.array_index_of), "VARCHAR", "BIGINT"),
    "kql_array_sum": _udf(dynamics.of_json(dynamics.array_sum), "VARCHAR", "DOUBLE"),
    "kql_jaccard_index": _udf(dynamics.of_json(dynamics.jaccard_index), "VARCHAR", "DOUBLE"),
} | {
    f"kql_{function.__name__}": _udf(dynamics.to_json(function), "VARCHAR")
    for function in (
        dynamics.array_concat, dynamics.array_iff, dynamics.array_reverse, dynamics.array_rotate_left,
        dynamics.array_rotate_right, dynamics.array_shift_left, dynamics.array_shift_right, dynamics.array_slice,
        dynamics.array_sort_asc, dynamics.array_sort_desc, dynamics.array_split, dynamics.bag_merge,
        dynamics.bag_remove_keys, dynamics.bag_set_key, dynamics.bag_zip, dynamics.repeat, dynamics.set_difference,
        dynamics.set_intersect, dynamics.set_union, dynamics.treepath, dynamics.zip_,
    )
}  # fmt: skip
UDFS["kql_zip"] = UDFS.pop("kql_zip_")
