"""Connectors by name, and where their secrets come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.connectors.defender import Defender
from perilune.errors import UsageError
from perilune.service.desk import Desk
from perilune.service.office import Office, opened
from perilune.settings import load

TABLE = '[connectors.defender]\ntenant = "t-1"\nclient = "c-1"\nbase = "https://eu.api.security.microsoft.com"\n'


@pytest.fixture
def office(own_home: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    own_home.mkdir(parents=True, exist_ok=True)
    (own_home / "config.toml").write_text(TABLE + request.param)
    with opened(load()) as made:
        yield made


@pytest.mark.parametrize("office", ['secret_env = "DEFENDER_SECRET"\n'], indirect=True)
def test_a_secret_comes_from_the_environment(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no DEFENDER_SECRET"):
        office.connector("defender")
    monkeypatch.setenv("DEFENDER_SECRET", "hush")
    made = office.connector("defender")
    assert isinstance(made, Desk)
    assert isinstance(made.connector, Defender)
    assert made.connector.secrets.secret == "hush"
    assert made.connector.base == "https://eu.api.security.microsoft.com"
    assert "hush" not in repr(made)


@pytest.mark.parametrize(
    ("office", "says"),
    [
        ("", "secret is missing"),
        ('secret = "hush"\n', "does not stand in the settings"),
        ('secret_file = "/nowhere"\n', "cannot be read"),
    ],
    indirect=["office"],
)
def test_a_secret_in_the_settings_or_nowhere_is_refused(office: Office, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        office.connector("defender")


@pytest.mark.parametrize("office", [""], indirect=True)
def test_an_unknown_connector_is_said_with_those_that_there_are(office: Office) -> None:
    with pytest.raises(UsageError, match="simulated, linux, ssh, defender, cortex_xdr"):
        office.connector("magic")


@pytest.mark.parametrize(
    "office",
    ['[connectors.cortex_xdr]\nbase = "https://api-x.xdr.eu.example"\nkey_id = "7"\nkey_env = "CORTEX_KEY"\n'],
    indirect=True,
)
def test_cortex_takes_an_advanced_key_unless_it_is_said_to_be_standard(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORTEX_KEY", "hush")
    made = office.connector("cortex_xdr")
    assert isinstance(made, Desk)
    assert isinstance(made.connector, CortexXdr)
    assert (made.connector.key.id, made.connector.key.advanced) == ("7", True)
    assert "hush" not in repr(made)
