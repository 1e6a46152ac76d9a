"""Signatures of playbooks after CACAO 2.0 and X.590 (JSS): canonical JSON (RFC 8785), hashed, signed, beside the rest.

A signature says that nothing changed since; whose it is, only a key that this installation trusts says. What cannot be
checked here (a certificate behind a URL, an algorithm that is not known) is said to be unchecked, never good.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from perilune.errors import UsageError

HASHES = {"sha-256": "SHA256", "sha-384": "SHA384", "sha-512": "SHA512"}
CURVES = {"ES256": ("secp256r1", "SHA256"), "ES384": ("secp384r1", "SHA384"), "ES512": ("secp521r1", "SHA512")}
RSA = {f"{kind}{bits}": (kind, f"SHA{bits}") for kind in ("RS", "PS") for bits in ("256", "384", "512")}
EDWARDS = ("Ed25519", "Ed448")
SMALLEST_RSA = 2048
MAX_SIGNATURES = 20
Json = dict[str, Any]


class Standing(StrEnum):
    """What a signature says of the document that it stands in."""

    TRUSTED = "trusted"  # it fits, and its key is one that is trusted here
    FITS = "fits"  # it fits, and nobody here knows its key
    BROKEN = "broken"  # the document is not the one that was signed
    OVER = "over"  # revoked, or outside of its time
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Verified:
    """One signature, checked. `key` is the SHA-256 of the public key."""

    signee: str
    standing: Standing
    why: str = ""
    key: str = ""


def verify(text: str, trusted: Mapping[str, str], at: datetime) -> list[Verified]:
    """Every signature of a playbook. `trusted` names keys by their SHA-256, see `key_id`."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        return [Verified("", Standing.BROKEN, f"it cannot be put into canonical form: {error}")]
    found = document.get("signatures") or []
    return [_checked(document, one, trusted, at) for one in found[:MAX_SIGNATURES]]


def sign(text: str, private_pem: bytes, signee: str, at: datetime) -> str:
    """The document with one more signature; keys are Ed25519, Ed448, RSA or on a NIST curve."""
    from cryptography.hazmat.primitives import serialization

    document: Json = json.loads(text, object_pairs_hook=_once)
    private = serialization.load_pem_private_key(private_pem, None)
    public = private.public_key()
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    one: Json = {
        "type": "jss", "id": f"jss--{uuid.uuid4()}", "created": stamp, "modified": stamp, "signee": signee,
        "related_to": document["id"], "related_version": document["modified"], "hash_algorithm": "sha-256",
        "algorithm": _algorithm(public), "public_key": base64.b64encode(_der(public)).decode(),
    }  # fmt: skip
    value = _made(private, str(one["algorithm"]), _digest(document, one))
    return json.dumps(document | {"signatures": [*document.get("signatures", []), one | {"value": value}]}, indent=2)


def key_id(public_pem: bytes) -> str:
    """A public key's SHA-256, from PEM: what signatures are compared by."""
    from cryptography.hazmat.primitives import serialization

    try:
        return _hash("sha-256", _der(serialization.load_pem_public_key(public_pem))).hex()
    except ValueError as error:
        raise UsageError(f"it is no public key: {error}") from error


def _checked(document: Json, one: Json, trusted: Mapping[str, str], at: datetime) -> Verified:
    signee = str(one.get("signee", ""))
    if why := next(_not_now(document, one, at), ""):
        return Verified(signee, Standing.OVER if "signed" not in why else Standing.BROKEN, why)
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    except ImportError:
        return Verified(signee, Standing.UNCHECKED, "pip install 'perilune[signed]' to check it")
    try:
        public = _public(one)
        if public is None:
            return Verified(signee, Standing.UNCHECKED, "its key is not in it, and nothing is fetched")
        key = _hash("sha-256", _der(public)).hex()
        _verify(public, str(one.get("algorithm")), _value(one), _digest(document, one))
    except InvalidSignature:
        return Verified(signee, Standing.BROKEN, "the playbook was changed after it was signed")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return Verified(signee, Standing.UNCHECKED, str(error))
    if key in trusted:
        return Verified(signee, Standing.TRUSTED, f"by {trusted[key]}", key)
    return Verified(signee, Standing.FITS, "its key is not one that is trusted here", key)


def _not_now(document: Json, one: Json, at: datetime) -> Iterator[str]:
    if one.get("revoked"):
        yield "it was revoked"
    if one.get("related_to") != document.get("id") or one.get("related_version") != document.get("modified"):
        yield "another playbook, or another version of it, was signed"
    for name, wrong in (("valid_from", "does not hold yet"), ("valid_until", "is over")):
        if (text := one.get(name)) is not None:
            limit = datetime.fromisoformat(str(text))
            if (at < limit) if name == "valid_from" else (at >= limit):
                yield f"it {wrong}: {text}"


def _digest(document: Json, one: Json) -> bytes:
    """Of the document with this signature alone, and without its value; as hexadecimal text, as X.590 has it."""
    import rfc8785

    bare = {name: value for name, value in one.items() if name not in ("value", "signature")}
    return _hash(str(one.get("hash_algorithm")), rfc8785.dumps(document | {"signatures": [bare]})).hex().encode()


def _hash(name: str, data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes

    if name.lower() not in HASHES:
        raise ValueError(f"the hash {name!r} is not known")
    made = hashes.Hash(getattr(hashes, HASHES[name.lower()])())
    made.update(data)
    return made.finalize()


def _public(one: Json) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if key := one.get("public_key"):
        return serialization.load_der_public_key(_padded(str(key)))
    if chain := one.get("public_cert_chain"):
        return x509.load_der_x509_certificate(_padded(str(chain[0]))).public_key()
    return None


def _der(public: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    data: bytes = public.public_bytes(serialization.Encoding.DER, kind)
    return data


def _algorithm(public: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(public, rsa.RSAPublicKey):
        return "PS256"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return next(name for name, (curve, _) in CURVES.items() if curve == public.curve.name)
    return type(public).__name__.strip("_").removesuffix("PublicKey")


def _verify(public: Any, algorithm: str, value: bytes, digest: bytes) -> None:
    """Raises InvalidSignature; ValueError where key and algorithm do not belong together or are too weak."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, utils

    if algorithm in EDWARDS:
        wanted = ed25519.Ed25519PublicKey if algorithm == "Ed25519" else ed448.Ed448PublicKey
        if not isinstance(public, wanted):
            raise ValueError(f"its key is none for {algorithm}")
        public.verify(value, digest)
    elif algorithm in CURVES:
        curve, name = CURVES[algorithm]
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != curve:
            raise ValueError(f"its key is none for {algorithm}")
        half = len(value) // 2
        r, s = int.from_bytes(value[:half]), int.from_bytes(value[half:])
        public.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(getattr(hashes, name)()))
    elif algorithm in RSA:
        if not isinstance(public, rsa.RSAPublicKey) or public.key_size < SMALLEST_RSA:
            raise ValueError(f"its key is none for {algorithm}, or too short")
        public.verify(value, digest, *_scheme(algorithm))
    else:
        raise ValueError(f"the algorithm {algorithm!r} is not known")


def _made(private: Any, algorithm: str, digest: bytes) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    if algorithm in CURVES:
        made = private.sign(digest, ec.ECDSA(getattr(hashes, CURVES[algorithm][1])()))
        size = (private.curve.key_size + 7) // 8
        raw = b"".join(part.to_bytes(size) for part in utils.decode_dss_signature(made))
    else:
        raw = private.sign(digest, *_scheme(algorithm)) if algorithm in RSA else private.sign(digest)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _scheme(algorithm: str) -> Sequence[Any]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    kind, name = RSA[algorithm]
    hashed = getattr(hashes, name)()
    if kind == "RS":
        return padding.PKCS1v15(), hashed
    return padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed


def _value(one: Json) -> bytes:
    return _padded(str(one.get("value", "")).replace("-", "+").replace("_", "/"))


def _padded(text: str) -> bytes:
    """Base64, with or without its padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is no base64: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> Json:
    """An object whose names stand in it once: two readers of a name given twice may see two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in an object twice")
    return found
