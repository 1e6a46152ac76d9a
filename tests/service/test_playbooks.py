"""Which playbooks are used: signed ones as they were signed, and with trusted keys only what those signed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs the extra: pip install 'perilune[signed]'")
pytest.importorskip("rfc8785", reason="needs the extra: pip install 'perilune[signed]'")

from perilune.response.signatures import Standing
from perilune.service.playbooks import load_shelf
from tests.response.test_signatures import KEY, PLAIN, SIGNED, public_pem


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    return tmp_path


def put(content: Path, text: str) -> None:
    (content / "playbooks" / "own.json").write_text(text)


def trust(content: Path) -> None:
    (content / "trusted_keys").mkdir()
    (content / "trusted_keys" / "ana.pem").write_bytes(public_pem(KEY))


def test_a_playbook_that_was_changed_after_it_was_signed_is_named_and_left_out(content: Path) -> None:
    put(content, SIGNED.replace('"look"', '"lock"'))
    shelf = load_shelf(content)
    assert [line.split("own.json: ")[1] for line in shelf.broken] == [
        "the signature of SOC is broken: the playbook was changed after it was signed"
    ]
    assert "Test" not in {one.name for one in shelf.playbooks.values()}
    assert shelf.find("T1059")


def test_without_trusted_keys_a_signature_that_fits_is_shown(content: Path) -> None:
    put(content, SIGNED)
    shelf = load_shelf(content)
    assert [one.standing for one in shelf.signed[shelf.find("Test").id]] == [Standing.FITS]


def test_with_trusted_keys_only_what_they_signed_is_used(content: Path) -> None:
    trust(content)
    put(content, PLAIN)
    assert "not signed by a key in trusted_keys" in load_shelf(content).broken[0]
    put(content, SIGNED)
    shelf = load_shelf(content)
    assert shelf.broken == ()
    assert [one.why for one in shelf.signed[shelf.find("Test").id]] == ["by ana"]
    assert len(shelf.playbooks) > 1, "the packaged ones come with the program and need no key"
