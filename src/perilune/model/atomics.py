"""Atomic tests: small harmless things done on purpose, to see whether they are recorded and found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a test needs, and a command that ends with 0 where it is there."""

    description: str
    check: str


@dataclass(frozen=True, slots=True)
class Atomic:
    """One test, as the Atomic Red Team format tells it, its arguments filled in.

    number       its place among the tests of its technique, from 1
    executor     `sh` or `bash`, which runs `command` and `cleanup`
    elevation    whether it has to run as root
    checker      the executor of the dependencies' checks
    source       file and line
    """

    technique: str
    number: int
    name: str
    guid: str
    description: str
    platforms: tuple[str, ...]
    executor: str
    command: str
    cleanup: str = ""
    elevation: bool = False
    dependencies: tuple[Dependency, ...] = ()
    checker: str = "sh"
    source: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """As atomic tests are called elsewhere: technique and place."""
        return f"{self.technique}-{self.number}"
