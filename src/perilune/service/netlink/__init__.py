"""Records of this machine's kernel audit, read live by netlink; no further package is needed.

`record` is the whole of it: it switches the audit on, adds its rules, gives the records as lines that the auditd reader
takes, counts what was lost, and leaves the audit as it was. A `Reader` alone listens to what others have ordered.
"""

from perilune.service.netlink.reader import Losses, Reader
from perilune.service.netlink.recording import Recording, record
from perilune.service.netlink.rules import Rule, connections, creations, executions

__all__ = ["Losses", "Reader", "Recording", "Rule", "connections", "creations", "executions", "record"]
