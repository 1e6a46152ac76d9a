"""The audit's records as they come: the multicast group that any number of readers may join.

The kernel does not wait for its readers. What did not fit into this socket's buffer is counted, never passed over.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from dataclasses import dataclass
from pathlib import Path

from perilune.errors import SensorError
from perilune.service.netlink import messages
from perilune.service.netlink.control import open_socket, refused

BUFFER = 16 << 20  # bytes asked for; 2,000 program starts in a second need under 8 MiB
MOST_LINES = 4096  # of one `read`
_LONGEST = 1 << 16  # the kernel cuts records at 8,970 bytes
_SO_RCVBUFFORCE = 33
_DROPS, _INODE = 8, 9  # columns of /proc/net/netlink


@dataclass(frozen=True, slots=True)
class Losses:
    """What did not arrive.

    overruns     how often the kernel said that this reader's buffer was full
    dropped      records that did not fit into it; None where the kernel does not tell
    kernel_lost  records that the kernel lost before any reader, since the sensor began; with `audit=1` at boot and
                 no audit daemon it counts records that it could not keep for one, which this reader has had
    """

    overruns: int = 0
    dropped: int | None = 0
    kernel_lost: int = 0

    def __bool__(self) -> bool:
        return bool(self.overruns or self.dropped or self.kernel_lost)


class Reader:
    """Gives records as lines. `fileno` can be waited for with others; `read` never blocks longer than asked."""

    def __init__(self, buffer: int = BUFFER) -> None:
        self._link = open_socket()
        self._overruns = 0
        try:
            self._buffer(buffer)
            self._link.bind((0, messages.READLOG))
            self._link.setblocking(False)
        except OSError as error:
            self._link.close()
            raise refused(error) from None
        self._dropped_before = self._drops() or 0

    def _buffer(self, size: int) -> None:
        try:
            self._link.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except PermissionError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max allows
            self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    @property
    def buffer(self) -> int:
        """Bytes of the kernel's memory that may wait to be read."""
        return self._link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def fileno(self) -> int:
        return self._link.fileno()

    def read(self, timeout: float | None = 0) -> list[str]:
        """Lines that are there; waits so many seconds for the first, for ever with None. Never more than MOST_LINES."""
        if not select.select([self._link], [], [], timeout)[0]:
            return []
        lines: list[str] = []
        while len(lines) < MOST_LINES:
            try:
                line = messages.line_of(self._link.recv(_LONGEST))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise SensorError(f"the audit's records cannot be read any more: {error.strerror}") from None
                self._overruns += 1
                continue
            if line is not None:
                lines.append(line)
        return lines

    def losses(self) -> Losses:
        drops = self._drops()
        return Losses(self._overruns, None if drops is None else drops - self._dropped_before)

    def _drops(self) -> int | None:
        """Messages for this socket that found no room, as the kernel counts them."""
        try:
            rows = Path("/proc/net/netlink").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        inode = str(os.fstat(self._link.fileno()).st_ino)
        found = [row.split() for row in rows]
        counts = [int(row[_DROPS]) for row in found if len(row) > _INODE and row[_INODE] == inode]
        return counts[0] if counts else None

    def close(self) -> None:
        self._link.close()
