"""A topic becomes rows once, over librdkafka's own mock broker, which speaks the protocol and needs only the wheel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import UsageError
from perilune.model.rules import RuleSet
from perilune.service.live.addresses import Address, open_source
from perilune.service.live.kafka import EMPTY, GAP, KafkaSource, _After, _lines, _Message
from perilune.store.lake_manifest import Position
from tests.service.live import kafka_broker
from tests.service.live.build import event, lines, pids, rules, watch

kafka = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: pip install 'perilune[kafka]'")


class Broker:
    """librdkafka's mock cluster, which lives as long as its producer does."""

    def __init__(self) -> None:
        self._producer: Any = kafka.Producer({"test.mock.num.brokers": 1, "linger.ms": 0, "log_level": 0})
        (broker,) = self._producer.list_topics(timeout=20).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def send(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        for value in values:
            self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(20) == 0

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        consumer = kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        try:
            (found,) = consumer.committed([kafka.TopicPartition(topic, partition)], timeout=20)
            return int(found.offset)
        finally:
            consumer.close()

    def close(self) -> None:
        self._producer = None  # which ends it


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.close()


@pytest.fixture
def ruleset(tmp_path: Path) -> RuleSet:
    return rules(tmp_path)


def each(block: bytes) -> list[bytes]:
    return [line + b"\n" for line in block.splitlines()]


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_topic_becomes_rows_and_findings_once(tmp_path: Path, broker: Broker, ruleset: RuleSet) -> None:
    """Two partitions, three runs of a watcher, messages between them; positions are the lake's."""
    url, lake, name = f"sqlite:///{tmp_path / 'cases.db'}", tmp_path / "lake", f"kafka://{broker.address}/events"
    broker.send("events", *each(lines(0, 100)))
    broker.send("events", *each(lines(100, 50)), partition=1)
    first = watch(lake, url, name, ruleset=ruleset)
    assert first.counts()["findings"] == 15
    assert watch(lake, url, name, ruleset=ruleset).counts()["findings"] == 0
    broker.send("events", *each(lines(150, 50)), partition=1)
    assert watch(lake, url, name, ruleset=ruleset).counts()["findings"] == 5
    assert sorted(pids(lake)) == [1000 + n for n in range(200)]


@pytest.fixture
def source(tmp_path: Path, broker: Broker) -> Iterator[KafkaSource]:
    broker.send("events", event(0))
    found = open_source(Address(f"kafka://{broker.address}/events?group=ours", tmp_path / "lake"))
    assert isinstance(found, KafkaSource)
    found.start()
    yield found
    found.stop()


def taken(source: KafkaSource, positions: dict[str, Position], enough: int) -> bytes:
    """What comes, each chunk taken whole."""
    found = b""
    deadline = time.monotonic() + 30
    while found.count(b"\n") < enough:
        assert time.monotonic() < deadline, f"only {found!r}, {source.state}"
        for chunk in source.poll(positions, 1 << 20):
            assert chunk.first == 1 + int(str(positions.get(chunk.stream, {}).get("line", 0)))
            found += chunk.data
            positions[chunk.stream] = chunk.after(len(chunk.data), chunk.data.count(b"\n"))
        time.sleep(0.02)
    return found


def test_what_is_not_taken_comes_again_and_the_group_is_told_after(source: KafkaSource, broker: Broker) -> None:
    until(lambda: any(chunk.data for chunk in source.poll({}, 1 << 20)))
    again = [chunk.data for chunk in source.poll({}, 1 << 20) if chunk.data]
    assert again == [event(0)] or len(again) == 1, "a batch that was not kept is given again"
    assert broker.committed("ours", "events") < 0, "nothing is committed before it is kept"
    positions: dict[str, Position] = {}
    taken(source, positions, 1)
    assert positions[f"{source.name}#0"] == {"offset": 1, "skip": 0, "line": 1}
    list(source.poll(positions, 1 << 20))
    until(lambda: broker.committed("ours", "events") == 1)


def test_part_of_a_message_can_be_taken(source: KafkaSource, broker: Broker) -> None:
    positions: dict[str, Position] = {}
    taken(source, positions, 1)
    broker.send("events", b"type=A\ntype=B\ntype=C", b"type=D")
    until(lambda: any(chunk.data.count(b"\n") == 4 for chunk in source.poll(positions, 1 << 20)))
    (chunk,) = (chunk for chunk in source.poll(positions, 1 << 20) if chunk.data)
    positions[chunk.stream] = chunk.after(14, 2)
    assert positions[chunk.stream] == {"offset": 1, "skip": 14, "line": 3}
    (rest,) = (chunk for chunk in source.poll(positions, 1 << 20) if chunk.data)
    assert (rest.data, rest.first) == (b"type=C\ntype=D\n", 4)
    assert rest.after(14, 2) == {"offset": 3, "skip": 0, "line": 5}


def test_messages_without_a_value_and_offsets_that_are_gone_are_counted(tmp_path: Path, broker: Broker) -> None:
    broker.send("gaps", event(0), None, event(1), b"\n", event(2))
    source = open_source(Address(f"kafka://{broker.address}/gaps", tmp_path / "lake"))
    assert isinstance(source, KafkaSource)
    source.start()
    try:
        positions: dict[str, Position] = {}
        assert taken(source, positions, 3).count(b"\n") == 3
        assert source.state.lost == {EMPTY: 2}
        partition = source._partitions[0]
        assert partition.add(9, b"x\n") == 4, "5 to 8 never came"
    finally:
        source.stop()
    assert GAP


def test_a_broker_that_is_gone_is_said_and_waited_for(tmp_path: Path, broker: Broker) -> None:
    broker.send("events", event(0))
    source = open_source(Address(f"kafka://{broker.address}/events", tmp_path / "lake"))
    assert isinstance(source, KafkaSource)
    with closing(_Started(source)):
        positions: dict[str, Position] = {}
        taken(source, positions, 1)
        assert source.state.doing == "waiting" and source.state.problem == ""
        broker.close()

        def gone() -> bool:
            assert not [chunk.data for chunk in source.poll(positions, 1 << 20) if chunk.data]
            return source.state.doing == "gone"

        until(gone, 60)
        assert "does not answer" in source.state.problem


class _Started:
    def __init__(self, source: KafkaSource) -> None:
        source.start()
        self.close = source.stop


def test_a_watch_begins_without_a_broker(tmp_path: Path) -> None:
    source = open_source(Address("kafka://127.0.0.1:1/none", tmp_path / "lake"))
    source.start()
    try:
        until(lambda: not list(source.poll({}, 1 << 20)) and source.state.doing == "gone")
    finally:
        source.stop()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("kafka://broker:9092", "topic"),
        ("kafka:///topic", "broker"),
        ("kafka://b:9092/a/b", "topic"),
        ("kafka://u:p@b:9092/t", "password"),
        ("kafka://b:9092/t?form=x", "no option"),
        ("kafka://b:9092/t?from=here", "neither"),
        ("kafka://b:9092/t?config=/nowhere", "cannot be read"),
    ],
)
def test_a_wrong_address_is_refused(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_source(Address(address, tmp_path))


@pytest.mark.parametrize("setting", ["plugin.library.paths=/tmp/x.so", "sasl.kerberos.kinit.cmd=id", "nonsense=1"])
def test_a_file_of_settings_cannot_run_anything(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "client.properties"
    path.write_text(f"# ours\nsecurity.protocol = PLAINTEXT\n{setting}\n")
    with pytest.raises(UsageError):
        open_source(Address(f"kafka://127.0.0.1:1/t?config={path}", tmp_path)).start()


@given(st.lists(st.lists(st.binary(max_size=5).filter(lambda b: b"\n" not in b), max_size=4), min_size=1, max_size=6))
def test_a_position_is_where_reading_goes_on(messages: list[list[bytes]]) -> None:
    """However many lines are taken, the rest is exactly what lies behind the position."""
    held = [_Message(7 + n, b"".join(line + b"\n" for line in one)) for n, one in enumerate(messages)]
    whole = b"".join(message.data for message in held)
    for count in range(whole.count(b"\n") + 1):
        size = len(b"".join(whole.splitlines(keepends=True)[:count])) if count else 0
        at = _After(held, 0, 0)(size, count)
        rest = b"".join(m.data for m in held if m.offset >= int(str(at["offset"])))[int(str(at["skip"])) :]
        assert rest == whole[size:]


@given(st.binary(max_size=200))
def test_a_message_is_whole_lines(value: bytes) -> None:
    made = _lines(value)
    assert made == b"" if not value.strip() else made.endswith(b"\n")
    if value.lstrip()[:1] in (b"{", b"["):
        assert made.count(b"\n") <= 1


@pytest.mark.skipif(bool(kafka_broker.missing()), reason=kafka_broker.missing() or "a broker is here")
def test_a_real_broker_that_is_killed_and_begun_again(tmp_path: Path, ruleset: RuleSet) -> None:
    """Apache Kafka: rows once over three runs of a watcher and a kill of the broker between them."""
    url, lake = f"sqlite:///{tmp_path / 'cases.db'}", tmp_path / "lake"
    with kafka_broker.real_broker(tmp_path / "kafka") as broker:
        name = f"kafka://{broker.address}/events?group=soc"
        send(broker.address, lines(0, 300))
        assert watch(lake, url, name, ruleset=ruleset).counts()["findings"] == 30
        # A group that was told nothing yet, or it would go on where the watcher was.
        source = open_source(Address(f"kafka://{broker.address}/events?group=others", lake))
        assert isinstance(source, KafkaSource)
        with closing(_Started(source)):
            positions: dict[str, Position] = {}
            taken(source, positions, 300)
            broker.end(hard=True)
            until(lambda: not list(source.poll(positions, 1 << 20)) and source.state.doing == "gone", 60)
            broker.begin()
            send(broker.address, lines(300, 100))
            assert taken(source, positions, 100).count(b"\n") == 100
            assert source.state.doing == "waiting"
        assert watch(lake, url, name, ruleset=ruleset).counts()["findings"] == 10
    assert sorted(pids(lake)) == [1000 + n for n in range(400)]


def send(address: str, block: bytes) -> None:
    """Lines to all partitions of a topic of a real broker."""
    producer = kafka.Producer({"bootstrap.servers": address, "linger.ms": 5})
    for number, line in enumerate(each(block)):
        producer.produce("events", line, key=str(number).encode())
    assert producer.flush(60) == 0
