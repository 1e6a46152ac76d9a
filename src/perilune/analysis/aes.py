"""AES in CBC mode, decryption only, for data whose key stands beside them: nothing secret is handled here.

Written here because a library of cryptography is a compiled dependency for one idiom of PowerShell, and because
what it protects is already lost. Held against the vectors of FIPS 197 and SP 800-38A.
"""

from __future__ import annotations

from functools import lru_cache

BLOCK = 16
SIZES = (16, 24, 32)  # of a key


def _multiplied(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


@lru_cache(maxsize=1)
def _boxes() -> tuple[bytes, bytes]:
    """The substitution box and its inverse, from their definition."""
    box = bytearray(256)
    p = q = 1
    while True:
        p = p ^ (p << 1 & 0xFF) ^ (0x1B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = q
        for shift in (1, 2, 3, 4):
            turned ^= (q << shift | q >> (8 - shift)) & 0xFF
        box[p] = turned ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    inverse = bytearray(256)
    for at, value in enumerate(box):
        inverse[value] = at
    return bytes(box), bytes(inverse)


@lru_cache(maxsize=1)
def _products() -> tuple[bytes, ...]:
    """For 14, 11, 13 and 9, every byte multiplied by it."""
    return tuple(bytes(_multiplied(value, by) for value in range(256)) for by in (14, 11, 13, 9))


def _round_keys(key: bytes) -> list[bytes]:
    box, _ = _boxes()
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    size, constant = len(words), 1
    while len(words) < 4 * (size + 7):
        last = words[-1]
        if len(words) % size == 0:
            last = bytes((box[last[1]] ^ constant, box[last[2]], box[last[3]], box[last[0]]))
            constant = _multiplied(constant, 2)
        elif size > 6 and len(words) % size == 4:
            last = bytes(box[value] for value in last)
        words.append(bytes(a ^ b for a, b in zip(words[-size], last, strict=True)))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


_UNSHIFT = tuple((at - 4 * (at % 4)) % 16 for at in range(16))


def _xored(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(BLOCK, "big")


def _block(block: bytes, keys: list[bytes]) -> bytes:
    _, inverse = _boxes()
    by14, by11, by13, by9 = _products()
    state = _xored(block, keys[-1])
    for number in range(len(keys) - 2, -1, -1):
        state = _xored(bytes(inverse[state[at]] for at in _UNSHIFT), keys[number])
        if number:
            mixed = bytearray()
            for at in range(0, BLOCK, 4):
                a, b, c, d = state[at : at + 4]
                mixed += bytes(
                    (
                        by14[a] ^ by11[b] ^ by13[c] ^ by9[d], by9[a] ^ by14[b] ^ by11[c] ^ by13[d],
                        by13[a] ^ by9[b] ^ by14[c] ^ by11[d], by11[a] ^ by13[b] ^ by9[c] ^ by14[d],
                    )
                )  # fmt: skip
            state = bytes(mixed)
    return state


def decrypted(data: bytes, key: bytes, vector: bytes) -> bytes:
    """The blocks of some data, padding and all; what does not fill a block is left out."""
    keys = _round_keys(key)
    found = bytearray()
    for at in range(0, len(data) - BLOCK + 1, BLOCK):
        block = data[at : at + BLOCK]
        found += _xored(_block(block, keys), vector)
        vector = block
    return bytes(found)


def unpadded(data: bytes) -> bytes | None:
    """The data without its PKCS 7 padding; None where there is none, which is how a wrong key shows."""
    count = data[-1] if data else 0
    if not 1 <= count <= BLOCK or data[-count:] != bytes((count,)) * count:
        return None
    return data[:-count]
