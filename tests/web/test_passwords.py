import pytest

from perilune.errors import UsageError
from perilune.web import passwords


def test_a_password_is_kept_as_argon2id_and_known_again() -> None:
    kept = passwords.hash_password("a moon of my own")
    assert kept.startswith("$argon2id$")
    assert passwords.is_password(kept, "a moon of my own")
    assert not passwords.is_password(kept, "a moon of my owN")
    assert not passwords.is_password(None, "a moon of my own")
    assert not passwords.is_password("no hash at all", "a moon of my own")
    assert not passwords.is_password(kept, "a" * 10_000_000)


@pytest.mark.parametrize("weak", ["short", "x" * 300, "ANALYST-analyst-1", "aaaaaaaaaaaaaaaa", "the old password"])
def test_weak_ones_are_refused(weak: str) -> None:
    with pytest.raises(UsageError):
        passwords.check_new(weak, name="analyst", old="the old password")


def test_one_time_passwords_are_good_and_differ() -> None:
    made = {passwords.make_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check_new(password, name="analyst")
