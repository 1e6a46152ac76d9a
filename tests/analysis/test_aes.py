"""AES against the examples of FIPS 197 and SP 800-38A, and against an encryption written apart from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.analysis import aes

PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
VECTORS = {
    16: "69c4e0d86a7b0430d8cdb78070b4c55a",
    24: "dda97ca4864cdfe06eaf70a0ec0d7191",
    32: "8ea2b7ca516745bfeafc49904b496089",
}


@pytest.mark.parametrize("size", aes.SIZES)
def test_the_standard_s_examples_are_decrypted(size: int) -> None:
    assert aes.decrypted(bytes.fromhex(VECTORS[size]), bytes(range(size)), bytes(16)) == PLAIN


def test_blocks_are_chained() -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    sealed = bytes.fromhex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
    clear = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    assert aes.decrypted(sealed, key, bytes(range(16))).hex() == clear


def encrypted(data: bytes, key: bytes, vector: bytes) -> bytes:
    """AES-CBC with PKCS 7 padding, block after block as the standard words it."""
    box, _ = aes._boxes()
    keys = aes._round_keys(key)
    data += bytes((16 - len(data) % 16,)) * (16 - len(data) % 16)
    found = b""
    for at in range(0, len(data), 16):
        state = [a ^ b ^ k for a, b, k in zip(data[at : at + 16], vector, keys[0], strict=True)]
        for number, one in enumerate(keys[1:], 1):
            state = [box[state[(4 * (n // 4) + 5 * (n % 4)) % 16]] for n in range(16)]
            if number < len(keys) - 1:
                state = [_mixed(state, n) for n in range(16)]
            state = [a ^ b for a, b in zip(state, one, strict=True)]
        vector = bytes(state)
        found += vector
    return found


def _mixed(state: list[int], at: int) -> int:
    column, row = state[at - at % 4 : at - at % 4 + 4], at % 4
    by = (2, 3, 1, 1)
    total = 0
    for n in range(4):
        total ^= aes._multiplied(column[(row + n) % 4], by[n])
    return total


@given(data=st.binary(max_size=80), key=st.sampled_from(aes.SIZES).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_what_was_encrypted_is_decrypted(data: bytes, key: bytes) -> None:
    assert aes.unpadded(aes.decrypted(encrypted(data, key, bytes(16)), key, bytes(16))) == data


@pytest.mark.parametrize("data", [b"", b"a" * 16, b"\x00" * 16, b"\x02" + b"a" * 14 + b"\x02", b"\x11" * 17])
def test_what_has_no_padding_says_so(data: bytes) -> None:
    assert aes.unpadded(data) is None
