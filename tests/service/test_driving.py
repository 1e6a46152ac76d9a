"""The console's driver: it goes on when rung, finds what is due, and one broken run stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune.errors import ConnectorError
from perilune.service.driving import Driver
from perilune.service.office import Office
from perilune.service.runs import plan_case
from perilune.settings import Settings
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from perilune.store.runs import Run, RunStore
from tests.build import at
from tests.report import cases

PLAYBOOK = "T1059 - Command and Scripting Interpreter"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    settings = Settings(tmp_path)
    database = Database(settings.store_url)
    office = Office(settings, database, CaseStore(settings.store_url), RunStore(database))
    office.cases.save(cases.INTRUSION, at=at(0))
    return office


def begin(office: Office) -> Run:
    used = office.connector("simulated")
    plan = plan_case(office.cases.load("C-1"), office.shelf(), PLAYBOOK, used, inputs={}, answers={}, content=None)
    return office.runner("simulated").start(plan, PLAYBOOK, who="ana")


def test_a_run_goes_on_when_somebody_decided(office: Office) -> None:
    driver, run = Driver(office), begin(office)
    driver.ring(run.id)
    assert driver.rest(30)
    assert office.runs.load(run.id).status == "waiting"
    office.runner("simulated").decide(run.id, who="ben", granted=True, reason="seen")
    for _ in range(5):  # many rings are one drive
        driver.ring(run.id)
    assert driver.rest(30)
    assert office.runs.load(run.id).status == "finished"
    driver.stop()


def test_a_run_that_a_dead_process_left_is_found(office: Office) -> None:
    run = begin(office)
    driver = Driver(office)
    driver.ring_due()
    assert driver.rest(30)
    assert office.runs.load(run.id).status == "waiting"
    driver.stop()


def test_a_run_that_cannot_be_driven_says_why_and_stops_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, broken, good = Driver(office), begin(office), begin(office)
    real = Driver._advance

    def advance(self: Driver, run_id: str) -> None:
        if run_id == broken.id:
            raise ConnectorError("the product does not answer")
        real(self, run_id)

    monkeypatch.setattr(Driver, "_advance", advance)
    driver.ring(broken.id)
    driver.ring(good.id)
    assert driver.rest(30)
    assert driver.problems == {broken.id: "the product does not answer"}
    assert office.runs.load(good.id).status == "waiting"
    driver.stop()
