"""The `linux` connector on other hosts, over SSH: the same code, sent along with each question, answers there.

A host is spoken to only where its key stands in the file of pinned keys; there is no first use that trusts. What comes
back is not trusted either: bounded in size and time, decoded strictly, and no more than an answer to the one question.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from perilune.connectors.linux import Linux, plain
from perilune.connectors.linux.far import STATE, Question, Reply
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Action, Endpoint, Kind, Observation, Outcome, Receipt, Request, TargetType
from perilune.ports import look_again

Client = Any  # paramiko's own, which has no types
MAX_REPLY = 1 << 20
MAX_TEXT = 2000
PATIENCE = 60.0
LONGEST = 180.0  # an act may take so long: a tree is ended until nobody of it is left
# Reads so many bytes of code into memory, then the question; nothing of either stands in an argument.
_BEGIN = (
    "import os,sys;i=sys.stdin.buffer;n=int(i.readline());f=os.memfd_create('perilune');d=i.read(n);"
    "assert len(d)==n;os.write(f,d);sys.path.insert(0,'/proc/self/fd/%d'%f);"
    "from perilune.connectors.linux.far import main;main(i,sys.stdout.buffer)"
)
_SHIPPED = (
    "errors.py", "ports.py", "model/__init__.py", "model/actions.py", "model/sources.py", "connectors/__init__.py",
    "connectors/tools.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How hosts are reached.

    pinned     a file of host keys as OpenSSH writes it (known_hosts)
    key        a private key that only its owner may read; without one the agent is asked
    addresses  where a host is not reached by its own name: `name -> address` or `address:port`
    """

    user: str
    pinned: Path
    key: Path | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    sudo: bool = False
    state: str = STATE
    python: str = "python3"

    def place(self, host: str) -> tuple[str, int]:
        address = self.addresses.get(host.lower(), host)
        name, sign, port = address.rpartition(":")
        if sign and port.isdecimal() and ":" not in name:
            return name, int(port)
        return address, 22

    @property
    def command(self) -> str:
        """Fixed but for settings of this program's owner: nothing of a case stands in it."""
        if not re.fullmatch(r"[A-Za-z0-9_./-]+", self.python):
            raise UsageError(f"{self.python!r} is no program")
        run = f'{self.python} -I -c "{_BEGIN}"'
        return f'sudo -n SSH_CONNECTION="$SSH_CONNECTION" {run}' if self.sudo else run


@dataclass(slots=True)
class Ssh:
    """The connector."""

    way: Way
    management: tuple[str, ...] = ()
    name: str = "ssh"
    handles: frozenset[tuple[Kind, TargetType]] = field(default_factory=lambda: Linux(Path(STATE)).handles)

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        """The host, if it itself says that this is its name; none where no key of it is pinned."""
        if not self._is_pinned(host):
            return []
        return [replace(one, name=host) for one in self._ask(host, Question("endpoints", host=host)).endpoints[:10]]

    def describe(self, action: Action) -> Sequence[Request]:
        """Without asking the host: what the code there would do."""
        place, port = self.way.place(_host(action))
        known = Linux(Path(self.way.state), self.management)
        with suppress(ConnectorError):
            return [replace(one, what=f"on {place}:{port}: {one.what}") for one in known.describe(action)]
        return [Request(f"on {place}:{port}: {action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        found = self._ask(_host(action), Question("check", action=action)).observation
        if found is None:
            raise ConnectorError("the host answered something else", where=_host(action))
        return Observation(found.state, found.detail[:MAX_TEXT])

    def act(self, action: Action, key: str) -> Receipt:
        found = self._ask(_host(action), Question("act", action=action, key=key), look_again).receipt
        if found is None:
            raise ConnectorError("the host answered something else", where=_host(action))
        if found.confirmed or found.outcome is Outcome.ALREADY:
            raise ConnectorError("the host claims what only a check can show", where=_host(action))
        return Receipt(found.outcome, found.detail[:MAX_TEXT], found.reference[:MAX_TEXT])

    def _ask(self, host: str, question: Question, before: Callable[[], None] = lambda: None) -> Reply:
        given = replace(question, state=self.way.state, management=self.management)
        code = shipped()
        with self._connected(host) as client:
            channel = _channel(client)
            channel.settimeout(LONGEST if question.call == "act" else PATIENCE)
            channel.exec_command(self.way.command)
            before()
            return _exchanged(channel, b"%d\n%b%b" % (len(code), code, plain.encode(given)), host)

    def _connected(self, host: str) -> Client:
        paramiko = load_paramiko()
        address, port = self.way.place(host)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.load_host_keys(str(_owned(self.way.pinned)))
            client.connect(
                address,
                port,
                self.way.user,
                key_filename=str(_private(self.way.key)) if self.way.key else None,
                allow_agent=self.way.key is None,
                look_for_keys=False,
                timeout=PATIENCE,
                banner_timeout=PATIENCE,
                auth_timeout=PATIENCE,
            )
        except paramiko.BadHostKeyException as error:
            client.close()
            hint = "somebody else may answer there: nothing was sent"
            raise ConnectorError("its host key is not the pinned one", where=f"{address}:{port}", hint=hint) from error
        except (paramiko.SSHException, OSError) as error:
            client.close()
            raise ConnectorError(f"no connection: {error}", where=f"{address}:{port}") from error
        return client

    def _is_pinned(self, host: str) -> bool:
        paramiko = load_paramiko()
        address, port = self.way.place(host)
        keys = paramiko.HostKeys(str(_owned(self.way.pinned)))
        return keys.lookup(address if port == 22 else f"[{address}]:{port}") is not None


def load_paramiko() -> Any:
    try:
        import paramiko
    except ImportError as error:  # pragma: no cover - the extra is not installed
        raise UsageError("SSH is not installed", hint="pip install 'perilune[ssh]'") from error
    return paramiko


@cache
def shipped() -> bytes:
    """The code that runs there, as a zip file: this folder, and the few modules that it needs."""
    package = files("perilune")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("perilune/__init__.py", "")
        for name in _SHIPPED:
            archive.writestr(f"perilune/{name}", (package / name).read_bytes())
        for one in (package / "connectors" / "linux").iterdir():
            if one.name.endswith(".py") and one.name != "ssh.py":
                archive.writestr(f"perilune/connectors/linux/{one.name}", one.read_bytes())
    return out.getvalue()


def _channel(client: Client) -> Any:
    transport = client.get_transport()
    assert transport is not None
    return transport.open_session(timeout=PATIENCE)


def _exchanged(channel: Any, given: bytes, host: str) -> Reply:
    """Everything is written, then one bounded answer read. Whatever is wrong with it: nobody knows what happened."""
    try:
        channel.sendall(given)
        channel.shutdown_write()
        data = b""
        while len(data) <= MAX_REPLY and (part := channel.recv(65536)):
            data += part
        if len(data) > MAX_REPLY:
            raise ConnectorError(f"the host answers more than {MAX_REPLY:,} bytes", where=host)
        said = channel.makefile_stderr("rb").read(2000).decode("utf-8", "replace") if not data else ""
    except OSError as error:
        raise ConnectorError(f"the connection broke: {error or type(error).__name__}", where=host) from error
    if not data:
        hint = "it needs Python 3.11, root (or sudo without a password), Linux 5.14"
        raise ConnectorError(f"the host did not answer: {said.strip()[-300:]}", where=host, hint=hint)
    try:
        reply = plain.decode(data, Reply)
    except ValueError as error:
        raise ConnectorError(f"the host answered what is no answer: {error}", where=host) from error
    if reply.error:
        raise ConnectorError(reply.error[:MAX_TEXT], where=host)
    return reply


def _host(action: Action) -> str:
    host = action.target.value if action.target.type is TargetType.HOST else action.target.host
    if not host:
        raise ConnectorError("the action names no host", where=action.target.words)
    return host


def _private(path: Path) -> Path:
    """A key that others may read is no secret."""
    found = path.expanduser()
    try:
        mode = found.stat().st_mode
    except OSError as error:
        raise UsageError(f"the key cannot be read: {error.strerror}", where=str(found)) from error
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError("the key may be read by others", where=str(found), hint=f"chmod 600 {found}")
    return found


def _owned(path: Path) -> Path:
    """Pinned keys that others may write pin nothing."""
    found = path.expanduser()
    try:
        mode = found.stat().st_mode
    except OSError as error:
        hint = "ssh-keyscan HOST, compare the fingerprint with the host's own, then keep it there"
        raise UsageError(
            f"the file of pinned host keys cannot be read: {error.strerror}", where=str(found), hint=hint
        ) from error
    if stat.S_IMODE(mode) & 0o022:
        raise UsageError("others may write the pinned host keys", where=str(found), hint=f"chmod 644 {found}")
    return found
