"""The audit's state and rules, asked and changed by netlink as `auditctl` does."""

from __future__ import annotations

import errno
import os
import socket
import time

from perilune.errors import SensorError
from perilune.service.netlink import messages
from perilune.service.netlink.messages import Message, Status

_WAIT = 5.0  # seconds for an answer
_MOST_ANSWERS = 20_000


class Control:
    """One connection to the kernel's audit. Needs CAP_AUDIT_CONTROL."""

    def __init__(self) -> None:
        self._link = open_socket()
        self._sequence = 0

    def status(self) -> Status:
        for answer in self._ask(messages.GET):
            if answer.kind == messages.GET:
                return messages.parse_status(answer.data)
        raise SensorError("the kernel did not tell the audit's state")

    def enable(self, enabled: int) -> None:
        self._ask(messages.SET, messages.status_change(messages.ENABLED, enabled=enabled))

    def limit_backlog(self, records: int) -> None:
        self._ask(messages.SET, messages.status_change(messages.BACKLOG_LIMIT, backlog_limit=records))

    def add(self, rule: bytes) -> None:
        self._ask(messages.ADD_RULE, rule)

    def remove(self, rule: bytes) -> bool:
        """False where there is no such rule any more."""
        try:
            self._ask(messages.DELETE_RULE, rule)
        except FileNotFoundError:
            return False
        return True

    def rules(self) -> list[bytes]:
        """Every rule, as the kernel holds it."""
        answers = self._ask(messages.LIST_RULES, until=messages.DONE)
        return [answer.data for answer in answers if answer.kind == messages.LIST_RULES]

    def close(self) -> None:
        self._link.close()

    def _ask(self, kind: int, data: bytes = b"", *, until: int = messages.ERROR) -> list[Message]:
        """Sends a request and gathers what is answered, to the acknowledgement and to the message that ends it."""
        self._sequence += 1
        deadline = time.monotonic() + _WAIT
        found: list[Message] = []
        awaited = {until, messages.ERROR, *({messages.GET} if kind == messages.GET else ())}
        try:
            self._link.send(messages.request(kind, self._sequence, data))
            while awaited and len(found) < _MOST_ANSWERS:
                self._link.settimeout(max(0.01, deadline - time.monotonic()))
                for answer in messages.parse_messages(self._link.recv(1 << 16)):
                    if answer.sequence == self._sequence:
                        self._refuse(answer)
                        awaited.discard(answer.kind)
                        found.append(answer)
        except TimeoutError:
            raise SensorError("the kernel's audit does not answer") from None
        except FileNotFoundError:
            raise
        except OSError as error:
            raise refused(error) from None
        return found

    @staticmethod
    def _refuse(answer: Message) -> None:
        if answer.kind == messages.ERROR and answer.error:
            raise OSError(answer.error, os.strerror(answer.error))


def open_socket() -> socket.socket:
    """A socket of the audit's protocol. Raises SensorError where there is none."""
    if not hasattr(socket, "AF_NETLINK"):
        raise SensorError("only Linux has an audit that can be read here")
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, messages.PROTOCOL)
    except OSError as error:
        raise refused(error) from None


_REASONS = {
    errno.EPERM: ("the kernel refuses its audit to this process", "run as root, outside of a container"),
    errno.EACCES: ("the kernel refuses its audit to this process", "run as root, outside of a container"),
    errno.ECONNREFUSED: ("the audit is not for this namespace", "run on the host itself, not in a container"),
    errno.EPROTONOSUPPORT: ("this kernel has no audit", "it needs CONFIG_AUDIT and CONFIG_AUDITSYSCALL"),
    errno.EEXIST: ("such an audit rule is there already", "remove it with auditctl -d"),
    errno.EINVAL: ("the kernel does not know such an audit rule", "Linux 5.3 or newer is needed"),
}


def refused(error: OSError) -> SensorError:
    what, hint = _REASONS.get(error.errno or 0, (f"the kernel's audit answers: {error.strerror}", ""))
    return SensorError(what, hint=hint or None)
