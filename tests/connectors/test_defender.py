"""The contract with Defender for Endpoint: a fake server that allows what the documentation does, with every fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from perilune.connectors.defender import Defender, Secrets
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Action, Kind, Outcome, Role, State, Target, TargetType
from tests.connectors.vendor import Asked, Reply, Vendor, serving
from tests.response.build import action

SECRET = "s3cr3t-v4lue"
MACHINES = [
    {"id": "m1", "computerDnsName": "web-01.corp.example", "osPlatform": "Windows11", "healthStatus": "Active"},
    {"id": "m2", "computerDnsName": "web-011.corp.example", "osPlatform": "Windows11", "healthStatus": "Active"},
    {"id": "m3", "computerDnsName": "dup", "osPlatform": "Linux", "healthStatus": "Active"},
    {"id": "m4", "computerDnsName": "dup", "osPlatform": "Linux", "healthStatus": "Active"},
    {"id": "m5", "computerDnsName": "srv", "osPlatform": "WindowsServer2022", "healthStatus": "Inactive"},
]
WORDS = {"isolate": "Isolate", "unisolate": "Unisolate", "collectInvestigationPackage": "CollectInvestigationPackage"}
TYPES = {"FileSha1", "FileMd5", "FileSha256", "IpAddress", "DomainName", "Url", "CertificateThumbprint"}
ACTIONS = {"Alert", "Warn", "Block", "Audit", "BlockAndRemediate", "AlertAndBlock", "Allowed"}


class Fake:
    """The part of the API that is used, after learn.microsoft.com: paths, required properties, value sets, states."""

    def __init__(self) -> None:
        self.actions: list[dict[str, object]] = []
        self.indicators: list[dict[str, object]] = []
        self.tokens = {"t1"}
        self.ends_as = "Succeeded"
        self.vendor = Vendor(self.answer)

    def answer(self, asked: Asked) -> Reply:
        url = urlsplit(asked.path)
        if url.path == "/tenant-1/oauth2/v2.0/token":
            return self._login(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": {"code": "Unauthorized", "message": "the token is over"}}
        if asked.method == "GET":
            return self._list(url.path, unquote(parse_qs(url.query).get("$filter", [""])[0]))
        if found := re.fullmatch(r"/api/machines/(\w+)/(\w+)", url.path):
            return self._machine(asked, found[1], found[2])
        if url.path == "/api/indicators" and asked.method == "POST":
            return self._submit(asked.json())
        if asked.method == "DELETE" and (found := re.fullmatch(r"/api/indicators/(\d+)", url.path)):
            self.indicators = [one for one in self.indicators if one["id"] != found[1]]
            return 204, None
        self.vendor.wrong.append(f"not documented: {asked.method} {asked.path}")
        return 404, {"error": {"code": "NotFound", "message": asked.path}}

    def _login(self, asked: Asked) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        wanted = {"grant_type": "client_credentials", "client_id": "app-1", "client_secret": SECRET}
        if form != wanted | {"scope": "https://api.securitycenter.microsoft.com/.default"}:
            return 400, {"error": "invalid_client"}
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": sorted(self.tokens)[0]}

    def _list(self, path: str, condition: str) -> Reply:
        if path == "/api/machines" and (found := re.fullmatch(r"startswith\(computerDnsName,'(.*)'\)", condition)):
            start = found[1].replace("''", "'")
            return 200, {"value": [one for one in MACHINES if one["computerDnsName"].startswith(start)]}
        if path == "/api/machineactions" and (found := re.fullmatch(r"machineId eq '(.*)'", condition)):
            return 200, {"value": [one for one in self.actions if one["machineId"] == found[1]]}
        if path == "/api/indicators" and (found := re.fullmatch(r"indicatorValue eq '(.*)'", condition)):
            return 200, {"value": [one for one in self.indicators if one["indicatorValue"] == found[1]]}
        self.vendor.wrong.append(f"not documented: GET {path} {condition}")
        return 400, {"error": {"code": "BadRequest", "message": condition}}

    def _machine(self, asked: Asked, machine: str, call: str) -> Reply:
        body = asked.json()
        allowed = {"Comment", "IsolationType"} if call == "isolate" else {"Comment"}
        if call not in WORDS or not body.get("Comment") or set(body) - allowed:
            self.vendor.wrong.append(f"not allowed: {call} {body}")
            return 400, {"error": {"code": "InvalidInput", "message": str(body)}}
        if call == "isolate" and body.get("IsolationType") not in ("Full", "Selective", "UnManagedDevice"):
            self.vendor.wrong.append(f"IsolationType is {body.get('IsolationType')}")
        when = datetime.now(UTC) + timedelta(microseconds=len(self.actions))
        made: dict[str, object] = {
            "id": f"a{len(self.actions)}", "type": WORDS[call], "status": "Pending", "machineId": machine,
            "requestorComment": body["Comment"], "creationDateTimeUtc": when.isoformat(),
        }  # fmt: skip
        self.actions.append(made)
        return 201, made

    def _submit(self, body: dict[str, str]) -> Reply:
        required = {"indicatorValue", "indicatorType", "action", "title", "description"}
        allowed = required | {"severity", "expirationTime", "recommendedActions", "rbacGroupNames", "application"}
        good = required <= set(body) <= allowed and body["indicatorType"] in TYPES and body["action"] in ACTIONS
        if not good:
            self.vendor.wrong.append(f"not allowed: {body}")
            return 400, {"error": {"code": "InvalidInput", "message": str(body)}}
        self.indicators = [one for one in self.indicators if one["indicatorValue"] != body["indicatorValue"]]
        self.indicators.append({"id": str(len(self.indicators) + 1), **body})
        return 200, self.indicators[-1]

    def settle(self, status: str = "Succeeded") -> None:
        for one in self.actions:
            if one["status"] == "Pending":
                one["status"] = status


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    with serving(made.vendor):
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def defender(fake: Fake, waits: list[float]) -> Defender:
    secrets = Secrets("tenant-1", "app-1", SECRET)
    return Defender(secrets, base=fake.vendor.url, login=fake.vendor.url, sleep=waits.append)


def sent(fake: Fake, method: str = "POST") -> list[str]:
    return [one.path for one in fake.vendor.asked if one.method == method and "oauth2" not in one.path]


def block(value: str = "45.77.1.2", kind: TargetType = TargetType.ADDRESS, **more: object) -> Action:
    return action(more.pop("do", Kind.BLOCK_INDICATOR), Target(kind, value), **more)  # type: ignore[arg-type]


def test_isolation_holds_only_when_the_api_says_succeeded(defender: Defender, fake: Fake) -> None:
    one = action()
    assert defender.check(one).state is State.ABSENT
    assert defender.act(one, "R-1:1").outcome is Outcome.DONE
    assert defender.check(one).state is State.PENDING
    fake.settle()
    assert defender.check(one).state is State.HOLDS
    release = action(Kind.RELEASE_HOST)
    assert defender.check(release).state is State.ABSENT
    defender.act(release, "R-2:1")
    fake.settle()
    assert defender.check(release).state is State.HOLDS
    assert defender.check(one).state is State.ABSENT
    assert fake.actions[0]["requestorComment"] == "Perilune R-1:1: because"


@pytest.mark.parametrize("status", ["Failed", "TimeOut", "Cancelled"])
def test_an_action_that_came_to_nothing_does_not_hold(defender: Defender, fake: Fake, status: str) -> None:
    defender.act(action(), "R-1:1")
    fake.settle(status)
    assert defender.check(action()).state is State.ABSENT


def test_the_same_key_is_sent_once(defender: Defender, fake: Fake) -> None:
    for _ in range(3):
        defender.act(action(), "R-1:1")
    defender.act(action(), "R-1:12")
    assert len(fake.actions) == 2


def test_a_lost_answer_is_unknown_and_found_again_by_its_key(defender: Defender, fake: Fake) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate", ["lost"]
    with pytest.raises(ConnectorError, match="no answer"):
        defender.act(action(), "R-1:1")
    assert sent(fake) == ["/api/machines/m1/isolate"]
    assert "was sent before" in defender.act(action(), "R-1:1").detail
    assert len(fake.actions) == 1


@pytest.mark.parametrize("fault", ["close", "half", 500, 502])
def test_a_change_without_a_whole_answer_is_never_repeated(defender: Defender, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate", [fault]
    with pytest.raises(ConnectorError):
        defender.act(action(), "R-1:1")
    assert len(sent(fake)) == 1


@pytest.mark.parametrize("fault", ["close", "half", 500, 503, 429])
def test_reading_is_tried_again(defender: Defender, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "GET /api/machineactions", [fault, fault]
    assert defender.check(action()).state is State.ABSENT


def test_what_is_throttled_was_not_taken_and_waits_as_told(defender: Defender, fake: Fake, waits: list[float]) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate", [429, 429]
    assert defender.act(action(), "R-1:1").outcome is Outcome.DONE
    assert waits == [7.0, 7.0]
    assert len(fake.actions) == 1


def test_a_server_that_never_recovers_is_said(defender: Defender, fake: Fake) -> None:
    fake.vendor.only, fake.vendor.faults = "GET", [500] * 4
    with pytest.raises(ConnectorError, match="500"):
        defender.check(action())


def test_a_token_that_ended_is_got_anew_and_a_wrong_secret_is_said_without_it(defender: Defender, fake: Fake) -> None:
    defender.check(action())
    fake.tokens = {"t2"}
    assert defender.check(action()).state is State.ABSENT
    defender.secrets = Secrets("tenant-1", "app-1", "wrong-" + SECRET)
    fake.tokens = {"t3"}
    with pytest.raises(ConnectorError) as error:
        defender.check(action())
    assert SECRET not in str(error.value) + repr(defender.secrets) + repr(defender)


def test_a_refused_request_is_failed_with_the_reason(defender: Defender, fake: Fake) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate", [400]
    receipt = defender.act(action(), "R-1:1")
    assert (receipt.outcome, receipt.detail) == (Outcome.FAILED, "400 Fault: on order")


@pytest.mark.parametrize(
    ("value", "kind", "word"),
    [
        ("45.77.1.2", TargetType.ADDRESS, "IpAddress"), ("bad.example.net", TargetType.DOMAIN, "DomainName"),
        ("http://bad.example.net/x", TargetType.URL, "Url"), ("ab" * 32, TargetType.HASH, "FileSha256"),
        ("ab" * 20, TargetType.HASH, "FileSha1"), ("ab" * 16, TargetType.HASH, "FileMd5"),
    ],
)  # fmt: skip
def test_an_indicator_is_blocked_for_its_time_and_released(
    defender: Defender, fake: Fake, value: str, kind: TargetType, word: str
) -> None:
    one = block(value, kind, lasts=86400)
    assert defender.check(one).state is State.ABSENT
    defender.act(one, "R-1:2")
    assert defender.check(one).state is State.HOLDS
    assert fake.indicators[0]["indicatorType"] == word
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(fake.indicators[0]["expirationTime"]))
    back = block(value, kind, do=Kind.UNBLOCK_INDICATOR)
    defender.act(back, "R-2:1")
    assert defender.check(back).state is State.HOLDS
    assert fake.indicators == []


def test_endpoints_are_exactly_those_of_the_name(defender: Defender) -> None:
    assert [one.id for one in defender.endpoints("WEB-01")] == ["m1"]
    assert [one.id for one in defender.endpoints("web-01.corp.example")] == ["m1"]
    assert [one.id for one in defender.endpoints("dup")] == ["m3", "m4"]
    assert defender.endpoints("o'brien") == []
    server = defender.endpoints("srv")[0]
    assert (server.role, server.connected) == (Role.SERVER, False)


def test_a_dry_run_shows_the_exact_request_and_sends_nothing(defender: Defender, fake: Fake) -> None:
    shown = defender.describe(action())[0]
    assert shown.what.endswith("/api/machines/{machine}/isolate")
    assert '"IsolationType":"Full"' in shown.body
    assert fake.vendor.asked == []


def test_secrets_go_over_https_only() -> None:
    with pytest.raises(UsageError, match="no https"):
        Defender(Secrets("t", "c", "s"), base="http://api.example.net", login="http://login.example.net").check(
            action()
        )
