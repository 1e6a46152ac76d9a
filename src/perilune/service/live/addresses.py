"""What a source is called on the command line -> the source. A kind is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from perilune.errors import UsageError
from perilune.service.live.sources import Source

# scheme -> (module:function, an example). The function takes an Address and gives a source.
SCHEMES = {
    "file": ("tail:open_path", "file:/var/log/audit/audit.log, or just the path; a folder too"),
    "audit": ("audit:open_audit", "audit:"),
    "syslog+udp": ("syslog:open_udp", "syslog+udp://127.0.0.1:5514"),
    "syslog+tcp": ("syslog:open_tcp", "syslog+tcp://127.0.0.1:5514"),
    "syslog+tls": ("syslog:open_tls", "syslog+tls://0.0.0.0:6514?certificate=server.pem&key=server.key"),
    "http": ("web:open_http", "http://127.0.0.1:8088"),
    "https": ("web:open_https", "https://0.0.0.0:8088?certificate=server.pem&key=server.key"),
    "kafka": ("kafka:open_kafka", "kafka://broker:9092/topic"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A source as it was given, and what all sources of a watcher share.

    name      as given
    folder    the lake's, where what comes in once is kept until it is in the lake
    once      what is there is read to its end, and nothing is waited for
    at_end    a file that was never read is begun at its end
    """

    name: str
    folder: Path
    once: bool = False
    at_end: bool = False

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.name)

    @property
    def path(self) -> Path:
        return Path(self.name.removeprefix("file://").removeprefix("file:")).expanduser().absolute()

    def option(self, name: str) -> str:
        """An option behind the `?`, or nothing."""
        return parse_qs(self.parts.query).get(name, [""])[-1]

    def known(self, *options: str) -> None:
        """Refuses an option that the source does not have: a word misspelt must not open a port to all."""
        if wrong := sorted(set(parse_qs(self.parts.query, keep_blank_values=True)) - set(options)):
            raise UsageError(f"{self.name}: there is no option {wrong[0]!r}", hint=f"there are: {', '.join(options)}")

    def at(self, port: int) -> tuple[str, int]:
        """Where to listen; this machine alone where no host is named."""
        try:
            return self.parts.hostname or "127.0.0.1", self.parts.port or port
        except ValueError as error:
            raise UsageError(f"{self.name}: {error}") from None


def open_source(address: Address) -> Source:
    """The source that an address names."""
    scheme = address.name.partition(":")[0].lower() if ":" in address.name else "file"
    if scheme not in SCHEMES:
        if Path(address.name).exists():
            scheme = "file"
        else:
            examples = "; ".join(example for _, example in SCHEMES.values())
            raise UsageError(f"there is no kind of source {scheme!r}", hint=examples)
    module, _, name = SCHEMES[scheme][0].partition(":")
    make: Callable[[Address], Source] = getattr(import_module(f"perilune.service.live.{module}"), name)
    return make(address)
