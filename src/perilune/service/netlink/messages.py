"""What goes over the audit's netlink socket: headers, its status, and a record as a line of `audit.log`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PROTOCOL = 9  # NETLINK_AUDIT
READLOG = 1  # the multicast group of the records, as a bit
REQUEST, ACKNOWLEDGE = 1, 4
ERROR, DONE = 2, 3
GET, SET, ADD_RULE, DELETE_RULE, LIST_RULES = 1000, 1001, 1011, 1012, 1013

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_STATUS = struct.Struct("=9I")  # to backlog; newer kernels add fields behind
_ERROR = struct.Struct("=i")
ENABLED, BACKLOG_LIMIT = 1, 16  # bits of the mask: what a SET sets


@dataclass(frozen=True, slots=True)
class Status:
    """The audit's state.

    enabled        0 off, 1 on, 2 on and locked until the next boot
    daemon         the process that the records go to; 0 for none
    backlog_limit  records that may wait for a reader
    lost           records that the kernel could not keep, since boot
    backlog        records that wait now
    """

    enabled: int
    daemon: int
    backlog_limit: int
    lost: int
    backlog: int


def parse_status(data: bytes) -> Status:
    """A status as the kernel sends it. Raises ValueError where it is too short."""
    if len(data) < 32:
        raise ValueError(f"a status of {len(data)} bytes")
    _, enabled, _, daemon, _, limit, lost, backlog, _ = _STATUS.unpack(data[: _STATUS.size].ljust(_STATUS.size, b"\0"))
    return Status(enabled, daemon, limit, lost, backlog)


def status_change(mask: int, *, enabled: int = 0, backlog_limit: int = 0) -> bytes:
    return _STATUS.pack(mask, enabled, 0, 0, 0, backlog_limit, 0, 0, 0)


def request(kind: int, sequence: int, data: bytes = b"") -> bytes:
    return _HEADER.pack(_HEADER.size + len(data), kind, REQUEST | ACKNOWLEDGE, sequence, 0) + data


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message."""

    kind: int
    sequence: int
    data: bytes

    @property
    def error(self) -> int:
        """The number of the error that it reports; 0 where it acknowledges."""
        return -_ERROR.unpack_from(self.data)[0] if len(self.data) >= _ERROR.size else 0


def parse_messages(datagram: bytes) -> Iterator[Message]:
    """The messages of one datagram. A length that cannot be ends it: the kernel's own records carry such."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, at)
        if not _HEADER.size <= length <= len(datagram) - at:
            length = len(datagram) - at
        yield Message(kind, sequence, datagram[at + _HEADER.size : at + length])
        at += (length + 3) & ~3


def line_of(datagram: bytes) -> str | None:
    """The record in a datagram of the log's group, as a line of `audit.log`; None where there is none.

    A record is a datagram by itself. The length in its header is not asked: kernels have written it in two ways.
    """
    if len(datagram) <= _HEADER.size:
        return None
    kind = _HEADER.unpack_from(datagram)[1]
    text = datagram[_HEADER.size :].rstrip(b"\0\n").decode("utf-8", "backslashreplace")
    if not text.startswith("audit("):
        return None
    return f"type={NAMES.get(kind, f'UNKNOWN[{kind}]')} msg={text}".replace("\n", " ").replace("\r", " ")


# Types by number, as linux/audit.h and the audit daemon name them
NAMES = {
    1006: "LOGIN", 1100: "USER_AUTH", 1101: "USER_ACCT", 1102: "USER_MGMT", 1103: "CRED_ACQ", 1104: "CRED_DISP",
    1105: "USER_START", 1106: "USER_END", 1107: "USER_AVC", 1108: "USER_CHAUTHTOK", 1109: "USER_ERR",
    1110: "CRED_REFR", 1111: "USYS_CONFIG", 1112: "USER_LOGIN", 1113: "USER_LOGOUT", 1114: "ADD_USER",
    1115: "DEL_USER", 1116: "ADD_GROUP", 1117: "DEL_GROUP", 1121: "TEST", 1122: "TRUSTED_APP", 1123: "USER_CMD",
    1124: "USER_TTY", 1125: "CHUSER_ID", 1127: "SYSTEM_BOOT", 1128: "SYSTEM_SHUTDOWN", 1129: "SYSTEM_RUNLEVEL",
    1130: "SERVICE_START", 1131: "SERVICE_STOP", 1132: "GRP_MGMT", 1133: "GRP_CHAUTHTOK", 1137: "SOFTWARE_UPDATE",
    1200: "DAEMON_START", 1201: "DAEMON_END", 1202: "DAEMON_ABORT", 1203: "DAEMON_CONFIG", 1300: "SYSCALL",
    1302: "PATH", 1303: "IPC", 1304: "SOCKETCALL", 1305: "CONFIG_CHANGE", 1306: "SOCKADDR", 1307: "CWD",
    1309: "EXECVE", 1311: "IPC_SET_PERM", 1312: "MQ_OPEN", 1313: "MQ_SENDRECV", 1314: "MQ_NOTIFY",
    1315: "MQ_GETSETATTR", 1316: "KERNEL_OTHER", 1317: "FD_PAIR", 1318: "OBJ_PID", 1319: "TTY", 1320: "EOE",
    1321: "BPRM_FCAPS", 1322: "CAPSET", 1323: "MMAP", 1324: "NETFILTER_PKT", 1325: "NETFILTER_CFG", 1326: "SECCOMP",
    1327: "PROCTITLE", 1328: "FEATURE_CHANGE", 1329: "REPLACE", 1330: "KERN_MODULE", 1331: "FANOTIFY",
    1332: "TIME_INJOFFSET", 1333: "TIME_ADJNTPVAL", 1334: "BPF", 1335: "EVENT_LISTENER", 1336: "URINGOP",
    1337: "OPENAT2", 1338: "DM_CTRL", 1339: "DM_EVENT", 1400: "AVC", 1401: "SELINUX_ERR", 1402: "AVC_PATH",
    1403: "MAC_POLICY_LOAD", 1404: "MAC_STATUS", 1405: "MAC_CONFIG_CHANGE", 1416: "MAC_UNLBL_STCADD",
    1417: "MAC_UNLBL_STCDEL", 1700: "ANOM_PROMISCUOUS", 1701: "ANOM_ABEND", 1702: "ANOM_LINK", 1703: "ANOM_CREAT",
    1800: "INTEGRITY_DATA", 1801: "INTEGRITY_METADATA", 1802: "INTEGRITY_STATUS", 1803: "INTEGRITY_HASH",
    1804: "INTEGRITY_PCR", 1805: "INTEGRITY_RULE", 2000: "KERNEL",
}  # fmt: skip
