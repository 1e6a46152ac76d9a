"""The contract with Defender for Endpoint: machine actions, tokens and indicators, with every fault."""

from __future__ import annotations

import re

import pytest

from perilune.connectors.defender import Defender, Secrets, region_base
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Action, Kind, Outcome, Role, State, Target, TargetType
from tests.connectors.defender.fake import SECRET, Fake
from tests.response.build import action


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
    defender.api.secrets = Secrets("tenant-1", "app-1", "wrong-" + SECRET)
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


def test_a_region_has_its_own_address() -> None:
    assert region_base("eu") == "https://eu.api.security.microsoft.com"
    with pytest.raises(UsageError, match="there are: us, eu"):
        region_base("moon")


def test_an_indicator_of_somebody_elses_is_left_alone(defender: Defender, fake: Fake) -> None:
    other = {"id": "7", "indicatorValue": "45.77.1.2", "action": "Allowed", "description": "the partner's VPN"}
    fake.indicators.append(other)
    assert defender.act(block(), "R-1:1").outcome is Outcome.REFUSED
    assert fake.indicators == [other]


def test_an_indicator_whose_time_is_over_blocks_nothing(defender: Defender, fake: Fake) -> None:
    defender.act(block(lasts=60), "R-1:1")
    fake.indicators[0]["expirationTime"] = "2020-01-01T00:00:00Z"
    assert defender.check(block()).state is State.ABSENT
