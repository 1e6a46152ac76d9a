"""The child's side of a test: becomes a session, a network and a user of its own, and then the shell that runs it.

Run as a program with nothing but the standard library. It tells its audit session on a pipe, or what failed.
"""

import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys

CLONE_NEWNET = 0x4000_0000
NO_NEW_PRIVILEGES = 38
SIOCSIFFLAGS, UP = 0x8914, 1
LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 60,
    resource.RLIMIT_FSIZE: 64 << 20,
    resource.RLIMIT_NOFILE: 512,
}
MOST_PROCESSES = 256


def main() -> None:
    """Takes one JSON object: `told` (the pipe), `login`, `user` (null for root), `folder`, `argv`, `environment`."""
    order = json.loads(sys.argv[1])
    told = order["told"]
    os.set_inheritable(told, False)
    try:
        session = _new_session(order["login"])
        _own_network()
        _limit(order["user"])
        os.chdir(order["folder"])
        if order["user"] is not None:
            _become(order["user"])
    except OSError as error:
        _tell(told, {"error": f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)})
        sys.exit(126)
    _tell(told, {"session": session})
    os.execve(order["argv"][0], order["argv"], order["environment"])  # noqa: S606  no shell but the test's own


def _tell(told: int, what: dict[str, object]) -> None:
    os.write(told, json.dumps(what).encode())


def _new_session(login: int) -> int:
    """A session of the audit, which everything that is started from here belongs to and cannot leave."""
    try:
        with open("/proc/self/loginuid", "w", encoding="ascii") as stream:  # noqa: PTH123  only what is needed is imported
            stream.write(str(login))
    except OSError as error:
        raise OSError(error.errno, error.strerror, "a session of its own (auditctl --loginuid-immutable?)") from None
    with open("/proc/self/sessionid", encoding="ascii") as stream:  # noqa: PTH123
        return int(stream.read())


def _own_network() -> None:
    """A network with nothing but its own loopback: no test reaches anybody."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "a network of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        fcntl.ioctl(link, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", UP))


def _limit(user: int | None) -> None:
    for which, most in LIMITS.items():
        resource.setrlimit(which, (most, most))
    if user is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (MOST_PROCESSES, MOST_PROCESSES))


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
