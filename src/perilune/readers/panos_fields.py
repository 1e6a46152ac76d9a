"""The order of the fields of each PAN-OS log, as its published syslog field descriptions give it.

A log that is not here keeps its values by their positions.
"""

from __future__ import annotations

from collections.abc import Mapping

_HEAD = ("future_1", "receive_time", "serial", "type", "subtype", "future_2", "time_generated")
_SESSION = (
    *_HEAD, "source_ip", "dest_ip", "nat_source_ip", "nat_dest_ip", "rule_matched", "source_user", "dest_user", "app",
    "virtual_system", "from_zone", "to_zone", "inbound_if", "outbound_if", "log_action", "future_3", "session_id",
    "repeat_count", "source_port", "dest_port", "nat_source_port", "nat_dest_port", "flags", "protocol", "action",
)  # fmt: skip
_GROUPS = ("group_level_1", "group_level_2", "group_level_3", "group_level_4", "virtual_system_name", "log_source_name")

_TRAFFIC = (
    "bytes_total", "bytes_sent", "bytes_received", "packets", "start_time", "elapsed_time", "category", "future_4",
    "sequence", "action_flags", "source_location", "dest_location", "future_5", "packets_sent", "packets_received",
    "session_end_reason", *_GROUPS,
)  # fmt: skip
_THREAT = (
    "url", "threat", "category", "severity", "direction", "sequence", "action_flags", "source_location",
    "dest_location", "future_4", "content_type", "pcap_id", "file_digest", "cloud", "url_index", "user_agent",
    "file_type", "forwarded_for", "referer", "sender", "subject", "recipient", "report_id", *_GROUPS, "future_5",
    "source_vm", "dest_vm", "http_method",
)  # fmt: skip
_DECRYPTION = (
    "tunnel", "future_4", "future_5", "source_vm", "dest_vm", "rule_uuid", "client_stage", "server_stage",
    "tls_version", "key_exchange", "encryption", "hash", "policy_name", "elliptic_curve", "error_index", "root_status",
    "chain_status", "proxy_type", "certificate_serial", "fingerprint", "certificate_start", "certificate_end",
    "certificate_version", "certificate_size", "subject_length", "issuer_length", "root_length", "server_name_length",
    "certificate_flags", "certificate_subject", "certificate_issuer", "certificate_root", "server_name", "error",
)  # fmt: skip

SESSIONS: Mapping[str, tuple[str, ...]] = {
    "TRAFFIC": (*_SESSION, *_TRAFFIC),
    "THREAT": (*_SESSION, *_THREAT),
    "DECRYPTION": (*_SESSION, *_DECRYPTION),
}
"""Logs of which each line is about a connection."""

OTHERS: Mapping[str, tuple[str, ...]] = {
    "SYSTEM": (*_HEAD, "virtual_system", "event", "object", "future_3", "future_4", "module", "severity",
               "description", "sequence", "action_flags", *_GROUPS),
    "CONFIG": (*_HEAD, "admin_host", "virtual_system", "command", "user", "client", "result", "path", "before",
               "after", "sequence", "action_flags", *_GROUPS, "device_group", "comment"),
    "USERID": (*_HEAD, "virtual_system", "source_ip", "user", "data_source_name", "event_id", "repeat_count", "timeout",
               "source_port", "dest_port", "data_source", "data_source_type", "sequence", "action_flags", *_GROUPS,
               "virtual_system_id", "factor_type", "factor_time", "factor_number"),
    "GLOBALPROTECT": (*_HEAD, "virtual_system", "event", "stage", "authentication", "tunnel_type", "user",
                      "source_region", "machine_name", "public_ip", "public_ipv6", "private_ip", "private_ipv6",
                      "host_id", "client_serial", "client_version", "client_os", "client_os_version", "repeat_count",
                      "reason", "error", "description", "status", "location", "login_duration", "connect_method",
                      "error_code", "portal", "sequence", "action_flags"),
    "HIPMATCH": (*_HEAD, "user", "virtual_system", "machine_name", "client_os", "source_ip", "hip", "repeat_count",
                 "hip_type", "future_3", "future_4", "sequence", "action_flags", *_GROUPS),
    "IPTAG": (*_HEAD, "virtual_system", "source_ip", "tag", "event", "repeat_count", "timeout", "data_source_name",
              "data_source_type", "data_source_subtype", "sequence", "action_flags", *_GROUPS),
}  # fmt: skip
"""Logs that no table of ours describes: they are rows of XLogEvents with these names."""
