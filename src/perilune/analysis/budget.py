"""How much may be looked at for one text. Counted in characters, not in seconds, so that a result repeats."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of an analysis.

    text    characters of one layer that are looked at; Windows allows 32,767 to a command line, Linux 131,072 to an
            argument, and the longest obfuscated scripts seen are below 400,000
    layers  decoded texts that are kept
    depth   decodings inside one another
    bytes   decoded in all, which bounds memory: a zip bomb ends here
    work    characters read in all, over every pass; at about 30 million a second it bounds the time
    """

    text: int = 1_000_000
    layers: int = 120
    depth: int = 16
    bytes: int = 8_000_000
    work: int = 60_000_000


@dataclass(slots=True)
class Budget:
    """What is left of the limits, and what was left out because of them."""

    limits: Limits = field(default_factory=Limits)
    work: int = 0
    bytes: int = 0
    cut: dict[str, None] = field(default_factory=dict)

    def spend(self, characters: int) -> bool:
        """Whether a pass over so many characters may still be made."""
        if self.work + characters > self.limits.work:
            self.cut["the budget of work was used up: later layers were not decoded further"] = None
            return False
        self.work += characters
        return True

    def room(self) -> int:
        """How many bytes may still be decoded."""
        return max(0, self.limits.bytes - self.bytes)

    def say(self, what: str) -> None:
        self.cut[what] = None
