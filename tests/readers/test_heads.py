"""Heads of events, and which events are looked at as dictionaries."""

from __future__ import annotations

from pathlib import Path

from perilune.ports import Halves, Limits
from perilune.readers.heads import Heads
from perilune.readers.mappings import Mappings, packaged, parse
from tests.readers.test_halves import event


def test_what_is_no_event_has_no_kind() -> None:
    heads = Heads(packaged())
    texts = ["{}", '{"Event":{}}', '{"Event":{"System":{"EventID":1}}}', "[", event({})]
    assert heads.kinds(heads.decode(texts)) == [None] * 5


def test_a_recorded_log_is_mostly_halved(data_dir: Path) -> None:
    from perilune.readers.evtx import EvtxReader

    path = data_dir / "evtx" / "damaged" / "security_bad_string_cache.evtx"
    with path.open("rb") as stream:
        found = [item for item in EvtxReader(packaged).read(stream, Limits()) if isinstance(item, Halves)]
    assert sum(len(one.numbers) for one in found) > 2000


def test_a_map_with_a_name_that_no_decoder_can_have() -> None:
    text = "about: x\nmaps:\n  - kind: windows:*\n    table: XScriptEvents\n    columns: {FileName: 'EventData.a\"b'}\n"
    heads = Heads(Mappings({"windows:*": parse(text, "own.yml")[0]}))
    assert heads.kinds(heads.decode([event({"a": 1})])) == [None]
