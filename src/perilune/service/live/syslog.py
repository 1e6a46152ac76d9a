"""Syslog over UDP, TCP and TLS (RFC 5424 and 3164; frames by count or by line) as a source.

What arrives is written to a journal, a message a line, and read from there as any syslog file. A message of several
lines has them as `#012`, as rsyslog writes them.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from perilune.errors import UsageError
from perilune.service.live.addresses import Address
from perilune.service.live.journal import Journal, JournalFull, JournalSource

MOST_MESSAGE = 1 << 20  # bytes; what is longer is cut, and counted
MOST_CLIENTS = 500
IDLE = 600.0  # seconds without a word after which a connection is closed
_DATAGRAM = 65_536
_BUFFER = 8 << 20  # of the kernel, for datagrams that come in bursts
_COUNT = re.compile(rb"([1-9]\d{0,7}) ")
_WAIT = 0.5
_LOST_FULL = "messages for which there was no room on disk"
_LOST_LONG = "messages longer than allowed, cut"


class SyslogSource(JournalSource):
    """Listens on a port."""

    def __init__(self, name: str, folder: Path, where: tuple[str, int], serve: Callable[[Listener], None]) -> None:
        super().__init__(name, folder, {"main": "syslog"})
        self._where = where
        self._serve = serve
        self._listener: Listener | None = None

    def start(self) -> None:
        super().start()
        self._listener = Listener(self, self._where, Journal(self.folder / "main"))
        self._serve(self._listener)

    @property
    def port(self) -> int:
        assert self._listener is not None
        return self._listener.port

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()


class Listener:
    """A socket, the threads that serve it, and the journal that they write to."""

    def __init__(self, source: JournalSource, where: tuple[str, int], journal: Journal) -> None:
        self.state, self.name = source.state, source.name
        self._where = where
        self._journal = journal
        self._ended = threading.Event()
        self._socket: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._clients = threading.Semaphore(MOST_CLIENTS)
        self.port = 0

    def bind(self, kind: socket.SocketKind) -> socket.socket:
        try:
            family = socket.getaddrinfo(*self._where, type=kind)[0][0]
            made = socket.socket(family, kind)
        except OSError as error:
            raise UsageError(f"{self.name}: cannot listen: {error.strerror or error}") from None
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(self._where)
        except OSError as error:
            made.close()
            raise UsageError(f"{self.name}: cannot listen: {error.strerror or error}") from None
        made.settimeout(_WAIT)
        self.port = made.getsockname()[1]
        self._socket = made
        return made

    def begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=self.name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(5)
        if self._socket is not None:
            self._socket.close()
        self._journal.close()

    # --- datagrams

    def receive(self) -> None:
        """Takes datagrams until the end, many in one write."""
        assert self._socket is not None
        before = _dropped(self.port)
        while not self._ended.is_set():
            with suppress(TimeoutError):
                messages = [self._socket.recv(_DATAGRAM)]
                self._socket.setblocking(False)
                with suppress(BlockingIOError):
                    while len(messages) < 1000:
                        messages.append(self._socket.recv(_DATAGRAM))
                self._socket.settimeout(_WAIT)
                try:
                    self._journal.append(b"".join(map(as_line, messages)))
                except JournalFull as error:  # a datagram cannot be asked to wait
                    self.state.problem = str(error)
                    self.state.lost[_LOST_FULL] += len(messages)
            now = _dropped(self.port)
            if now > before:
                self.state.lost["datagrams that came faster than they were read"] += now - before
                before = now

    # --- connections

    def accept(self, context: ssl.SSLContext | None) -> None:
        """Takes connections until the end, a thread for each."""
        assert self._socket is not None
        while not self._ended.is_set():
            if not self._clients.acquire(timeout=_WAIT):
                continue
            try:
                client, _ = self._socket.accept()
            except OSError:
                self._clients.release()
                continue
            threading.Thread(target=self._serve, args=(client, context), name=self.name, daemon=True).start()

    def _serve(self, client: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            client.settimeout(10)
            if context is not None:
                client = context.wrap_socket(client, server_side=True)
            client.settimeout(_WAIT)
            self._take(client)
        except ssl.SSLError:
            self.state.lost["connections that did not agree on TLS"] += 1
        except OSError:
            pass  # it went away
        finally:
            client.close()
            self._clients.release()

    def _take(self, client: socket.socket) -> None:
        frames, last = Frames(), time.monotonic()
        while not self._ended.is_set() and time.monotonic() - last < IDLE:
            try:
                data = client.recv(_DATAGRAM)
            except TimeoutError:
                continue
            last = time.monotonic()
            messages = frames.add(data) if data else frames.rest()
            if frames.cut:
                self.state.lost[_LOST_LONG] += frames.cut
                frames.cut = 0
            self._keep(messages)
            if not data:
                return

    def _keep(self, messages: list[bytes]) -> None:
        """Writes messages; while there is no room the sender waits, since nothing more is read."""
        lines = b"".join(map(as_line, messages))
        while lines and not self._ended.is_set():
            try:
                self._journal.append(lines)
                self.state.problem = ""
                return
            except JournalFull as error:
                self.state.problem = str(error)
                self._ended.wait(_WAIT)
        if lines:
            self.state.lost[_LOST_FULL] += len(messages)


class Frames:
    """Messages out of a stream of bytes: counted (`13 <34>1 …`) or one a line, each frame as it says itself."""

    def __init__(self) -> None:
        self._data = b""
        self.cut = 0

    def add(self, data: bytes) -> list[bytes]:
        """Takes bytes; gives the messages that are whole."""
        self._data += data
        found: list[bytes] = []
        while self._data:
            counted = _COUNT.match(self._data)
            if counted is not None:
                size = int(counted[1])
                if len(self._data) < counted.end() + size and len(self._data) < MOST_MESSAGE:
                    break
                message, self._data = self._split(counted.end(), size)
            else:
                end = self._data.find(b"\n")
                if end < 0 and len(self._data) < MOST_MESSAGE:
                    break
                message, self._data = self._split(0, end if end >= 0 else MOST_MESSAGE)
                self._data = self._data[1:] if end >= 0 else self._data
            found.append(message)
        return [message for message in found if message.strip()]

    def _split(self, start: int, size: int) -> tuple[bytes, bytes]:
        if size > MOST_MESSAGE or len(self._data) < start + size:
            self.cut += 1
        return self._data[start : start + min(size, MOST_MESSAGE)], self._data[start + size :]

    def rest(self) -> list[bytes]:
        """What is left when the sender closes: a last line without its end."""
        counted = _COUNT.match(self._data)
        rest, self._data = self._data[counted.end() if counted else 0 :], b""
        return [rest] if rest.strip() else []


def as_line(message: bytes) -> bytes:
    """A message as one line of a journal."""
    return message.rstrip(b"\r\n\0").replace(b"\n", b"#012") + b"\n"


def _dropped(port: int) -> int:
    """Datagrams that the kernel dropped because the socket's buffer was full."""
    ending = f":{port:04X}"
    total = 0
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(path).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(ending):
                    total += int(fields[-1])
    return total


def open_udp(address: Address) -> SyslogSource:
    """`syslog+udp://HOST:PORT`"""

    def serve(listener: Listener) -> None:
        made = listener.bind(socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        listener.begin(listener.receive)

    address.known()
    return SyslogSource(address.name, _folder(address), address.at(514), serve)


def open_tcp(address: Address) -> SyslogSource:
    """`syslog+tcp://HOST:PORT`"""
    address.known()
    return _streaming(address, address.at(601), None)


def open_tls(address: Address) -> SyslogSource:
    """`syslog+tls://HOST:PORT?certificate=FILE&key=FILE`, and `clients=FILE` for those whose certificates it signed."""
    return _streaming(address, address.at(6514), tls(address))


def _streaming(address: Address, where: tuple[str, int], context: ssl.SSLContext | None) -> SyslogSource:
    def serve(listener: Listener) -> None:
        listener.bind(socket.SOCK_STREAM).listen(64)
        listener.begin(lambda: listener.accept(context))

    return SyslogSource(address.name, _folder(address), where, serve)


def tls(address: Address, *more: str) -> ssl.SSLContext:
    """The server's side of TLS by an address's options."""
    address.known("certificate", "key", "clients", *more)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(address.option("certificate"), address.option("key") or None)
        if clients := address.option("clients"):
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        hint = "syslog+tls://…?certificate=server.pem&key=server.key"
        raise UsageError(f"{address.name}: the certificate cannot be used: {error}", hint=hint) from None
    return context


def _folder(address: Address) -> Path:
    return address.folder / "spool" / key(address)


def key(address: Address) -> str:
    """A folder's name for the journal of an address: what is behind the `?` does not count."""
    return re.sub(r"[^\w.-]+", "_", address.name.partition("?")[0])
