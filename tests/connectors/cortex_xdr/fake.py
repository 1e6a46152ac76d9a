"""The part of the Cortex XDR public API that is used: its envelope, filters, signatures, states and words.

What the documentation does not allow is written down in `vendor.wrong`, and fails the test. Not a test itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

from tests.connectors.vendor import Asked, Lines, Reply, Vendor

STATUSES = {
    "new", "under_investigation", "resolved_threat_handled", "resolved_known_issue", "resolved_duplicate",
    "resolved_false_positive", "resolved_auto", "resolved_true_positive", "resolved_security_testing", "resolved_other",
}  # fmt: skip
SECRET = "k3y-v4lue"


def refused(code: int, text: str) -> Reply:
    return code, {"reply": {"err_code": code, "err_msg": text, "err_extra": None}}


class Fake:
    """The part of the public API that is used: its envelope, filters, signatures, states."""

    def __init__(self) -> None:
        self.endpoints = [
            self._made("e1", "web-01", "AGENT_TYPE_WORKSTATION"),
            self._made("e2", "srv", "AGENT_TYPE_SERVER"),
        ]
        self.quarantined: set[tuple[str, str, str]] = set()
        self.nonces: set[str] = set()
        self.blocked: set[str] = set()
        self.allowed: set[str] = set()
        self.forgetful = False
        self.processes: list[dict[str, Any]] = []
        self.ended: set[str] = set()
        self.actions: dict[int, str] = {}
        self.pending = 0
        self.answer_as = "SUCCESS"
        self.rows: list[dict[str, Any]] = []
        self.cut = 0
        self.queries: dict[str, tuple[str, dict[str, int]]] = {}
        self.library = {"uid-1": {"pid", "started"}}
        self.incidents = {"12": "new"}
        self.closed: dict[str, str] = {}
        self.vendor = Vendor(self.answer)

    def _made(self, id_: str, name: str, kind: str) -> dict[str, object]:
        return {
            "endpoint_id": id_, "endpoint_name": name, "endpoint_type": kind, "endpoint_status": "CONNECTED",
            "is_isolated": "AGENT_UNISOLATED", "os_type": "AGENT_OS_LINUX",
        }  # fmt: skip

    def answer(self, asked: Asked) -> Reply:
        if (why := self._unsigned(asked)) is not None:
            return refused(401, why)
        found = re.fullmatch(r"/public_api/v1/([a-z_/]+)/", asked.path)
        body = asked.json()
        json_body = asked.headers.get("content-type") == "application/json"
        if asked.method != "POST" or found is None or set(body) != {"request_data"} or not json_body:
            self.vendor.wrong.append(f"not documented: {asked.method} {asked.path}")
            return refused(404, "not found")
        handler = getattr(self, "do_" + found[1].replace("/", "_"), None)
        if handler is None:
            self.vendor.wrong.append(f"not documented: {found[1]}")
            return refused(404, "not found")
        reply: Reply = handler(body["request_data"])
        return reply

    def _unsigned(self, asked: Asked) -> str | None:
        stamp, nonce = asked.headers.get("x-xdr-timestamp", "0"), asked.headers.get("x-xdr-nonce", "")
        wanted = hashlib.sha256(f"{SECRET}{nonce}{stamp}".encode()).hexdigest()
        if asked.headers.get("x-xdr-auth-id") != "7" or asked.headers.get("authorization") != wanted:
            return "Public API request unauthorized"
        if nonce in self.nonces or not re.fullmatch(r"[A-Za-z0-9]{64}", nonce):
            self.vendor.wrong.append("the nonce was used before, or is no nonce")
        self.nonces.add(nonce)
        return None if abs(time.time() * 1000 - int(stamp)) < 60_000 else "the clock is off"

    def do_endpoints_get_endpoint(self, data: dict[str, object]) -> Reply:
        filters = data["filters"]
        assert isinstance(filters, list)
        if filters[0]["field"] != "hostname" or int(str(data["search_to"])) - int(str(data["search_from"])) > 100:
            self.vendor.wrong.append(f"not allowed: {data}")
        names = filters[0]["value"]
        found = [one for one in self.endpoints if one["endpoint_name"] in names]
        page = found[int(str(data["search_from"])) : int(str(data["search_to"]))]
        return 200, {"reply": {"total_count": len(found), "result_count": len(page), "endpoints": page}}

    def do_endpoints_isolate(self, data: dict[str, object]) -> Reply:
        return self._isolation(data, "AGENT_PENDING_ISOLATION")

    def do_endpoints_unisolate(self, data: dict[str, object]) -> Reply:
        return self._isolation(data, "AGENT_PENDING_ISOLATION_CANCELLATION")

    def _isolation(self, data: dict[str, object], state: str) -> Reply:
        if not set(data) <= {"endpoint_id", "incident_id"} or "endpoint_id" not in data:
            self.vendor.wrong.append(f"not allowed: {data}")
            return refused(400, "both or neither of endpoint_id and filters")
        next(one for one in self.endpoints if one["endpoint_id"] == data["endpoint_id"])["is_isolated"] = state
        return 200, {"reply": {"action_id": 90, "status": 1, "endpoints_count": 1}}

    def settle(self) -> None:
        for one in self.endpoints:
            ends = {
                "AGENT_PENDING_ISOLATION": "AGENT_ISOLATED",
                "AGENT_PENDING_ISOLATION_CANCELLATION": "AGENT_UNISOLATED",
            }
            one["is_isolated"] = ends.get(str(one["is_isolated"]), one["is_isolated"])

    def do_endpoints_quarantine(self, data: dict[str, object]) -> Reply:
        filters = data.get("filters")
        good = isinstance(filters, list) and set(data) == {"filters", "file_path", "file_hash"}
        if not good or not re.fullmatch(r"[0-9a-f]{64}", str(data["file_hash"])):
            self.vendor.wrong.append(f"not allowed: {data}")
            return refused(400, "bad request")
        assert isinstance(filters, list)
        self.quarantined.add((filters[0]["value"][0], str(data["file_path"]), str(data["file_hash"])))
        return 200, {"reply": {"action_id": 91, "status": 1, "endpoints_count": 1}}

    def do_endpoints_restore(self, data: dict[str, object]) -> Reply:
        self.quarantined = {one for one in self.quarantined if one[2] != data["file_hash"]}
        return 200, {"reply": {"action_id": 92, "status": 1, "endpoints_count": 1}}

    def do_quarantine_status(self, data: dict[str, object]) -> Reply:
        files = data["files"]
        assert isinstance(files, list)
        return 200, {
            "reply": [
                one | {"status": (one["endpoint_id"], one["file_path"], one["file_hash"]) in self.quarantined}
                for one in files
            ]
        }

    def _wrong(self, data: object) -> Reply:
        self.vendor.wrong.append(f"not allowed: {data}")
        return refused(400, "bad request")

    def do_hash_exceptions_blocklist(self, data: dict[str, Any]) -> Reply:
        known = {"hash_list", "comment", "incident_id", "detailed_response"}
        hashes = data.get("hash_list")
        if not set(data) <= known or not hashes or any(not re.fullmatch(r"[0-9a-f]{64}", one) for one in hashes):
            return self._wrong(data)
        if set(hashes) <= self.blocked | self.allowed:
            body = {"err_code": 500, "err_msg": "An error occurred while processing XDR public API"}
            return 500, {"reply": body | {"err_extra": "All hashes have already been added to the allow or block list"}}
        if not self.forgetful:
            self.blocked |= set(hashes)
        return 200, {"reply": True}

    def do_hash_exceptions_blocklist_remove(self, data: dict[str, Any]) -> Reply:
        if not set(data) <= {"hash_list", "comment", "incident_id"} or not data.get("hash_list"):
            return self._wrong(data)
        self.blocked -= set(data["hash_list"])
        return 200, {"reply": True}

    def do_xql_start_xql_query(self, data: dict[str, Any]) -> Reply:
        frame = data.get("timeframe", {})
        if (
            set(data) != {"query", "tenants", "timeframe"}
            or set(frame) != {"from", "to"}
            or frame["to"] <= frame["from"]
        ):
            return self._wrong(data)
        name = f"q{len(self.queries)}_inv"
        self.queries[name] = (data["query"], frame)
        return 200, {"reply": name}

    def do_xql_get_query_results(self, data: dict[str, Any]) -> Reply:
        allowed = {"query_id", "pending_flag", "limit", "format"}
        if set(data) != allowed or data["format"] != "json" or not 1 <= data["limit"] <= 1000:
            return self._wrong(data)
        if self.pending:
            self.pending -= 1
            return 200, {"reply": {"status": "PENDING"}}
        if self.answer_as != "SUCCESS":
            return 200, {"reply": {"status": self.answer_as}}
        found = self._found(*self.queries[data["query_id"]])
        kept = found[: len(found) - self.cut]
        results: dict[str, Any] = {"data": kept} if len(found) <= 1000 else {"stream_id": data["query_id"]}
        return 200, {"reply": {"status": "SUCCESS", "number_of_results": len(found), "results": results}}

    def do_xql_get_query_results_stream(self, data: dict[str, Any]) -> Reply:
        if set(data) != {"stream_id", "is_gzip_compressed"} or data["is_gzip_compressed"] is not False:
            return self._wrong(data)
        found = self._found(*self.queries[data["stream_id"]])
        return 200, Lines([json.dumps(one) for one in found[: len(found) - self.cut]])

    def _found(self, query: str, frame: dict[str, int]) -> list[dict[str, Any]]:
        """As much of the language as is asked: a table cut at its limit, or the processes."""
        if pid := re.search(r"action_process_os_pid = (\d+)", query):
            return [one for one in self.processes if one["action_process_os_pid"] == int(pid[1])]
        if stopped := re.search(r'action_process_instance_id = "([^"]+)"', query):
            return [{"x": 1}] if stopped[1] in self.ended else []
        limit = re.search(r"limit (\d+)", query)
        rows = [one for one in self.rows if frame["from"] <= one["_time"] < frame["to"]]
        return rows[: int(limit[1])] if limit else rows

    def do_endpoints_terminate_process(self, data: dict[str, Any]) -> Reply:
        return self._terminate(data, "instance_id")

    def do_endpoints_terminate_causality(self, data: dict[str, Any]) -> Reply:
        return self._terminate(data, "causality_id")

    def _terminate(self, data: dict[str, Any], name: str) -> Reply:
        allowed = {"agent_id", name, "process_name", "incident_id"}
        if not {"agent_id", name} <= set(data) <= allowed or not data[name]:
            return self._wrong(data)
        number = 700 + len(self.actions)
        self.actions[number] = "PENDING"
        return 200, {"reply": {"group_action_id": number}}

    def do_actions_get_action_status(self, data: dict[str, Any]) -> Reply:
        if set(data) != {"group_action_id"} or not isinstance(data["group_action_id"], int):
            return self._wrong(data)
        return 200, {"reply": {"data": {"e1": self.actions[data["group_action_id"]]}}}

    def do_scripts_run_script(self, data: dict[str, Any]) -> Reply:
        required = {"filters", "script_uid", "timeout"}
        good = required <= set(data) <= required | {"parameters_values", "incident_id"}
        if not good or data["filters"][0]["field"] != "endpoint_id_list" or data["script_uid"] not in self.library:
            return self._wrong(data)
        if set(data.get("parameters_values", {})) != self.library[data["script_uid"]]:
            return refused(400, "the script takes other parameters")
        self.actions[800] = "PENDING"
        return 200, {"reply": {"action_id": 800, "status": 1, "endpoints_count": 1}}

    def do_scripts_get_script_execution_status(self, data: dict[str, Any]) -> Reply:
        return 200, {"reply": {"general_status": self.actions[data["action_id"]]}}

    def do_scripts_get_script_execution_results(self, data: dict[str, Any]) -> Reply:
        ran = {"endpoint_id": "e1", "execution_status": self.actions[data["action_id"]], "standard_output": "ended"}
        return 200, {"reply": {"script_name": "end", "results": [ran]}}

    def do_alerts_update_alerts(self, data: dict[str, Any]) -> Reply:
        update = data.get("update_data", {})
        if set(data) != {"alert_id_list", "update_data"} or not set(update) <= {"status", "severity", "comment"}:
            return self._wrong(data)
        if update.get("status") not in STATUSES:
            return self._wrong(data)
        self.closed |= dict.fromkeys(data["alert_id_list"], update["status"])
        return 200, {"reply": {"alerts_ids": data["alert_id_list"]}}

    def do_incidents_update_incident(self, data: dict[str, Any]) -> Reply:
        update = data.get("update_data", {})
        known = {"status", "resolve_comment", "manual_severity", "assigned_user_mail"}
        if set(data) != {"incident_id", "update_data"} or not set(update) <= known or update["status"] not in STATUSES:
            return self._wrong(data)
        self.incidents[data["incident_id"]] = update["status"]
        return 200, {"reply": True}

    def do_incidents_get_incidents(self, data: dict[str, Any]) -> Reply:
        chosen = data["filters"][0]
        if chosen["field"] != "incident_id_list" or data["search_to"] - data["search_from"] > 100:
            return self._wrong(data)
        found = [
            {"incident_id": one, "status": self.incidents[one]} for one in chosen["value"] if one in self.incidents
        ]
        return 200, {"reply": {"total_count": len(found), "incidents": found}}
