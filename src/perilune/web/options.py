"""Where the console listens, and the refusal to listen in the open."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from perilune.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """`public`: the https address at which a reverse proxy shows the console; `proxy`: where it connects from.

    upload_most: bytes of the files that are uploaded at once
    """

    host: str = "127.0.0.1"
    port: int = 8059
    certificate: Path | None = None
    key: Path | None = None
    public: str = ""
    proxy: str = "127.0.0.1"
    upload_most: int = 200_000_000

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.certificate is not None or bool(self.public)

    @property
    def names(self) -> frozenset[str]:
        """The host names that requests may be for; empty where TLS proves the name. It ends DNS rebinding."""
        if self.public:
            return frozenset({str(urlsplit(self.public).hostname)})
        return frozenset() if self.certificate else frozenset({"127.0.0.1", "localhost", "::1"})

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public or f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def check(options: Options) -> Options:
    """The options, if passwords and cases would not travel in the open."""
    if (options.certificate is None) != (options.key is None):
        raise UsageError("a certificate and its key come together", hint="give --tls-certificate and --tls-key")
    for path in (options.certificate, options.key):
        if path is not None and not path.is_file():
            raise UsageError("there is no such file", where=str(path))
    if options.public:
        _check_public(options.public)
    if not (_is_loopback(options.host) or options.secure):
        raise UsageError(
            f"{options.host} is not this machine alone, and the console would be served there without TLS",
            hint="give --tls-certificate and --tls-key, or --public-url https://NAME where a reverse proxy adds TLS",
        )
    return options


def _check_public(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise UsageError("a public address looks like https://console.example.org", where=url[:200])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
