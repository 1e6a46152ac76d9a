"""Signatures of playbooks: the standard's own example, every algorithm, and every way to tamper."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="needs the extra: pip install 'perilune[signed]'")
pytest.importorskip("rfc8785", reason="needs the extra: pip install 'perilune[signed]'")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from perilune.errors import UsageError
from perilune.response import signatures
from perilune.response.lint import lint_playbook
from perilune.response.playbook import load_playbook
from perilune.response.signatures import Standing, key_id, sign, verify
from tests.build import at
from tests.response.build import action_step, document

MAKERS: dict[str, Callable[[], Any]] = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
}
# The example of X.590, 7.1: an object, its hash, and its signature, with the key of its appendix.
EXAMPLE = {"statement": "Hello signed world!", "otherProperties": ["home", "food"]}
SIGNATURE = {
    "hash_algorithm": "sha-256",
    "algorithm": "Ed25519",
    "public_key": "MCowBQYDK2VwAyEAubMonBfU9pvIbj5RCiWQLD45Jvu6mKr+kQXjvjW8ZkU",
    "value": "F1Sj4VcZlSt5GO3Bcu4izpCklj9DbKDNvc2Trpdznfqgv9HMPUGVtefMsHfTqel-dN20lUXsdoeD8PpVr1ssCg",
}


def pem(private: Any) -> bytes:
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    data: bytes = private.private_bytes(serialization.Encoding.PEM, kind, none)
    return data


def public_pem(private: Any) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    data: bytes = private.public_key().public_bytes(serialization.Encoding.PEM, kind)
    return data


KEY = ed25519.Ed25519PrivateKey.generate()
STEPS = {
    "start:s": {"type": "start", "on_completion": "action:a"},
    "action:a": action_step("look", on_completion="end:e"),
    "end:e": {"type": "end"},
}
PLAIN = json.dumps(document(STEPS))
SIGNED = sign(PLAIN, pem(KEY), "SOC", at(0))


def standings(text: str, **trusted: str) -> list[Standing]:
    return [one.standing for one in verify(text, trusted, at(0))]


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    found = json.loads(SIGNED)
    change(found)
    return json.dumps(found)


def test_the_standards_own_example_verifies() -> None:
    """Without the ids and times that CACAO adds, so a level lower."""
    digest = signatures._digest(dict(EXAMPLE), dict(SIGNATURE))
    assert digest == b"e005ae762a01723f3b58fa8edb2b2cc3b126ca087077189072cfd9a27e6079d5"
    signatures._verify(signatures._public(SIGNATURE), "Ed25519", signatures._value(SIGNATURE), digest)


@pytest.mark.parametrize("name", MAKERS)
def test_every_algorithm_signs_and_verifies(name: str) -> None:
    private = MAKERS[name]()
    text = sign(PLAIN, pem(private), "SOC", at(0))
    assert json.loads(text)["signatures"][0]["algorithm"] == name
    assert standings(text) == [Standing.FITS]
    assert standings(text, **{key_id(public_pem(private)): "ana"}) == [Standing.TRUSTED]


def test_a_signed_playbook_is_still_one_and_can_be_signed_again() -> None:
    assert lint_playbook(load_playbook(SIGNED, "signed")) == ()
    twice = sign(SIGNED, pem(ed25519.Ed25519PrivateKey.generate()), "boss", at(1))
    assert standings(twice) == [Standing.FITS, Standing.FITS]
    assert standings(json.dumps(json.loads(SIGNED), indent=7, sort_keys=True)) == [Standing.FITS]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(name="Other"),
        lambda d: next(iter(d["workflow"].values())).update(name="x"),
        lambda d: d["workflow"].popitem(),
        lambda d: d.update(added=1),
        lambda d: d["signatures"][0].update(signee="somebody"),
        lambda d: d["signatures"][0].update(valid_until="2099-01-01T00:00:00.000Z"),
        lambda d: d.update(modified="2027-01-01T00:00:00.000Z"),
    ],
)
def test_any_change_is_detected(change: Callable[[dict[str, Any]], object]) -> None:
    assert standings(changed(change)) == [Standing.BROKEN]


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        (lambda d: d["signatures"][0].update(revoked=True), Standing.OVER),
        (lambda d: d["signatures"][0].update(valid_until="2020-01-01T00:00:00.000Z"), Standing.OVER),
        (lambda d: d["signatures"][0].update(valid_from="2099-01-01T00:00:00.000Z"), Standing.OVER),
        (lambda d: d["signatures"][0].update(algorithm="none"), Standing.UNCHECKED),
        (lambda d: d["signatures"][0].update(algorithm="HS256"), Standing.UNCHECKED),
        (lambda d: d["signatures"][0].update(algorithm="ES256"), Standing.UNCHECKED),
        (lambda d: d["signatures"][0].update(hash_algorithm="md5"), Standing.UNCHECKED),
        (lambda d: d["signatures"][0].update(public_key="AAAA"), Standing.UNCHECKED),
        (lambda d: d["signatures"][0].update(value="!"), Standing.UNCHECKED),
        (
            lambda d: (d["signatures"][0].pop("public_key"), d["signatures"][0].update(thumbprint="x")),
            Standing.UNCHECKED,
        ),
    ],
)
def test_what_is_over_or_cannot_be_checked_is_never_good(
    change: Callable[[dict[str, Any]], object], standing: Standing
) -> None:
    assert standings(changed(change)) == [standing]


def test_a_name_given_twice_is_refused_before_anything_is_believed() -> None:
    assert standings(SIGNED[:-1] + ', "name": "Test"}') == [Standing.BROKEN]


def test_a_key_of_an_attackers_own_fits_and_is_not_trusted() -> None:
    forged = sign(PLAIN.replace("look", "delete"), pem(ed25519.Ed25519PrivateKey.generate()), "SOC", at(0))
    assert standings(forged, **{key_id(public_pem(KEY)): "ana"}) == [Standing.FITS]


def test_a_signature_is_as_old_as_its_time() -> None:
    assert [one.standing for one in verify(SIGNED, {}, at(0) + timedelta(days=999))] == [Standing.FITS]


def test_what_is_no_key_is_said() -> None:
    with pytest.raises(UsageError, match="no public key"):
        key_id(b"x")
