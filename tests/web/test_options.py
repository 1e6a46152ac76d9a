from pathlib import Path

import pytest

from perilune.errors import UsageError
from perilune.web.options import Options, check


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_alone_needs_no_tls(host: str) -> None:
    assert check(Options(host=host)).secure is False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "console.example", "127.0.0.1.evil.example", ""])
def test_others_are_refused_without_tls(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without TLS"):
        check(Options(host=host))
    pem = tmp_path / "a.pem"
    pem.write_text("x")
    assert check(Options(host=host, certificate=pem, key=pem)).secure
    assert check(Options(host=host, public="https://console.example")).secure


@pytest.mark.parametrize(
    "public", ["http://a.example", "https://", "a.example", "https://a.example/x", "https://u@a.example"]
)
def test_a_public_address_is_an_https_origin(public: str) -> None:
    with pytest.raises(UsageError, match="looks like"):
        check(Options(public=public))


def test_half_of_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="come together"):
        check(Options(certificate=tmp_path / "a.pem"))
    with pytest.raises(UsageError, match="no such file"):
        check(Options(certificate=tmp_path / "a.pem", key=tmp_path / "b.pem"))
