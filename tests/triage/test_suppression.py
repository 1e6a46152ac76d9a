"""Suppression: exact, counted, expiring, and proposed in a form that reads back."""

from __future__ import annotations

from datetime import date

import pytest

from perilune.errors import ContentError
from perilune.model.suppression import Suppression
from perilune.readers.suppressions import parse_suppressions
from perilune.triage.suppression import holds, propose, suppress
from tests.build import finding

TODAY = date(2026, 11, 22)
ONE = Suppression("one", "rule-a", "ana", "tests", date(2026, 12, 31), {"DeviceName": "build-*", "user": "ci"})


def on(host: str = "build-7", user: str = "ci", rule: str = "rule-a", **row: object) -> object:
    return finding(host, rule_id=rule, user=user, host=host, row={"DeviceName": host, **row})


def test_only_what_fits_in_every_field_is_taken_out_and_it_is_counted() -> None:
    found = [on(), on("web-01"), on(user="root"), on("build-9", rule="rule-b")]
    kept, (done,) = suppress(found, [ONE], TODAY)  # type: ignore[arg-type]
    assert [f.host for f in kept] == ["web-01", "build-7", "build-9"]
    assert (done.count, len(done.events), done.expired) == (1, 1, False)


def test_an_expired_one_takes_nothing_and_says_so() -> None:
    found = [on()]
    kept, (done,) = suppress(found, [ONE], date(2027, 1, 1))  # type: ignore[arg-type]
    assert len(kept) == 1
    assert (done.count, done.expired) == (0, True)
    assert suppress(found, [ONE], ONE.expires)[1][0].count == 1  # type: ignore[arg-type]


def test_a_field_that_the_event_lacks_does_not_fit() -> None:
    assert not holds(ONE, finding("x", rule_id="rule-a", user="ci", row={}))


def test_a_value_too_long_to_look_at_is_not_suppressed() -> None:
    wide = Suppression("x", "rule-a", "ana", "r", date(2027, 1, 1), {"ProcessCommandLine": "a*"})
    assert not holds(wide, on(ProcessCommandLine="a" * 9000))  # type: ignore[arg-type]


TEXT = """
suppressions:
  - id: one
    rule: rule-a
    where: {DeviceName: build-*}
    owner: ana
    reason: tests
    expires: 2026-12-31
"""


def test_a_file_reads_and_says_where_it_is_wrong() -> None:
    (one,) = parse_suppressions(TEXT, "x.yml")
    assert (one.owner, one.expires, one.where) == ("ana", date(2026, 12, 31), {"DeviceName": "build-*"})
    for broken, words in (
        (TEXT.replace("owner: ana", "who: ana"), "unknown key 'who'"),
        (TEXT.replace("    reason: tests\n", ""), "the key 'reason' is missing"),
        (TEXT.replace("build-*", '"*"'), "fits too much"),
        (TEXT.replace("DeviceName", "DeviceNam"), "no table has the column"),
        (TEXT.replace("2026-12-31", "soon"), "is no day"),
    ):
        with pytest.raises(ContentError, match=words):
            parse_suppressions(broken, "x.yml")


def test_a_proposal_reads_back_and_fits_its_finding() -> None:
    hostile = on(ProcessCommandLine='lua -e "x: [y]"\n- id: evil')
    text = propose(hostile, owner="ana: x", reason="why\nnot", expires=date(2027, 1, 1))  # type: ignore[arg-type]
    (one,) = parse_suppressions(text, "proposed")
    assert holds(one, hostile)  # type: ignore[arg-type]
    assert (one.owner, one.reason) == ("ana: x", "why\nnot")
