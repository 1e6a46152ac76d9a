"""What becomes of a line log's fields where one entry says several things: packages installed, a packet's sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

Fields = dict[str, object]

_MOST_PACKAGES = 10_000
_PACKAGE = re.compile(r"(?P<name>[^\s:,()]+)(?::(?P<arch>[^\s,()]+))? \((?P<versions>[^()]*)\)")
_APT_ACTIONS = ("install", "reinstall", "upgrade", "downgrade", "remove", "purge")
_BLOCKED = frozenset({"drop", "reject", "deny", "block"})


def packages(fields: Fields) -> Iterator[Fields]:
    """A row for each package that an entry names: `a-1.0 b-2.0` of pip, the lists of apt's history."""
    listed = fields.get("packages")
    if isinstance(listed, str):
        rest = {name: value for name, value in fields.items() if name != "packages"}
        for one in listed.split()[:_MOST_PACKAGES]:
            name, _, version = one.rpartition("-")
            yield {**rest, "name": name or version, "version": version if name else None}
        return
    if not any(f"apt_{action}" in fields for action in _APT_ACTIONS):
        yield fields
        return
    shared = {name: value for name, value in fields.items() if not name.startswith("apt_") and name != "message"}
    for action in _APT_ACTIONS:
        text = fields.get(f"apt_{action}")
        if isinstance(text, str):
            yield from ({**shared, **one} for one in _apt(action, text))


def _apt(action: str, text: str) -> Iterator[Fields]:
    for found, _ in zip(_PACKAGE.finditer(text), range(_MOST_PACKAGES), strict=False):
        versions = [part.strip() for part in found["versions"].split(",")]
        two = action in ("upgrade", "downgrade") and len(versions) > 1
        yield {
            "action": "upgrade" if two else "install" if action == "reinstall" else action,
            "name": found["name"],
            "arch": found["arch"],
            "version": versions[1] if two else versions[0],
            "previous": versions[0] if two else None,
            "automatic": "automatic" in versions or None,
        }


def packet(fields: Fields) -> Iterator[Fields]:
    """Which side of a packet is the host's own, by the interface that it came in or went out on."""
    into, out = bool(fields.get("in")), bool(fields.get("out"))
    verdict = str(fields.get("verdict") or "").lower()
    own, other = ("destination", "source") if into and not out else ("source", "destination")
    yield {
        **{_SIDES.get(name, name): value for name, value in fields.items()},
        "local": fields.get(own),
        "local_port": fields.get(f"{own}_port"),
        "remote": fields.get(other),
        "remote_port": fields.get(f"{other}_port"),
        "initiated": None if into and out else out,
        "action": _packet_action(verdict, inbound=into and not out),
    }


_SIDES = {"source": "src_ip", "source_port": "src_port", "destination": "dst_ip", "destination_port": "dst_port"}


def _packet_action(verdict: str, *, inbound: bool) -> str:
    if verdict in _BLOCKED:
        return "FirewallInboundConnectionBlocked" if inbound else "FirewallOutboundConnectionBlocked"
    return "InboundConnectionAttempt" if inbound else "ConnectionAttempt"


_ARGUMENT = re.compile(r'\n +(?:4\) +)?\d+\) "((?:[^"\\\n]|\\.)*)"(?=\n)')
_EVAL = frozenset({"eval", "eval_ro"})


def slow_command(fields: Fields) -> Iterator[Fields]:
    """The arguments that SLOWLOG lists one a line, as one request; a script among them by itself."""
    listed = str(fields.get("listed") or "")
    arguments = [match[1] for match in _ARGUMENT.finditer(listed)]
    rest = {name: value for name, value in fields.items() if name not in ("listed", "message")}
    evaluated = len(arguments) > 1 and arguments[0].lower() in _EVAL
    yield {
        **rest,
        "request": " ".join(f'"{argument}"' for argument in arguments),
        "message": f"slow command {arguments[0] if arguments else ''}".strip(),
        "script_text": arguments[1] if evaluated else None,
    }


REFINE: Mapping[str, Callable[[Fields], Iterator[Fields]]] = {
    "software:change": packages,
    "firewall:packet": packet,
    "applog:redis_slow": slow_command,
}
