"""The contract with Cortex XDR: a fake server that allows what the documentation does, with every fault."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from perilune.connectors.cortex_xdr import CortexXdr, Key
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, Role, State
from tests.connectors.vendor import Asked, Reply, Vendor, serving
from tests.response.build import FILE, action

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
        if asked.method != "POST" or found is None or set(body) != {"request_data"}:
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


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    with serving(made.vendor):
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def cortex(fake: Fake, waits: list[float]) -> CortexXdr:
    return CortexXdr(fake.vendor.url, Key("7", SECRET), sleep=waits.append)


def isolations(fake: Fake) -> int:
    return sum("/isolate/" in one.path for one in fake.vendor.asked)


def test_isolation_is_read_from_the_endpoint(cortex: CortexXdr, fake: Fake) -> None:
    one, back = action(), action(Kind.RELEASE_HOST)
    assert cortex.check(one).state is State.ABSENT
    assert cortex.act(one, "R-1:1").reference == "90"
    assert cortex.check(one).state is State.PENDING
    fake.settle()
    assert cortex.check(one).state is State.HOLDS
    cortex.act(back, "R-2:1")
    fake.settle()
    assert cortex.check(back).state is State.HOLDS


def test_every_request_is_signed_anew_and_a_wrong_key_is_said_without_it(cortex: CortexXdr, fake: Fake) -> None:
    for _ in range(3):
        cortex.check(action())
    assert len(fake.nonces) == 3
    cortex.key = Key("7", "wrong-" + SECRET)
    with pytest.raises(ConnectorError, match="401") as error:
        cortex.check(action())
    assert SECRET not in str(error.value) + repr(cortex)


def test_a_standard_key_is_sent_as_it_is() -> None:
    assert Key("7", "v", advanced=False).headers(1, "n") == {"x-xdr-auth-id": "7", "Authorization": "v"}


def test_a_host_that_is_away_is_waited_for(cortex: CortexXdr, fake: Fake) -> None:
    fake.endpoints[0]["endpoint_status"] = "DISCONNECTED"
    assert cortex.check(action()).state is State.AWAY
    assert cortex.endpoints("web-01")[0].connected is False


def test_a_state_that_nobody_documented_is_unknown(cortex: CortexXdr, fake: Fake) -> None:
    fake.endpoints[0]["is_isolated"] = "AGENT_PERHAPS"
    assert cortex.check(action()).state is State.UNKNOWN


def test_endpoints_are_those_of_the_name_on_all_pages(cortex: CortexXdr, fake: Fake) -> None:
    assert [one.role for one in cortex.endpoints("srv.corp.example")] == [Role.SERVER]
    fake.endpoints += [fake._made(f"d{n}", "dup", "") for n in range(150)]
    assert len(cortex.endpoints("dup")) == 150
    fake.endpoints[0]["endpoint_status"] = "UNINSTALLED"
    assert cortex.endpoints("web-01") == []
    with pytest.raises(ConnectorError, match="0 endpoints"):
        cortex.act(action(), "R-1:1")


def test_a_file_goes_into_quarantine_and_back_by_path_and_hash(cortex: CortexXdr) -> None:
    one, back = action(Kind.QUARANTINE_FILE, FILE), action(Kind.RESTORE_FILE, FILE)
    assert cortex.check(one).state is State.ABSENT
    cortex.act(one, "R-1:1")
    assert cortex.check(one).state is State.HOLDS
    cortex.act(back, "R-2:1")
    assert cortex.check(back).state is State.HOLDS


def test_a_file_without_a_hash_is_refused(cortex: CortexXdr, fake: Fake) -> None:
    one = action(Kind.QUARANTINE_FILE, replace(FILE, sha256=""))
    assert cortex.act(one, "R-1:1").outcome is Outcome.REFUSED
    assert fake.quarantined == set()


@pytest.mark.parametrize("fault", ["close", "half", "lost", 500, 502])
def test_a_change_without_a_whole_answer_is_never_repeated(cortex: CortexXdr, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate/", [fault]
    with pytest.raises(ConnectorError):
        cortex.act(action(), "R-1:1")
    assert isolations(fake) == 1


@pytest.mark.parametrize("fault", ["close", "half", 500, 503, 429])
def test_reading_is_tried_again(cortex: CortexXdr, fake: Fake, fault: int | str) -> None:
    fake.vendor.only, fake.vendor.faults = "/get_endpoint/", [fault]
    assert cortex.check(action()).state is State.ABSENT


def test_what_is_throttled_waits_as_told(cortex: CortexXdr, fake: Fake, waits: list[float]) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate/", [429]
    assert cortex.act(action(), "R-1:1").outcome is Outcome.DONE
    assert waits == [7.0]


def test_a_refused_request_is_failed(cortex: CortexXdr, fake: Fake) -> None:
    fake.vendor.only, fake.vendor.faults = "/isolate/", [400]
    assert cortex.act(action(), "R-1:1").outcome is Outcome.FAILED


def test_a_dry_run_shows_the_exact_request_and_sends_nothing(cortex: CortexXdr, fake: Fake) -> None:
    shown = cortex.describe(action())[0]
    assert shown.what.endswith("/public_api/v1/endpoints/isolate/")
    assert shown.body == '{"request_data":{"endpoint_id":"{endpoint}"}}'
    assert fake.vendor.asked == []
