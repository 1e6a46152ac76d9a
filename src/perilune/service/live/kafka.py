"""A topic of a Kafka broker as a source: each partition is a stream, its position an offset kept with the rows.

Where reading goes on is the lake's to say; the consumer group is told of it afterwards, so that the lag can be seen
there too. A broker that is gone is waited for. Needs `confluent-kafka` (extra `perilune[kafka]`).
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from perilune.errors import UsageError
from perilune.service.live.addresses import Address
from perilune.service.live.sources import CHUNK_BYTES, TOLD_BY, Chunk, State
from perilune.store.lake_manifest import Position

OPTIONS = ("group", "format", "from", "config")
HELD_BYTES = 16 << 20  # of one partition that wait to be taken; the rest waits at the broker
MESSAGES = 1_000  # asked for at once
LOOK_AGAIN = 30.0  # seconds after which new partitions are looked for
ONCE_PATIENCE = 15.0  # seconds that a reading to the end waits for a broker that says nothing
GAP = "offsets that were no longer there (deleted before they were read, or marks of transactions)"
EMPTY = "messages without a value"
# Settings that would load or run a program, or take the positions out of our hands.
REFUSED = ("plugin.library.paths", "ssl.engine.location", "ssl.providers", "sasl.kerberos.kinit.cmd",
           "enable.auto.commit", "enable.auto.offset.store", "test.mock.num.brokers")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Message:
    offset: int
    data: bytes  # whole lines


@dataclass(slots=True)
class _Partition:
    """What came of one partition and is not yet in the lake."""

    stream: str
    head: bytes = b""
    held: deque[_Message] = field(default_factory=deque)
    size: int = 0
    next: int | None = None  # the offset that should come
    told: int = -1  # to the group
    ended: bool = False
    paused: bool = False

    def add(self, offset: int, data: bytes) -> int:
        """Takes a message; returns how many offsets before it never came."""
        gap = offset - self.next if self.next is not None and offset > self.next else 0
        self.held.append(_Message(offset, data))
        self.size += len(data)
        self.next = offset + 1
        if len(self.head) < TOLD_BY:
            self.head = (self.head + data)[:TOLD_BY]
        return gap

    def drop(self, offset: int) -> None:
        """What is in the lake."""
        while self.held and self.held[0].offset < offset:
            self.size -= len(self.held.popleft().data)

    def chunk(self, position: Position | None, form: str, *, whole: bool) -> Chunk | None:
        """What is held behind the position."""
        offset, skip, line = _place(position)
        self.drop(offset)
        if not self.held:
            return None
        messages: list[_Message] = []
        size = 0
        for message in self.held:
            if messages and size + len(message.data) > CHUNK_BYTES:
                break
            messages.append(message)
            size += len(message.data)
        skip = skip if messages[0].offset == offset else 0
        data = b"".join(message.data for message in messages)[skip:]
        after = _After(messages, skip, line)
        whole = whole and len(messages) == len(self.held)
        return Chunk(self.stream, data, line + 1, self.head, form, whole, after, form=form)


@dataclass(frozen=True, slots=True)
class _After:
    """The position after so many bytes and lines of some messages, of the first of which `skip` bytes were read."""

    messages: Sequence[_Message]
    skip: int
    line: int

    def __call__(self, size: int, lines: int) -> Position:
        ends: list[int] = []
        for message in self.messages:
            ends.append((ends[-1] if ends else 0) + len(message.data))
        done = bisect_right(ends, size + self.skip)
        rest = size + self.skip - (ends[done - 1] if done else 0)
        offset = self.messages[done].offset if done < len(self.messages) else self.messages[-1].offset + 1
        return {"offset": offset, "skip": rest, "line": self.line + lines}


class KafkaSource:
    """One topic, all of its partitions."""

    def __init__(self, name: str, topic: str, settings: Mapping[str, object], form: str, *, once: bool, at_end: bool):
        self.name = name
        self.state = State()
        self._topic, self._form = topic, form
        self._once, self._at_end = once, at_end
        self._settings = dict(settings)
        self._partitions: dict[int, _Partition] = {}
        self._found: tuple[int, ...] = ()
        self._stopped = threading.Event()
        self._finder: threading.Thread | None = None
        self._consumer: Any = None
        self._sizes = [0, 0]  # messages and bytes, for what the lag comes to
        self._lag = 0

    def start(self) -> None:
        """Begins to look for the topic; a broker that is not there yet is waited for."""
        from confluent_kafka import Consumer, KafkaException

        ours = {"error_cb": self._fault, "stats_cb": self._told, "statistics.interval.ms": 1000}
        try:
            self._consumer = Consumer({**self._settings, **ours, "logger": _Silent()})
        except (KafkaException, TypeError, ValueError) as error:
            raise UsageError(f"{self.name}: {error}", hint="see the settings of librdkafka") from None
        self._finder = threading.Thread(target=self._find, name="kafka-partitions", daemon=True)
        self._finder.start()

    def _find(self) -> None:
        """Asks for the topic's partitions, again and again: the broker may be away, the topic may grow."""
        from confluent_kafka import KafkaException

        while not self._stopped.is_set():
            try:
                topic = self._consumer.list_topics(self._topic, timeout=5).topics[self._topic]
            except (KafkaException, RuntimeError) as error:
                self._is_gone(str(error))
                self._stopped.wait(1.0)
                continue
            if topic.error is not None:
                self.state.doing, self.state.problem = "failed", f"topic {self._topic}: {topic.error.str()}"
                self._stopped.wait(2.0)
                continue
            self._is_there()
            self._found = tuple(sorted(topic.partitions))
            self._stopped.wait(LOOK_AGAIN)

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        if self._consumer is None:
            return
        self._assign(positions)
        self._fetch(positions, budget)
        for number, partition in self._partitions.items():
            position = positions.get(partition.stream)
            chunk = partition.chunk(position, self._form, whole=self._once and partition.ended)
            if chunk is not None:
                yield chunk
            self._commit(number, partition, position)
        self._weigh()

    def _assign(self, positions: Mapping[str, Position]) -> None:
        """Begins with partitions that are new, each behind what is in the lake."""
        from confluent_kafka import OFFSET_END, OFFSET_STORED, TopicPartition

        deadline = time.monotonic() + ONCE_PATIENCE
        while self._once and not self._found and time.monotonic() < deadline and not self._stopped.is_set():
            self._consumer.consume(0, 0)
            time.sleep(0.05)
        for number in self._found:
            if number in self._partitions:
                continue
            partition = self._partitions[number] = _Partition(f"{self.name}#{number}")
            position = positions.get(partition.stream)
            offset = _place(position)[0] if position else OFFSET_END if self._at_end else OFFSET_STORED
            partition.next = offset if position else None
            self._consumer.incremental_assign([TopicPartition(self._topic, number, offset)])
        self.state.streams = len(self._partitions)

    def _fetch(self, positions: Mapping[str, Position], budget: int) -> None:
        """Takes messages until there is enough; where it is read once, until each partition has ended."""
        for partition in self._partitions.values():
            partition.drop(_place(positions.get(partition.stream))[0])
        self._pace()
        deadline = time.monotonic() + ONCE_PATIENCE
        held = sum(partition.size for partition in self._partitions.values())
        while held < budget:
            wait = 0.1 if self._waits() and time.monotonic() < deadline else 0.0
            messages = self._consumer.consume(MESSAGES, wait)
            held += sum(self._take(message) for message in messages)
            self._pace()
            if not messages and not wait:
                break

    def _waits(self) -> bool:
        return self._once and any(not one.ended and not one.paused for one in self._partitions.values())

    def _take(self, message: Any) -> int:
        from confluent_kafka import KafkaError

        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._partitions[message.partition()].ended = True
            else:
                self.state.problem = error.str()
            return 0
        partition = self._partitions[message.partition()]
        partition.ended = False
        value = message.value()
        data = _lines(value) if value else b""
        if not data:
            self.state.lost[EMPTY] += 1
        gap = partition.add(message.offset(), data)
        if gap:
            self.state.lost[GAP] += gap
        self._sizes = [self._sizes[0] + 1, self._sizes[1] + len(data)]
        self._is_there()
        return len(data)

    def _pace(self) -> None:
        """Lets a partition wait at the broker while much of it waits here."""
        from confluent_kafka import TopicPartition

        for number, partition in self._partitions.items():
            if (partition.size > HELD_BYTES) != partition.paused:
                partition.paused = not partition.paused
                change = self._consumer.pause if partition.paused else self._consumer.resume
                change([TopicPartition(self._topic, number)])

    def _commit(self, number: int, partition: _Partition, position: Position | None) -> None:
        """Tells the group what is in the lake: for its eyes only, as far as we are concerned."""
        from confluent_kafka import KafkaException, TopicPartition

        offset = _place(position)[0]
        if position is None or offset <= partition.told:
            return
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, number, offset)], asynchronous=True)
            partition.told = offset
        except KafkaException as error:
            self.state.problem = str(error)

    def stop(self) -> None:
        """Takes no more; what came and is not in the lake is still at the broker."""
        self._stopped.set()
        if self._finder is not None:
            self._finder.join(6)
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    # --- what librdkafka tells, on this thread while it is polled

    def _fault(self, error: Any) -> None:
        from confluent_kafka import KafkaError

        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE):
            self._is_gone(error.str())
        else:
            self.state.problem = error.str()

    def _told(self, text: str) -> None:
        """Statistics: whether any broker is up, and how much is there beyond what came."""
        found = orjson.loads(text)
        brokers = [one.get("state") for one in found.get("brokers", {}).values() if one.get("nodeid", -1) >= 0]
        if brokers and "UP" not in brokers:
            self._is_gone("no broker answers")
        elif brokers:
            self._is_there()
        parts = found.get("topics", {}).get(self._topic, {}).get("partitions", {})
        self._lag = sum(max(0, one.get("consumer_lag", 0)) for number, one in parts.items() if number != "-1")

    def _is_gone(self, why: str) -> None:
        self.state.doing, self.state.problem = "gone", f"the broker does not answer: {why}"

    def _is_there(self) -> None:
        if self.state.doing in ("gone", "failed"):
            self.state.problem = ""
        self.state.doing = "waiting"

    def _weigh(self) -> None:
        """Bytes that wait: those here, and the lag at the mean size of a message so far."""
        here = sum(partition.size for partition in self._partitions.values())
        messages, size = self._sizes
        self.state.waiting = here + (self._lag * size // messages if messages else 0)


class _Silent:
    """librdkafka's own log, which says again what the state says."""

    def log(self, *_: object) -> None:
        return None


def _place(position: Position | None) -> tuple[int, int, int]:
    """Offset, bytes of that message that were read, and lines before."""
    found = position or {}
    offset, skip, line = (found.get(name, 0) for name in ("offset", "skip", "line"))
    return int(str(offset)), int(str(skip)), int(str(line))


def _lines(value: bytes) -> bytes:
    """A message as whole lines: a JSON value is one, whatever its layout."""
    if value.lstrip()[:1] in (b"{", b"["):
        value = value.replace(b"\r", b" ").replace(b"\n", b" ")
    return value.rstrip(b"\r\n") + b"\n" if value.strip() else b""


def open_kafka(address: Address) -> KafkaSource:
    """`kafka://broker:9092/topic`, several brokers with commas; `?group=…&format=jsonl&from=end&config=file`."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        raise UsageError("confluent-kafka is not installed", hint="pip install 'perilune[kafka]'") from None
    address.known(*OPTIONS)
    topic = address.parts.path.strip("/")
    if not address.parts.netloc or not topic or "/" in topic:
        raise UsageError(f"{address.name}: a broker and a topic are needed", hint="kafka://broker:9092/topic")
    if address.parts.username or address.parts.password:
        raise UsageError("a password does not belong into an address", hint="put it into a file: ?config=FILE")
    begins = address.option("from") or "start"
    if begins not in ("start", "end"):
        raise UsageError(f"{address.name}: from={begins} is neither start nor end")
    settings: dict[str, object] = {
        **_own(address),
        "bootstrap.servers": address.parts.netloc,
        "group.id": address.option("group") or "perilune",
        "client.id": "perilune",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": address.once,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": HELD_BYTES // 1024,
    }
    at_end = begins == "end" or address.at_end
    return KafkaSource(address.name, topic, settings, address.option("format"), once=address.once, at_end=at_end)


def _own(address: Address) -> dict[str, object]:
    """Settings of librdkafka from the user's file, `name=value` a line: where passwords and certificates belong."""
    name = address.option("config")
    if not name:
        return {}
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=name) from None
    pairs = [line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#")]
    found: dict[str, object] = {key.strip(): value.strip() for key, _, value in pairs}
    if wrong := sorted(set(found) & set(REFUSED)):
        raise UsageError(f"the setting {wrong[0]} is not taken from a file", where=name)
    return found
