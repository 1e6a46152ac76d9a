"""The part of Defender's API that is used, after learn.microsoft.com: paths, required properties, value sets, states.

What the documentation does not allow is written down in `vendor.wrong`, and fails the test. Not a test itself.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.connectors.vendor import Asked, Reply, Vendor

SECRET = "s3cr3t-v4lue"
MACHINES = [
    {"id": "m1", "computerDnsName": "web-01.corp.example", "osPlatform": "Windows11", "healthStatus": "Active"},
    {"id": "m2", "computerDnsName": "web-011.corp.example", "osPlatform": "Windows11", "healthStatus": "Active"},
    {"id": "m3", "computerDnsName": "dup", "osPlatform": "Linux", "healthStatus": "Active"},
    {"id": "m4", "computerDnsName": "dup", "osPlatform": "Linux", "healthStatus": "Active"},
    {"id": "m5", "computerDnsName": "srv", "osPlatform": "WindowsServer2022", "healthStatus": "Inactive"},
]
WORDS = {
    "isolate": "Isolate",
    "unisolate": "Unisolate",
    "collectInvestigationPackage": "CollectInvestigationPackage",
    "restrictCodeExecution": "RestrictCodeExecution",
    "unrestrictCodeExecution": "UnrestrictCodeExecution",
    "StopAndQuarantineFile": "StopAndQuarantineFile",
    "runliveresponse": "LiveResponse",
}
MORE = {"isolate": {"IsolationType"}, "StopAndQuarantineFile": {"Sha1"}, "runliveresponse": {"Commands"}}
TYPES = {"FileSha1", "FileMd5", "FileSha256", "IpAddress", "DomainName", "Url", "CertificateThumbprint"}
ACTIONS = {"Alert", "Warn", "Block", "Audit", "BlockAndRemediate", "AlertAndBlock", "Allowed"}
COMMANDS = {"PutFile": {"FileName"}, "RunScript": {"ScriptName", "Args"}, "GetFile": {"Path"}}
CLASSES = {
    "TruePositive": {"MultiStagedAttack", "MaliciousUserActivity", "CompromisedUser", "Malware", "Phishing",
                     "UnwantedSoftware", "Other"},
    "InformationalExpectedActivity": {"SecurityTesting", "LineOfBusinessApplication", "ConfirmedActivity", "Other"},
    "FalsePositive": {"NotMalicious", "InsufficientData", "Other"},
}  # fmt: skip
SHA256, SHA1 = "ab" * 32, "cd" * 20


def problem(status: int, code: str, message: object = "") -> Reply:
    return status, {"error": {"code": code, "message": str(message)}}


class Fake:
    """A tenant."""

    def __init__(self) -> None:
        self.actions: list[dict[str, Any]] = []
        self.indicators: list[dict[str, Any]] = []
        self.tokens = {"t1"}
        self.library = {"end.sh"}
        self.signed = False
        self.prints = '{"exit_code": 0, "script_name": "end.sh", "script_output": "ended\\n", "script_errors": ""}'
        self.events: list[datetime] = []
        self.most = 100_000
        self.queries: list[str] = []
        self.alerts = {"da1": {"id": "da1", "status": "New", "classification": None}}
        self.vendor = Vendor(self.answer)

    def answer(self, asked: Asked) -> Reply:
        url = urlsplit(asked.path)
        if url.path == "/tenant-1/oauth2/v2.0/token":
            return self._login(asked)
        if url.path.startswith("/results/"):
            return self._download(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return problem(401, "Unauthorized", "the token is over")
        if asked.method in ("POST", "PATCH") and asked.headers.get("content-type") != "application/json":
            return self._wrong(f"the content type of {asked.path}")
        if asked.method == "GET":
            return self._get(url.path, unquote(parse_qs(url.query).get("$filter", [""])[0]))
        if found := re.fullmatch(r"/api/machines/(\w+)/(\w+)", url.path):
            return self._machine(asked, found[1], found[2])
        if url.path == "/api/indicators" and asked.method == "POST":
            return self._submit(asked.json())
        if url.path == "/api/advancedqueries/run" and asked.method == "POST":
            return self._hunt(asked.json())
        if asked.method == "PATCH" and (found := re.fullmatch(r"/api/alerts/(\w+)", url.path)):
            return self._alert(found[1], asked.json())
        if asked.method == "DELETE" and (found := re.fullmatch(r"/api/indicators/(\d+)", url.path)):
            self.indicators = [one for one in self.indicators if one["id"] != found[1]]
            return 204, None
        return self._wrong(f"{asked.method} {asked.path}", 404)

    def _wrong(self, what: object, status: int = 400) -> Reply:
        self.vendor.wrong.append(f"not documented or not allowed: {what}")
        return problem(status, "InvalidInput", what)

    def _login(self, asked: Asked) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        wanted = {"grant_type": "client_credentials", "client_id": "app-1", "client_secret": SECRET}
        if form != wanted | {"scope": "https://api.securitycenter.microsoft.com/.default"}:
            return 400, {"error": "invalid_client"}
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": sorted(self.tokens)[0]}

    def _get(self, path: str, condition: str) -> Reply:
        if path == "/api/machines" and (found := re.fullmatch(r"startswith\(computerDnsName,'(.*)'\)", condition)):
            start = found[1].replace("''", "'")
            return 200, {"value": [one for one in MACHINES if one["computerDnsName"].startswith(start)]}
        if path == "/api/machineactions" and (found := re.fullmatch(r"machineId eq '(.*)'", condition)):
            return 200, {"value": [one for one in self.actions if one["machineId"] == found[1]]}
        if path == "/api/indicators" and (found := re.fullmatch(r"indicatorValue eq '(.*)'", condition)):
            return 200, {"value": [one for one in self.indicators if one["indicatorValue"] == found[1]]}
        if found := re.fullmatch(r"/api/machineactions/(\w+)", path):
            return 200, next(one for one in self.actions if one["id"] == found[1])
        if found := re.fullmatch(r"/api/machineactions/(\w+)/GetLiveResponseResultDownloadLink\(index=(\d+)\)", path):
            return 200, {"value": f"{self.vendor.url}/results/{found[1]}-{found[2]}?sig=x"}
        if found := re.fullmatch(r"/api/files/([0-9a-f]{64}|[0-9a-f]{40})", path):
            signer = "Microsoft Corporation" if self.signed else None
            return 200, {"sha1": SHA1, "sha256": SHA256, "isValidCertificate": self.signed, "signer": signer}
        if found := re.fullmatch(r"/api/alerts/(\w+)", path):
            return (200, self.alerts[found[1]]) if found[1] in self.alerts else problem(404, "NotFound", found[1])
        return self._wrong(f"GET {path} {condition}")

    def _machine(self, asked: Asked, machine: str, call: str) -> Reply:
        body = asked.json()
        if call not in WORDS or not body.get("Comment") or set(body) - {"Comment"} != MORE.get(call, set()):
            return self._wrong(f"{call} {body}")
        if call == "isolate" and body["IsolationType"] not in ("Full", "Selective", "UnManagedDevice"):
            return self._wrong(f"IsolationType is {body['IsolationType']}")
        if call == "StopAndQuarantineFile" and not re.fullmatch(r"[0-9a-f]{40}", body["Sha1"]):
            return self._wrong(f"Sha1 is {body['Sha1']}")
        live = [one for one in self.actions if one["type"] == "LiveResponse" and one["status"] == "Pending"]
        if call == "runliveresponse":
            if (bad := self._bad_commands(body["Commands"])) is not None:
                return bad
            if any(one["machineId"] == machine for one in live):
                return problem(400, "ActiveRequestAlreadyExists", "busy")
        return 201, self._made(machine, call, body)

    def _made(self, machine: str, call: str, body: dict[str, Any]) -> dict[str, Any]:
        when = datetime.now(UTC) + timedelta(microseconds=len(self.actions))
        made: dict[str, Any] = {
            "id": f"a{len(self.actions)}", "type": WORDS[call], "status": "Pending", "machineId": machine,
            "requestorComment": body["Comment"], "creationDateTimeUtc": when.isoformat(), "relatedFileInfo": None,
        }  # fmt: skip
        if call == "StopAndQuarantineFile":
            made["relatedFileInfo"] = {"fileIdentifier": body["Sha1"], "fileIdentifierType": "Sha1"}
        if call == "runliveresponse":
            commands = enumerate(body["Commands"])
            made["commands"] = [{"index": n, "commandStatus": "Created", "command": one} for n, one in commands]
        self.actions.append(made)
        return made

    def _bad_commands(self, commands: list[dict[str, Any]]) -> Reply | None:
        """PutFile, RunScript, GetFile in this order; each with its keys; a script must be in the library."""
        order = [list(COMMANDS).index(one["type"]) for one in commands]
        named = all({p["key"] for p in one["params"]} == COMMANDS[one["type"]] for one in commands)
        if not commands or order != sorted(order) or not named:
            return self._wrong(commands)
        scripts = {p["value"] for one in commands for p in one["params"] if p["key"] == "ScriptName"}
        return None if scripts <= self.library else problem(400, "FileNotFoundInLibrary", scripts)

    def _download(self, asked: Asked) -> Reply:
        """The storage behind a link: it is no part of the API, and no token belongs there."""
        if "authorization" in asked.headers or "sig=x" not in asked.path:
            return self._wrong("a token sent to the storage")
        return 200, json.loads(self.prints)

    def _submit(self, body: dict[str, Any]) -> Reply:
        required = {"indicatorValue", "indicatorType", "action", "title", "description"}
        allowed = required | {"severity", "expirationTime", "recommendedActions", "rbacGroupNames", "application"}
        if not required <= set(body) <= allowed or body["indicatorType"] not in TYPES or body["action"] not in ACTIONS:
            return self._wrong(body)
        self.indicators = [one for one in self.indicators if one["indicatorValue"] != body["indicatorValue"]]
        self.indicators.append({"id": str(len(self.indicators) + 1), **body})
        return 200, self.indicators[-1]

    def _hunt(self, body: dict[str, Any]) -> Reply:
        """A table of one event for each time, cut at its limit without a word, as the API does."""
        if set(body) != {"Query"}:
            return self._wrong(body)
        self.queries.append(body["Query"])
        span = re.findall(r"datetime\(([^)]*)\)", body["Query"])
        start, end = (datetime.fromisoformat(one) for one in span)
        found = [one for one in sorted(self.events) if start <= one < end][: self.most]
        rows = [{"Timestamp": one.isoformat(), "FileName": "lua.exe", "DeviceName": "web-01"} for one in found]
        return 200, {"Schema": [{"Name": "Timestamp", "Type": "DateTime"}], "Results": rows}

    def _alert(self, identifier: str, body: dict[str, Any]) -> Reply:
        known = {"status", "assignedTo", "classification", "determination", "comment"}
        kind = body.get("classification")
        good = set(body) <= known and body.get("status") in ("New", "InProgress", "Resolved") and kind in CLASSES
        if not good or body.get("determination") not in CLASSES[str(kind)]:
            return self._wrong(body)
        self.alerts[identifier] |= {"status": body["status"], "classification": kind}
        return 200, self.alerts[identifier]

    def settle(self, status: str = "Succeeded") -> None:
        for one in self.actions:
            if one["status"] == "Pending":
                one["status"] = status
