"""Passwords: Argon2id hashes, what a good one is, and one-time passwords for those who have none yet."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from perilune.errors import UsageError

LEAST = 12
MOST = 256
_HASHER = PasswordHasher()
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one; takes as long where there is none, so that names cannot be tried out."""
    try:
        return _HASHER.verify(stored or _nobody(), password[: MOST + 1]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def check_new(password: str, *, name: str, old: str = "") -> None:
    """Refuses a password that is short, long, or easily guessed from what stands beside it."""
    if not LEAST <= len(password) <= MOST:
        raise UsageError(f"a password has {LEAST} to {MOST} characters")
    if name.lower() in password.lower() or password == old or len(set(password)) < 5:
        raise UsageError("the password holds the user's name, is the old one, or repeats a few characters")


def make_password() -> str:
    """Twenty characters in groups: about 99 bits, easily typed."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


@cache
def _nobody() -> str:
    return hash_password(secrets.token_hex(16))
