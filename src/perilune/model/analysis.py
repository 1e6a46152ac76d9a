"""What one text comes to: its layers, the commands in them, indicators, capabilities, and a score with reasons.

A span is `(layer, start, end)`: characters `start` to `end` of that layer's text. Every layer but the given text
has a span in its parent, every command, indicator and sign has one in the layer that it was found in; so whatever
the analysis says can be pointed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from perilune.model.rules import Level


class LayerState(StrEnum):
    WHOLE = "whole"
    PARTIAL = "partial"  # some of it decoded: cut by the budget, damaged, or bytes that are no text
    FAILED = "failed"  # it looked encoded, or was called so, and could not be decoded


@dataclass(frozen=True, slots=True)
class Layer:
    """A text and how it was won from the layer before it.

    number    its place in `Analysis.layers`; 0 is the text as given
    kind      the decoding (`base64`, `caret`), `argument` for code handed to an interpreter, or `given`
    parent    the number of the layer that it came from; None for the given text
    start     where it stood in the parent's text; a rewriting of the whole has the whole as its span
    language  what its text is written in, as far as known: `powershell`, `cmd`, `posix`, `lua`, … or ``
    binary    the text is bytes, one character each
    note      what is not visible in the text: why it failed, where it was cut, what the bytes are
    """

    number: int
    kind: str
    parent: int | None
    start: int
    end: int
    text: str
    language: str = ""
    state: LayerState = LayerState.WHOLE
    note: str = ""
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a layer and what it starts.

    image        the program as written, quotes and carets taken off
    interpreter  the name of its row in the table of interpreters, or ``
    technique    that row's ATT&CK technique
    arguments    after the program, as the program would get them
    by           what starts it: `given`, `;`, `|`, a wrapper's name, `$(…)`, …
    code         the layer of the code that it carries, if any
    inner        the commands that it starts: of a wrapper, a substitution, or its code
    """

    layer: int
    start: int
    end: int
    image: str
    interpreter: str = ""
    technique: str = ""
    arguments: tuple[str, ...] = ()
    by: str = "given"
    code: int | None = None
    inner: tuple[Command, ...] = ()


class IndicatorKind(StrEnum):
    URL = "url"
    DOMAIN = "domain"
    ONION = "onion"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    EMAIL = "email"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"
    PATH_WINDOWS = "path-windows"
    PATH_UNIX = "path-unix"
    PATH_MACOS = "path-macos"
    UNC = "unc"
    REGISTRY = "registry"
    WALLET = "wallet"
    USER_AGENT = "user-agent"
    CVE = "cve"
    MUTEX = "mutex"


class Scope(StrEnum):
    """Where an address or a name can lead. Those that lead nowhere outside are marked, never dropped."""

    PUBLIC = "public"
    PRIVATE = "private"  # RFC 1918, fc00::/7, link-local, .local, .internal, single names
    LOOPBACK = "loopback"
    RESERVED = "reserved"  # documentation, benchmarking, multicast, unspecified; example.com, .test, .invalid
    NONE = ""  # the question does not arise


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry of a list that an indicator stands on. `benign`: a warning list says that it is harmless or shared."""

    list: str
    entry: str
    benign: bool = False
    since: date | None = None
    age_days: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Indicator:
    """Something to look up or to block, as it stood in a layer.

    value     in its plain form: fanged, lower-case where case means nothing
    parent    for the domain or address of a URL, that URL
    """

    kind: IndicatorKind
    value: str
    layer: int
    start: int
    end: int
    defanged: bool = False
    scope: Scope = Scope.NONE
    parent: str = ""
    listings: tuple[Listing, ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """A stretch of a layer that shows a capability. `test` is the name of what recognised it."""

    layer: int
    start: int
    end: int
    text: str
    test: str


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that the text can do, and the signs of it. A negative `weight` speaks for harmlessness.

    `says`, where there is one, is the same as the rest of a sentence that begins with “It”, with the values found.
    """

    id: str
    title: str
    family: str
    techniques: tuple[str, ...]
    weight: float
    why: str
    signs: tuple[Sign, ...]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One summand of the score, in log-odds, and why in plain words. The prior is one of them."""

    odds: float
    text: str
    capability: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that one text says.

    layers    the given text first; a layer always comes after its parent
    commands  the top of the command tree
    score     0 to 100: how likely abuse is, given `reasons` only
    level     the score's band
    cut       what the budget left out, in words; empty when everything was looked at
    work      the budget that was used, in characters looked at
    """

    layers: tuple[Layer, ...]
    commands: tuple[Command, ...]
    indicators: tuple[Indicator, ...]
    capabilities: tuple[Capability, ...]
    reasons: tuple[Weighed, ...]
    score: int
    level: Level
    cut: tuple[str, ...] = ()
    work: int = 0

    @property
    def text(self) -> str:
        return self.layers[0].text

    @property
    def techniques(self) -> tuple[str, ...]:
        """Those of the interpreters and capabilities, each once."""
        found = [t for command in walk(self.commands) if (t := command.technique)]
        found += [t for capability in self.capabilities if capability.weight > 0 for t in capability.techniques]
        return tuple(dict.fromkeys(found))


def walk(commands: tuple[Command, ...]) -> list[Command]:
    """A command tree flattened, parents first."""
    found: list[Command] = []
    queue = list(reversed(commands))
    while queue:
        command = queue.pop()
        found.append(command)
        queue.extend(reversed(command.inner))
    return found
