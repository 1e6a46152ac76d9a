"""Everything that Perilune raises on purpose.

PeriluneError            shown to its user as one line, never as a traceback
├── UsageError           the caller asked for something that cannot be (exit code 2)
├── ReadError            a file cannot be read at all; the hunt goes on without it
├── RuleError            a rule cannot be evaluated; it is refused by name and the rest run
├── ContentError         a file of `content/` (mapping, list, pack) is wrong
├── StoreError           the case store cannot be opened, migrated or written
│   └── LostLease        another worker drives this run now; leave it to that one
├── ConnectorError       a product or host did not answer as it should; what was asked of it may have happened
└── TooLate              leave to act has ended since it was given: nothing more may be sent

A new class is added only where a caller would act differently.
"""

from __future__ import annotations


class PeriluneError(Exception):
    """Says what went wrong, where, and what to try."""

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        located = f"{self.where}: {self.what}" if self.where else self.what
        return f"{located} ({self.hint})" if self.hint else located


class UsageError(PeriluneError):
    pass


class ReadError(PeriluneError):
    pass


class RuleError(PeriluneError):
    pass


class ContentError(PeriluneError):
    pass


class StoreError(PeriluneError):
    pass


class LostLease(StoreError):
    pass


class SensorError(PeriluneError):
    pass


class ConnectorError(PeriluneError):
    pass


class TooLate(PeriluneError):
    pass
