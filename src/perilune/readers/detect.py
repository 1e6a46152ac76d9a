"""Which reader a file needs, told by its first bytes and never by its name."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perilune.ports import Reader

if TYPE_CHECKING:
    from perilune.readers.mappings import Mappings
    from perilune.readers.patterns import LogFormat

HEAD = 65_536
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def packaged(mappings: Mappings | None = None, own: Sequence[LogFormat] = ()) -> tuple[Reader, ...]:
    """The readers that ship with Perilune, the most specific first; the user's own pattern files before them."""
    from perilune.readers.applog import AppLogReader
    from perilune.readers.auditd import AuditdReader
    from perilune.readers.csv import CsvReader
    from perilune.readers.eventxml import EventXmlReader
    from perilune.readers.evtx import EvtxReader
    from perilune.readers.firewall import PanosReader
    from perilune.readers.jsonl import JsonReader
    from perilune.readers.mappings import packaged as packaged_mappings
    from perilune.readers.parquet import ParquetReader
    from perilune.readers.patterns import packaged as packaged_formats
    from perilune.readers.scripts import CompiledLuaReader, ScriptReader
    from perilune.readers.syslog import SyslogReader
    from perilune.readers.zeek import ZeekReader

    def known() -> Mappings:
        return mappings or packaged_mappings()

    def formats() -> tuple[LogFormat, ...]:
        return (*own, *packaged_formats())

    logs = [AppLogReader(one) for one in formats() if not one.last]
    anything = [AppLogReader(one) for one in formats() if one.last]
    return (
        EvtxReader(known),
        ParquetReader(),
        CompiledLuaReader(),
        JsonReader(known),
        EventXmlReader(known),
        AuditdReader(),
        CsvReader(known),
        ZeekReader(),
        PanosReader(),
        *logs,
        SyslogReader(known, formats),
        ScriptReader(),
        *anything,
    )


def find_reader(head: bytes, readers: Sequence[Reader]) -> Reader | None:
    """The first reader that recognises the beginning of a file."""
    return next((reader for reader in readers if reader.recognises(head)), None)


def encoding_of(head: bytes) -> str | None:
    """The encoding of text that is not plain UTF-8: told by its mark, or by every second byte being zero."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    sample = head[:512]
    if len(sample) >= 4 and not any(sample[1::2]) and all(sample[0::2]):
        return "utf-16-le"
    if len(sample) >= 4 and not any(sample[0::2]) and all(sample[1::2]):
        return "utf-16-be"
    return None
