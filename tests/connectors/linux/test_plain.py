"""JSON to typed values with the standard library alone: strict, and the same as it went in."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from hypothesis import given, strategies

from perilune.connectors.linux import plain
from perilune.model.actions import Kind, Observation, Outcome, Receipt, State
from tests.build import at
from tests.response.build import ACCOUNT, FILE, HOST, PROCESS, action


@pytest.fixture(autouse=True)
def inside() -> None:
    """Nothing here touches a host, so no namespaces are needed."""


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    blobs: dict[str, bytes]
    pair: tuple[int, str]
    ratio: float
    kind: Kind
    when: datetime | None = None
    more: list[object] = field(default_factory=list)


WHOLE = Outer(Inner("é", (1, 2)), {"a": b"\0\xff"}, (1, "x"), 2.0, Kind.NOTIFY, at(0), [1, {"a": None}])


@pytest.mark.parametrize("value", [WHOLE, Inner("x"), Receipt(Outcome.DONE), Observation(State.AWAY, "x")])
def test_what_goes_in_comes_out(value: object) -> None:
    assert plain.decode(plain.encode(value), type(value)) == value


@pytest.mark.parametrize("target", [HOST, PROCESS, FILE, ACCOUNT])
def test_actions_survive(target: object) -> None:
    one = action(target=target, lasts=5)  # type: ignore[arg-type]
    assert plain.decode(plain.encode(one), type(one)) == one


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"{}", "$.name: missing"), (b'{"name": 1}', "$.name: str is wanted"), (b"[]", "$: an object is wanted"),
        (b'{"name": "x", "sizes": {}}', "$.sizes: a list is wanted"),
        (b'{"name": "x", "sizes": [true]}', r"$.sizes[0]: int is wanted"), (b"{", "no JSON"), (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_place(data: bytes, where: str) -> None:
    with pytest.raises(ValueError, match=re.escape(where)):
        plain.decode(data, Inner)


@given(strategies.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(plain.decode(data, Outer), Outer)
