"""Real event logs: read to the last event, and damaged ones to what they hold."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from perilune import readers
from perilune.model.sources import Reading, SourceReport
from perilune.readers import Limits
from perilune.readers.evtx import EvtxReader
from perilune.readers.mappings import packaged
from tests.readers.reading import read, read_bytes


def test_every_attack_sample_is_read_to_the_last_event(data_dir: Path) -> None:
    reports, events = [], Counter[tuple[object, object]]()
    for item in readers.read([data_dir / "evtx"]):
        if isinstance(item, SourceReport):
            reports.append(item)
        else:
            events.update(zip(item.values("XProvider"), item.values("XEventId"), strict=True))
    samples = [one for one in reports if "attack-samples" in one.path and one.format == "evtx"]
    assert len(samples) == 277
    assert sum(one.records for one in samples) == 8255
    assert all(one.reading is Reading.COMPLETE and not one.problems for one in samples)
    assert events["Microsoft-Windows-Sysmon", 1] == 1491
    assert events["Microsoft-Windows-Security-Auditing", 4688] == 42
    for one in reports:
        assert one.records == sum(one.rows.values()) + sum(one.skipped.values())


@pytest.mark.parametrize(
    ("name", "records", "reading", "lost"),
    [
        ("Application_no_crc32.evtx", 17, Reading.COMPLETE, 0),
        ("issue_201.evtx", 1, Reading.COMPLETE, 0),
        ("sample-with-irregular-bool-values.evtx", 3028, Reading.COMPLETE, 0),
        ("sample-with-zero-data-size-event.evtx", 335, Reading.PARTIAL, 1),
        ("sample_with_a_bad_chunk_magic.evtx", 270, Reading.PARTIAL, 2),
        ("security_bad_string_cache.evtx", 2261, Reading.COMPLETE, 0),
    ],
)
def test_damaged_files_give_what_they_hold(
    data_dir: Path, name: str, records: int, reading: Reading, lost: int
) -> None:
    done = read(data_dir / "evtx" / "damaged" / name)
    assert done.report.records == records
    assert done.report.reading is reading
    assert sum(done.problems.values()) == lost
    assert sum(done.counts.values()) == records


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> bytes:
    """The smallest recorded file with Sysmon events."""
    files = sorted((data_dir / "evtx" / "attack-samples").rglob("*ysmon*.evtx"), key=lambda p: p.stat().st_size)
    return files[0].read_bytes()


def test_cut_off_anywhere(tmp_path: Path, sample: bytes) -> None:
    whole = read_bytes(tmp_path, sample).report.records
    for size in (1, 9, 100, 4095, 4096, 5000, 20_000, len(sample) - 1):
        report = read_bytes(tmp_path, sample[:size]).report
        assert report.records <= whole
        assert report.reading in (Reading.UNREADABLE, Reading.PARTIAL, Reading.UNKNOWN)
        assert report.problems


def test_in_a_zip_and_a_gzip(tmp_path: Path, sample: bytes) -> None:
    import gzip

    assert read_bytes(tmp_path, gzip.compress(sample)).rows.keys() == read_bytes(tmp_path, sample).rows.keys()


def test_a_circular_table_of_names_does_not_hang(tmp_path: Path, sample: bytes) -> None:
    data = bytearray(sample)
    names = [at for at in range(4096 + 128, 4096 + 128 + 256, 4) if any(data[at : at + 4])]
    first, second = (struct.unpack_from("<I", data, at)[0] for at in names[:2])
    struct.pack_into("<I", data, 4096 + first, second)
    struct.pack_into("<I", data, 4096 + second, first)
    done = read_bytes(tmp_path, bytes(data))
    assert done.problems["chunk whose table of names runs in a circle"] >= 1
    assert done.report.records == read_bytes(tmp_path, sample).report.records


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_gives_events_and_counted_problems(tmp_path: Path, sample: bytes, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(sample)
    low, high = chance.choice([(0, 4096), (4096, 4608), (4608, len(data))])
    for _ in range(chance.choice([1, 10, 200])):
        data[chance.randrange(low, high)] = chance.randrange(256)
    done = read_bytes(tmp_path, bytes(data))
    assert not any("reader failed" in what for what in done.problems)


def test_faults_have_a_budget(tmp_path: Path, sample: bytes) -> None:
    data = sample[:4096] + b"ElfChnk\0" + b"\xff" * 65_528
    data += (b"\0" * 65_536) * 20
    done = read_bytes(tmp_path, data, Limits(max_faults=3))
    assert len(done.report.problems) <= 6


def test_recognised_by_magic() -> None:
    assert EvtxReader(packaged).recognises(b"ElfFile\0rest")
    assert not EvtxReader(packaged).recognises(b"ElfChnk\0rest")
