"""The network, by nftables: a host isolated but for its management, addresses blocked for a time, names led nowhere.

Tables of our own, changed in one transaction each; nobody else's rules are touched, and nothing of ours is left after
the undo. A blocked name is led to 192.0.2.1 and 100::1, which go nowhere; 0.0.0.0 would lead to this machine itself.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perilune.connectors.linux import plain
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State, TargetType

ISOLATION, BLOCKS = "perilune_isolation", "perilune_blocks"
SETS = {4: "blocked4", 6: "blocked6"}
NOWHERE = ("192.0.2.1", "100::1")
PATIENCE = 20
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)+")


@dataclass(frozen=True, slots=True)
class _Set:
    """A set as `nft -j` lists it, as far as it is asked for."""

    name: str
    elem: list[object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Chain:
    hook: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    set: _Set | None = None
    chain: _Chain | None = None


@dataclass(frozen=True, slots=True)
class _Listing:
    nftables: list[_Entry]


@dataclass(frozen=True, slots=True)
class Firewall:
    """`isolate-host`, `release-host`, `block-indicator`, `unblock-indicator`.

    management  addresses and networks that an isolated host must stay reachable from
    hosts       the file of names
    """

    management: tuple[str, ...]
    hosts: Path = Path("/etc/hosts")

    def describe(self, action: Action) -> list[Request]:
        if action.kind is Kind.ISOLATE_HOST:
            return [Request("nft -f -", self._isolation(), "all traffic but loopback, DHCP and management is dropped")]
        if action.kind is Kind.RELEASE_HOST:
            return [Request("nft -f -", f"delete table inet {ISOLATION}")]
        if action.target.type is TargetType.DOMAIN:
            word = "add to" if action.kind is Kind.BLOCK_INDICATOR else "take out of"
            return [Request(f"{word} {self.hosts}", _lines(action.target.value))]
        return [Request("nft -f -", self._block(action) if action.kind is Kind.BLOCK_INDICATOR else _unblock(action))]

    def check(self, action: Action) -> Observation:
        if action.kind in (Kind.ISOLATE_HOST, Kind.RELEASE_HOST):
            held, detail = self._isolated()
            wanted = action.kind is Kind.ISOLATE_HOST
        else:
            domain = action.target.type is TargetType.DOMAIN
            held = self._named(action.target.value) if domain else _blocked(action.target.value)
            wanted, detail = action.kind is Kind.BLOCK_INDICATOR, "blocked" if held else "not blocked"
        return Observation(State.HOLDS if held is wanted else State.ABSENT, detail)

    def act(self, action: Action, key: str) -> Receipt:
        if action.kind is Kind.ISOLATE_HOST:
            if not self.management:
                why = "no management address is set (left_alone.yml): nobody could reach the host again"
                return Receipt(Outcome.REFUSED, why)
            _nft(self._isolation())
        elif action.kind is Kind.RELEASE_HOST:
            _nft(f"delete table inet {ISOLATION}\n")
        elif action.target.type is TargetType.DOMAIN:
            self._write(action)
        elif action.kind is Kind.BLOCK_INDICATOR:
            _nft(self._block(action))
        else:
            _nft(_unblock(action))
            _drop_empty()
        return Receipt(Outcome.DONE, reference=key)

    def _isolation(self) -> str:
        """One transaction; the table is made anew, so that the same text twice is the same as once."""
        four, six = _families(self.management)
        ways = [("input", "saddr"), ("output", "daddr")]
        chains = "\n".join(_isolation_chain(hook, side, bool(four), bool(six)) for hook, side in ways)
        return (
            f"add table inet {ISOLATION}\n"
            f"delete table inet {ISOLATION}\n"
            f"table inet {ISOLATION} {{\n"
            + _set("management4", "ipv4_addr", four)
            + _set("management6", "ipv6_addr", six)
            + chains
            + "\n chain forward {\n  type filter hook forward priority -300; policy drop;\n }\n}\n"
        )

    def _isolated(self) -> tuple[bool, str]:
        closed = {one.chain.hook for one in _listed(ISOLATION) if one.chain and one.chain.policy == "drop"}
        held = {"input", "output", "forward"} <= closed
        return held, f"chains that drop: {', '.join(sorted(closed)) or 'none'}"

    def _block(self, action: Action) -> str:
        network = _network(action.target.value)
        ends = f" timeout {action.lasts}s" if action.lasts else ""
        sets = "".join(
            f" set {name} {{ type ipv{version}_addr; flags interval,timeout; }}\n" for version, name in SETS.items()
        )
        rules = "".join(
            f" chain {hook} {{\n  type filter hook {hook} priority -200; policy accept;\n"
            + "".join(_block_rules(hook, version, name) for version, name in SETS.items())
            + " }\n"
            for hook in ("input", "output", "forward")
        )
        made = "" if _exists(BLOCKS) else f"table inet {BLOCKS} {{\n{sets}{rules}}}\n"
        return f"{made}add element inet {BLOCKS} {SETS[network.version]} {{ {network}{ends} }}\n"

    def _named(self, domain: str) -> bool:
        text = self._text()
        return any(lines in text for lines in _both(domain))

    def _text(self) -> str:
        try:
            return self.hosts.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ConnectorError(f"{self.hosts}: {error.strerror}") from error

    def _write(self, action: Action) -> None:
        """Adds or takes out our two lines and nothing else; the file keeps its inode, owner and mode."""
        text = self._text()
        plain, joined = _both(action.target.value)
        if action.kind is Kind.UNBLOCK_INDICATOR:
            fresh = text.replace(joined, "", 1).replace(plain, "", 1)
        else:
            fresh = text + (plain if text.endswith("\n") or not text else joined)
        try:
            with self.hosts.open("r+b") as stream:
                stream.write(fresh.encode("utf-8", "surrogateescape"))
                stream.truncate()
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ConnectorError(f"{self.hosts}: {error.strerror}") from error


def _lines(domain: str, mark: str = "# perilune") -> str:
    return "".join(f"{address} {_domain(domain)} {mark}\n" for address in NOWHERE)


def _both(domain: str) -> tuple[str, str]:
    """Our lines, and as they are after a last line that had no end, which goes away with them."""
    return _lines(domain), "\n" + _lines(domain, "# perilune, joined")


def _families(addresses: Sequence[str]) -> tuple[list[str], list[str]]:
    networks = [ipaddress.ip_network(one, strict=False) for one in addresses]
    return [str(n) for n in networks if n.version == 4], [str(n) for n in networks if n.version == 6]


def _set(name: str, kind: str, elements: Sequence[str]) -> str:
    filled = f" elements = {{ {', '.join(elements)} }};" if elements else ""
    return f" set {name} {{ type {kind}; flags interval;{filled} }}\n"


def _isolation_chain(hook: str, side: str, four: bool, six: bool) -> str:
    device = "iif" if hook == "input" else "oif"
    rules = [f"type filter hook {hook} priority -300; policy drop;", f"{device} lo accept"]
    if four:
        rules += [f"ip {side} @management4 accept", "udp sport { 67, 68 } udp dport { 67, 68 } accept"]
    if six:
        rules += [f"ip6 {side} @management6 accept"]
        rules += ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-router-solicit } accept"]
    return f" chain {hook} {{\n" + "".join(f"  {rule}\n" for rule in rules) + " }"


def _block_rules(hook: str, version: int, name: str) -> str:
    family = "ip" if version == 4 else "ip6"
    sides = {"input": ("saddr",), "output": ("daddr",), "forward": ("saddr", "daddr")}[hook]
    return "".join(f"  {family} {side} @{name} counter drop\n" for side in sides)


def _unblock(action: Action) -> str:
    network = _network(action.target.value)
    return f"delete element inet {BLOCKS} {SETS[network.version]} {{ {network} }}\n"


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ConnectorError(f"{value!r} is no address") from error


def _domain(value: str) -> str:
    name = value.lower().rstrip(".")
    if not _DOMAIN.fullmatch(name):
        raise ConnectorError(f"{value!r} is no domain name")
    return name


def _blocked(value: str) -> bool:
    network = _network(value)
    wanted = {str(network), str(network.network_address)}
    for one in _listed(BLOCKS):
        if one.set and one.set.name == SETS[network.version]:
            return any(_element(element) in wanted for element in one.set.elem)
    return False


def _element(element: object) -> str:
    """`"1.2.3.4"`, a prefix, or either with its timeout, as nft's JSON has them."""
    value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return str(value)


def _drop_empty() -> None:
    """Takes our table away when nothing is blocked any more, so that nothing of ours stays."""
    sets = [one.set for one in _listed(BLOCKS) if one.set]
    if sets and not any(one.elem for one in sets):
        _nft(f"delete table inet {BLOCKS}\n")


def _exists(table: str) -> bool:
    return bool(_listed(table))


def _listed(table: str) -> list[_Entry]:
    """What is in a table of ours; nothing where there is none."""
    done = _run(["-j", "list", "table", "inet", table])
    if done.returncode != 0:
        if "No such file" in done.stderr:
            return []
        raise ConnectorError(f"nft: {done.stderr.strip()}")
    try:
        return plain.decode(done.stdout.encode(), _Listing).nftables
    except ValueError as error:
        raise ConnectorError(f"nft lists what is not understood: {error}") from error


def _nft(script: str) -> None:
    done = _run(["-f", "-"], script)
    if done.returncode != 0:
        raise ConnectorError(f"nft refused: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else '?'}")


def _run(arguments: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise ConnectorError("nft is not installed", hint="it is in the package nftables")
    try:
        return subprocess.run(  # noqa: S603 - our own program, arguments that are addresses, nothing through a shell
            [program, *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConnectorError(f"nft did not answer: {error}") from error
