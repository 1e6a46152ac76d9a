"""`perilune serve` as a process: the one-time password on the terminal, TLS, and the refusal to serve in the open."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "perilune.cli.main", "serve"]


@contextmanager
def serving(
    *options: str, scheme: str = "http", trust: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A running console: its first page and what it said on the terminal, filled in at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said: list[str] = []
    process = subprocess.Popen([*SERVE, "--port", str(port), *options], stderr=subprocess.PIPE, text=True)
    try:
        yield _page(f"{scheme}://127.0.0.1:{port}/login", trust), said
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        said.append(errors)


def _page(address: str, trust: ssl.SSLContext | None) -> str:
    for _ in range(200):
        try:
            with urllib.request.urlopen(address, context=trust, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")


def test_the_first_start_alone_tells_a_password() -> None:
    with serving() as (page, first):
        assert "<h1>Log in</h1>" in page
    assert re.search(r"password  [a-z0-9]{5}(-[a-z0-9]{5}){3}\n", first[0])
    with serving() as (_, second):
        pass
    assert "password" not in second[0]
    assert "listens at http://127.0.0.1:" in second[0]


def test_tls_is_served_with_the_given_files(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    trust = ssl.create_default_context(cafile=str(certificate))
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with serving(*files, scheme="https", trust=trust) as (page, _):
        assert "<h1>Log in</h1>" in page


def test_nothing_is_served_in_the_open() -> None:
    done = subprocess.run([*SERVE, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "without TLS" in done.stderr
