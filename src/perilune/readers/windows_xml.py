"""A Windows event as XML, as event logs export it, Splunk keeps it and Sysmon for Linux writes it to syslog.

The result is the one shape of `windows.shape`. No document type is accepted, so nothing can be expanded.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from perilune.readers.windows import Raw, shape

_MOST = 4 << 20
_BEGIN = re.compile(r"<Event[\s>]")
_BARE_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos)(?!;) ?")
_FORBIDDEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:x0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2\\d|3[01]));"
)


def parse_event(text: str) -> Raw | None:
    """The event in the text, or None where there is none."""
    begin = _BEGIN.search(text)
    start, end = begin.start() if begin else -1, text.rfind("</Event>")
    if start < 0 or end < start or end - start > _MOST or "<!" in text[start:end]:
        return None
    text = text[start : end + len("</Event>")]
    for attempt in (text, _mended(text)):
        try:
            return _shaped(ElementTree.fromstring(attempt))  # noqa: S314
        except (ElementTree.ParseError, ValueError):
            continue
    return None


def parse_data(text: str) -> Raw | None:
    """The fields of a piece `<EventData>…`, as Log Analytics keeps it in a column."""
    start, end = text.find("<EventData"), text.rfind("</EventData>")
    if start < 0 or end < start:
        return None
    event = parse_event(f"<Event><System><EventID>0</EventID></System>{text[start:end]}</EventData></Event>")
    data = event["EventData"] if event else None
    return data if isinstance(data, dict) else None


def _mended(text: str) -> str:
    """Without characters that XML forbids, and with the semicolons that Log Analytics takes out of entities."""
    return _BARE_ENTITY.sub(r"&\1;", _FORBIDDEN.sub("\ufffd", text))


def _shaped(root: ElementTree.Element) -> Raw | None:
    event: Raw = {}
    for part in root:
        name = _name(part.tag)
        if name == "System":
            event[name] = _object(part, 0)
        elif name == "EventData":
            event[name] = _named(part)
        elif name != "RenderingInfo":
            event[name] = _object(part, 0)
    system = event.get("System")
    if isinstance(system, dict) and isinstance(system.get("EventID"), dict):
        system["EventID"] = system["EventID"].get("#text")
    return shape(event)


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _object(element: ElementTree.Element, depth: int) -> Raw | str | None:
    """An element as the EVTX reader gives it: attributes under `#attributes`, its text, or its children."""
    attributes = {"#attributes": {_name(key): value for key, value in element.attrib.items()}} if element.attrib else {}
    children: Raw = {}
    for child in element if depth < 16 else ():
        children[_name(child.tag)] = _object(child, depth + 1)
    if children:
        return {**attributes, **children}
    text = (element.text or "").strip()
    if attributes:
        return {**attributes, **({"#text": text} if text else {})}
    return text or None


def _named(data: ElementTree.Element) -> Raw:
    """`<Data Name="…">` by name; unnamed ones together, a line each."""
    found: Raw = {}
    unnamed: list[str] = []
    for child in data:
        name = child.get("Name")
        if name is not None:
            found[name] = child.text or ""
        elif _name(child.tag) == "Data":
            unnamed.append(child.text or "")
        else:
            found[_name(child.tag)] = child.text or ""
    return found | ({"Data": "\n".join(unnamed)} if unnamed else {})
