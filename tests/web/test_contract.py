"""The API keeps what its own description says, whatever it is asked: Schemathesis makes the requests."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from perilune.model.roles import Act
from perilune.web.app import make_app
from perilune.web.limits import Limit
from tests.web.desk import make_rooms, token

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
ROUTES = 18
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
# An unknown parameter is passed over, and a change may be refused for what the store holds (nobody of that name).
LEFT_OUT = [checks.negative_data_rejection, checks.positive_data_acceptance]


@pytest.mark.parametrize("way", ["good", "wrong"])
def test_no_fault_and_no_answer_outside_the_contract(tmp_path: Path, way: str) -> None:
    rooms = make_rooms(tmp_path)
    rooms.asks = Limit(burst=1e9, rate=1e9)
    bearer = token(rooms, "analyst", Act.READ, Act.WORK) | {"Host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(rooms), headers={"Host": "127.0.0.1"})
    mode = {"good": schemathesis.GenerationMode.POSITIVE, "wrong": schemathesis.GenerationMode.NEGATIVE}[way]
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        tried += 1

        @settings(
            max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate], database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: object) -> None:
            case.call_and_validate(headers=bearer, excluded_checks=LEFT_OUT)  # type: ignore[attr-defined]

        with contextlib.suppress(Unsatisfiable):  # nothing wrong can be asked of a call without parameters
            given(case=operation.as_strategy(generation_mode=mode))(ask)()
    assert tried == ROUTES
