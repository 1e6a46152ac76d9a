"""Arrays and property bags. What is no array where one is needed gives null."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from perilune.detection.kql.kinds import Json
from perilune.detection.kql.values import dumps, loads

MAX_ITEMS = 1_048_576


def to_json(function: Callable[..., Json]) -> Callable[[str], str | None]:
    """The function over the items of one JSON array, its result as JSON."""

    def run(packed: str) -> str | None:
        arguments = loads(packed)
        found = function(*arguments) if isinstance(arguments, list) else None
        return None if found is None else dumps(found)

    return run


def of_json(function: Callable[..., object]) -> Callable[[str], object]:
    """The function over the items of one JSON array, its result as it is."""

    def run(packed: str) -> object:
        arguments = loads(packed)
        return function(*arguments) if isinstance(arguments, list) else None

    return run


def _key(value: Json) -> str:
    """What makes two items the same: 1 and 1.0 are, 1 and "1" are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return dumps(value)


def _distinct(items: list[Json]) -> list[Json]:
    return list({_key(item): item for item in reversed(items)}.values())[::-1]


def _order(value: Json) -> tuple[int, float, str]:
    if isinstance(value, bool):
        return 2, float(value), ""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, value if isinstance(value, str) else dumps(value)


def array_concat(*arrays: Json) -> Json:
    return [item for array in arrays if isinstance(array, list) for item in array]


def array_iff(conditions: Json, yes: Json, no: Json) -> Json:
    if not isinstance(conditions, list):
        return None

    def at(source: Json, place: int) -> Json:
        if not isinstance(source, list):
            return source
        return source[place] if place < len(source) else None

    return [at(yes if held else no, place) if held is not None else None for place, held in enumerate(conditions)]


def array_index_of(array: Json, value: Json, start: int = 0, length: int = -1, occurrence: int = 1) -> int | None:
    if not isinstance(array, list):
        return None
    end = len(array) if length < 0 else start + length
    places = [n for n, item in enumerate(array[:end]) if n >= start and _key(item) == _key(value)]
    return places[occurrence - 1] if 0 < occurrence <= len(places) else -1


def array_reverse(array: Json) -> Json:
    return array[::-1] if isinstance(array, list) else array


def array_rotate_left(array: Json, count: int) -> Json:
    if not isinstance(array, list) or not array:
        return array
    count %= len(array)
    return array[count:] + array[:count]


def array_rotate_right(array: Json, count: int) -> Json:
    return array_rotate_left(array, -count)


def array_shift_left(array: Json, count: int, filler: Json = None) -> Json:
    if not isinstance(array, list):
        return None
    size = min(abs(count), len(array))
    filled = [filler] * size
    return array[size:] + filled if count >= 0 else filled + array[: len(array) - size]


def array_shift_right(array: Json, count: int, filler: Json = None) -> Json:
    return array_shift_left(array, -count, filler)


def array_slice(array: Json, start: int, end: int) -> Json:
    """The end belongs to it; places below zero count from the end."""
    if not isinstance(array, list):
        return None
    first = max(start + len(array), 0) if start < 0 else start
    last = end + len(array) if end < 0 else end
    return array[first : last + 1] if last >= 0 else []


def array_sort_asc(array: Json, nulls_last: Json = True) -> Json:
    return _sorted(array, reverse=False)


def array_sort_desc(array: Json, nulls_last: Json = True) -> Json:
    return _sorted(array, reverse=True)


def _sorted(array: Json, *, reverse: bool) -> Json:
    if not isinstance(array, list):
        return None
    held = [item for item in array if item is not None]
    return [*sorted(held, key=_order, reverse=reverse), *[None] * (len(array) - len(held))]


def array_split(array: Json, places: Json) -> Json:
    if not isinstance(array, list):
        return None
    cuts = [n + len(array) if n < 0 else n for n in (places if isinstance(places, list) else [places])
            if isinstance(n, int)]  # fmt: skip
    ends = [0, *cuts, len(array)]
    return [array[a:b] for a, b in pairwise(ends)]


def array_sum(array: Json) -> float | None:
    if not isinstance(array, list):
        return None
    numbers = [item for item in array if isinstance(item, int | float)]
    return float(sum(numbers)) if len(numbers) == len(array) else None


def bag_has_key(bag: Json, key: Json) -> bool | None:
    if not isinstance(bag, dict) or not isinstance(key, str):
        return None
    if not key.startswith("$"):
        return key in bag
    found: Json = bag
    for part in key.removeprefix("$").replace("['", ".").replace("']", "").split("."):
        if part and not (isinstance(found, dict) and part in found):
            return False
        found = found[part] if part and isinstance(found, dict) else found
    return True


def bag_merge(*bags: Json) -> Json:
    merged: dict[str, Json] = {}
    for bag in bags:
        for key, value in bag.items() if isinstance(bag, dict) else ():
            merged.setdefault(key, value)
    return merged


def bag_remove_keys(bag: Json, keys: Json) -> Json:
    if not isinstance(bag, dict) or not isinstance(keys, list):
        return bag
    paths = [str(key).removeprefix("$.").split(".") for key in keys if str(key).startswith("$.")]
    kept = {key: value for key, value in bag.items() if key not in keys}
    for path in paths:
        kept = _without(kept, path)
    return kept


def _without(bag: dict[str, Json], path: list[str]) -> dict[str, Json]:
    inner = bag.get(path[0])
    if len(path) == 1:
        return {key: value for key, value in bag.items() if key != path[0]}
    return {**bag, path[0]: _without(inner, path[1:])} if isinstance(inner, dict) else bag


def bag_set_key(bag: Json, key: Json, value: Json) -> Json:
    path = str(key).removeprefix("$.").split(".") if str(key).startswith("$.") else [str(key)]
    whole: dict[str, Json] = dict(bag) if isinstance(bag, dict) else {}
    place = whole
    for part in path[:-1]:
        inner = place.get(part)
        copied: dict[str, Json] = dict(inner) if isinstance(inner, dict) else {}
        place[part] = copied
        place = copied
    place[path[-1]] = value
    return whole


def bag_zip(keys: Json, values: Json) -> Json:
    if not isinstance(keys, list) or not isinstance(values, list):
        return None
    padded = [*values, *[None] * len(keys)]
    return {str(key): value for key, value in zip(keys, padded, strict=False) if isinstance(key, str)}


def jaccard_index(one: Json, other: Json) -> float | None:
    if not isinstance(one, list) or not isinstance(other, list):
        return None
    a, b = {_key(item) for item in one}, {_key(item) for item in other}
    return len(a & b) / len(a | b) if a | b else None


def repeat(value: Json, count: Json) -> Json:
    if not isinstance(count, int) or count > MAX_ITEMS:
        return None
    return [value] * count if count > 0 else []


def set_difference(first: Json, *others: Json) -> Json:
    gone = {_key(item) for other in others if isinstance(other, list) for item in other}
    return [i for i in _distinct(first) if _key(i) not in gone] if isinstance(first, list) else None


def set_has_element(array: Json, value: Json) -> bool | None:
    return any(_key(item) == _key(value) for item in array) if isinstance(array, list) else None


def set_intersect(first: Json, *others: Json) -> Json:
    if not isinstance(first, list):
        return None
    held = [{_key(item) for item in other} for other in others if isinstance(other, list)]
    return [item for item in _distinct(first) if all(_key(item) in one for one in held)]


def set_union(*arrays: Json) -> Json:
    return _distinct([item for array in arrays if isinstance(array, list) for item in array])


def treepath(value: Json) -> Json:
    found: list[Json] = []

    def walk(inner: Json, path: str) -> None:
        if isinstance(inner, dict):
            for key, item in inner.items():
                found.append(f"{path}['{key}']")
                walk(item, f"{path}['{key}']")
        elif isinstance(inner, list) and inner:
            found.append(f"{path}[0]")
            walk(inner[0], f"{path}[0]")

    walk(value, "")
    return found


def zip_(*arrays: Json) -> Json:
    lists = [array if isinstance(array, list) else [] for array in arrays]
    longest = max((len(one) for one in lists), default=0)
    return [[one[n] if n < len(one) else None for one in lists] for n in range(longest)]


def strcat_array(packed: str) -> str | None:
    arguments = loads(packed)
    if not isinstance(arguments, list) or not isinstance(arguments[0], list):
        return None
    delimiter = arguments[1] if isinstance(arguments[1], str) else ""
    return delimiter.join(_text(item) for item in arguments[0])


def _text(item: Json) -> str:
    if item is None:
        return ""
    return item if isinstance(item, str) else dumps(item)


def set_of(packed: str, limit: int) -> str:
    """make_set over dynamics: the items of arrays one by one."""
    values = loads(packed)
    flat: list[Json] = [item for value in (values if isinstance(values, list) else [])
            for item in (value if isinstance(value, list) else [value]) if item is not None]  # fmt: skip
    return dumps(_distinct(flat)[:limit])


def bag_of(packed: str) -> str:
    values = loads(packed)
    merged: dict[str, Json] = {}
    for value in values if isinstance(values, list) else []:
        merged |= value if isinstance(value, dict) else {}
    return dumps(merged)


def bag_items(packed: str, kind: str) -> str | None:
    value = loads(packed)
    if not isinstance(value, dict):
        return None
    return dumps([[key, item] if kind == "array" else {key: item} for key, item in value.items()])


def without_empty(packed: str) -> str | None:
    value = loads(packed)
    if not isinstance(value, dict):
        return None
    return dumps({key: item for key, item in value.items() if item not in (None, "")})


def step(packed: str, index: str) -> str | None:
    """One property or item, its name or number known only now."""
    value = loads(packed)
    found: Json = None
    if isinstance(value, dict):
        found = value.get(index)
    elif isinstance(value, list) and index.lstrip("-").isdecimal():
        place = int(index)
        found = value[place] if -len(value) <= place < len(value) else None
    return None if found is None else dumps(found)


def range_(start: str, stop: str, by: str) -> str | None:
    first, last, width = (loads(one) for one in (start, stop, by))
    if not all(isinstance(one, int | float) for one in (first, last, width)) or not width:
        return None
    count = int((last - first) // width) + 1  # type: ignore[operator]
    if count > MAX_ITEMS:
        return None
    return dumps([first + n * width for n in range(max(count, 0))])  # type: ignore[operator]


def series(packed: str, count: int, default: str) -> str | None:
    """A map of places to values as an array with every place."""
    points = loads(packed)
    filler = loads(default)
    if not isinstance(points, dict) or count is None or count < 0:
        return None
    return dumps([points.get(str(place), filler) for place in range(count)])
