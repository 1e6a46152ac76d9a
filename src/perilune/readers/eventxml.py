"""Windows events exported as XML: one `<Event>` after the other, with or without `<Events>` around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import MIB, Limits, Lost, Read
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.products import Products
from perilune.readers.windows_xml import parse_event

_BEGINS = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)?<Events?[\s>]", re.DOTALL)
_END = b"</Event>"


class EventXmlReader:
    """Event Viewer's and wevtutil's XML, and raw XML events a line each."""

    name = "event-xml"
    looks_for = "`<Events>` or `<Event …>` of a Windows event log"

    def __init__(self, mappings: Callable[[], Mappings]) -> None:
        self._mappings = mappings

    def recognises(self, head: bytes) -> bool:
        return _BEGINS.match(head) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered = Gathered()
        products = Products(self._mappings(), gathered, limits)
        number = broken = 0
        where = ""
        for item in _events(stream, limits):
            if isinstance(item, Lost):
                yield item
                continue
            number += 1
            event = parse_event(item.decode("utf-8", "replace"))
            if event is None:
                broken += 1
                where = where or f"record {number}"
            else:
                products.add({"Event": event}, number, len(item))
            if gathered.full:
                yield from gathered.drain()
        products.found = number
        products.finish()
        yield from gathered.drain()
        yield from products.counts()
        if broken:
            yield Lost(Problem("event that is not XML of an event", broken, where))


def _events(stream: BinaryIO, limits: Limits) -> Iterator[bytes | Lost]:
    """The text up to each end of an event; one over its budget is left out, and said."""
    rest = b""
    while data := stream.read(MIB):
        *events, rest = (rest + data).split(_END)
        for event in events:
            yield event + _END
        if len(rest) > limits.max_record_bytes:
            yield Lost(Problem(f"event longer than {limits.max_record_bytes:,} bytes"))
            rest = b""
    if b"<Event " in rest or b"<Event>" in rest:
        yield Lost(Problem("truncated: the last event breaks off"))
