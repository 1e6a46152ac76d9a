"""The contract with Cortex XDR: endpoints and files, keys and regions, with every fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perilune.connectors.cortex_xdr import CortexXdr, Key, tenant_base
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Kind, Outcome, Role, State, TargetType
from tests.connectors.cortex_xdr.fake import SECRET, Fake
from tests.response.build import FILE, action


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
    cortex.api.key = Key("7", "wrong-" + SECRET)
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


def test_a_tenants_address_is_made_of_its_consoles() -> None:
    assert tenant_base("Corp.xdr.eu.paloaltonetworks.com") == "https://api-corp.xdr.eu.paloaltonetworks.com"
    assert (
        tenant_base("https://api-corp.xdr.us.paloaltonetworks.com/") == "https://api-corp.xdr.us.paloaltonetworks.com"
    )
    with pytest.raises(UsageError, match="no tenant"):
        tenant_base("corp/../x")


def test_generation_5_does_not_offer_what_it_has_no_call_for() -> None:
    new = CortexXdr("https://api-x.example.net", Key("7", SECRET), generation=5)
    assert (Kind.TERMINATE_TREE, TargetType.PROCESS) not in new.handles
    assert (Kind.ISOLATE_HOST, TargetType.HOST) in new.handles
    with pytest.raises(UsageError, match="generation 4"):
        CortexXdr("https://api-x.example.net", Key("7", SECRET), generation=4)
