"""One function for each kind of question: facts in, an answer with its evidence out.

A function says no only where the source that would show the contrary was read for that host and time.
"""

from perilune.triage.answering import containment, host, logs, network, topics, usual
from perilune.triage.answering.registry import ANSWERERS

__all__ = ["ANSWERERS", "containment", "host", "logs", "network", "topics", "usual"]
