"""URLs, paths, command lines, CSV, versions and key-value texts, taken apart as Kusto documents it."""

from __future__ import annotations

import csv
import re
from decimal import Decimal

from perilune.detection.kql.kinds import Json
from perilune.detection.kql.values import dumps, loads

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[^\]]*\]|[^:/?#]*)(?::(?P<port>\d{1,5}))?(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<tag>.*))?",
    re.DOTALL,
)
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")


def _decoded(text: str) -> str:
    return _PERCENT.sub(lambda m: bytes.fromhex(m.group().replace("%", "")).decode("utf-8", "replace"), text)


def _query(text: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        if name or equals:
            found[_decoded(name.replace("+", " "))] = _decoded(value.replace("+", " "))
    return found


def parse_url(text: str) -> str | None:
    match = _URL.fullmatch(text)
    if match is None or not match["scheme"]:
        return dumps({"Scheme": "", "Host": "", "Port": "", "Path": "", "Username": "", "Password": "",
                      "Query Parameters": {}, "Fragment": ""})  # fmt: skip
    return dumps({
        "Scheme": match["scheme"], "Host": match["host"] or "", "Port": match["port"] or "",
        "Path": match["path"] or "", "Username": match["user"] or "", "Password": match["password"] or "",
        "Query Parameters": _query(match["query"] or ""), "Fragment": match["tag"] or "",
    })  # fmt: skip


def parse_urlquery(text: str) -> str:
    return dumps({"Query Parameters": _query(text.removeprefix("?"))})


def parse_path(text: str) -> str:
    """`C:\\temp\\a.tar.gz:stream`, `/tmp/x`, `\\\\host\\share\\f` and `scheme://host/path`."""
    scheme, found, behind = text.partition("://")
    scheme, rest = (scheme, behind) if found and scheme.isalnum() else ("", text)
    drive = re.match(r"([A-Za-z]:)", rest)
    root, stream = drive[1] if drive else "", ""
    at = rest.find(":", len(root))
    if at >= 0 and "\\" not in rest[at:] and "/" not in rest[at:]:
        rest, stream = rest[:at], rest[at + 1 :]
    cut = max(rest.rfind("\\"), rest.rfind("/"))
    name = rest[cut + 1 :]
    dot = name.rfind(".")
    folder = rest[:cut] if cut >= 0 else ""
    return dumps({
        "Scheme": scheme, "RootPath": root, "DirectoryPath": folder,
        "DirectoryName": re.split(r"[\\/]", folder)[-1], "Filename": name,
        "Extension": name[dot + 1 :] if dot >= 0 else "", "AlternateDataStreamName": stream,
    })  # fmt: skip


def parse_csv(text: str) -> str | None:
    """The first record."""
    try:
        row = next(csv.reader(text.splitlines(), strict=True), [""])
    except csv.Error:
        return None
    return dumps(list(row))


def parse_command_line(text: str) -> str | None:
    """The rules of CommandLineToArgvW: quotes group, backslashes escape only before a quote."""
    return dumps(list(_windows_arguments(text))) if text.strip() else None


def _windows_arguments(text: str) -> list[str]:
    text = text.strip(" \t")
    found: list[str] = []
    if text.startswith('"'):  # the program's own name knows no escapes
        end = text.find('"', 1)
        first, rest = (text[1:end], text[end + 1 :]) if end > 0 else (text[1:], "")
    else:
        first, _, rest = text.replace("\t", " ", 1).partition(" ") if "\t" in text else text.partition(" ")
    found.append(first)
    return found + _arguments(rest)


def _arguments(text: str) -> list[str]:
    found: list[str] = []
    word: list[str] | None = None
    quoted = False
    place = 0
    while place < len(text):
        character = text[place]
        if character == "\\":
            end = place
            while end < len(text) and text[end] == "\\":
                end += 1
            count = end - place
            is_quote = end < len(text) and text[end] == '"'
            word = (word or []) + ["\\" * (count // 2 if is_quote else count)]
            if is_quote and count % 2:
                word.append('"')
                end += 1
            place = end
            continue
        if character == '"':
            word = word or []
            if quoted and text[place + 1 : place + 2] == '"':
                word.append('"')
                place += 1
            else:
                quoted = not quoted
        elif character in " \t" and not quoted:
            if word is not None:
                found.append("".join(word))
            word = None
        else:
            word = word or []
            word.append(character)
        place += 1
    return [*found, "".join(word)] if word is not None else found


def parse_version(text: str) -> Decimal | None:
    """Up to four parts of up to eight digits, each given eight places."""
    parts = text.strip().split(".")
    if not 1 <= len(parts) <= 4 or not all(one.isascii() and one.isdecimal() and len(one) <= 8 for one in parts):
        return None
    padded = [*parts, *["0"] * (4 - len(parts))]
    return Decimal("".join(part.rjust(8, "0") for part in padded))


def parse_kv(text: str, packed: str) -> str | None:
    options = loads(packed)
    if not isinstance(options, dict):
        return None
    pairs, between = str(options["pair_delimiter"]) or " ", str(options["kv_delimiter"]) or "="
    quotes = str(options["quote"])
    opening, closing = (quotes[0], quotes[-1]) if quotes else ("", "")
    found: dict[str, Json] = {}
    rest = text
    while rest:
        key, delimiter, rest = rest.partition(between)
        if not delimiter:
            break
        if opening and rest.startswith(opening) and (end := rest.find(closing, 1)) > 0:
            value, rest = rest[1:end], rest[end + 1 :].removeprefix(pairs)
        else:
            value, _, rest = rest.partition(pairs)
        name = key.rpartition(pairs)[2].strip() if pairs.strip() != "" or " " not in key.strip() else key.split()[-1]
        found.setdefault(name.strip(opening) if opening else name, value)
    return dumps(found)
