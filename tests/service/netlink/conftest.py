"""Tests of the kernel's audit run for real: as root, outside of a container. Elsewhere they say why they are skipped.

They only ever add rules for one login that nobody has, or for what they start themselves.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import pytest

from perilune.errors import SensorError
from perilune.service.netlink import Recording, executions, record
from perilune.service.netlink.control import Control
from tests.conftest import CHECKOUT

LOGIN = 64_297


@cache
def why_not() -> str:
    """Why this machine cannot be recorded; empty where it can."""
    if os.geteuid() != 0:
        return "needs root: the kernel's audit"
    try:
        with record(executions(LOGIN)):
            return ""
    except SensorError as error:
        return str(error)


@contextmanager
def audit(*, alone: bool) -> Iterator[None]:
    """Keeps tests that change the audit by hand apart from those that record, in whatever process they run."""
    folder = os.open(CHECKOUT / "tests", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(folder)


@pytest.fixture(autouse=True)
def possible(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.node.get_closest_marker("needs_root"):
        yield
        return
    if reason := why_not():
        pytest.skip(reason)
    with audit(alone=True):
        yield


@pytest.fixture
def control() -> Iterator[Control]:
    with closing(Control()) as found:
        yield found


Run = Callable[..., None]


@pytest.fixture
def run() -> Run:
    """Runs a program in a login session of its own, so that only it is recorded."""

    def become() -> None:
        Path("/proc/self/loginuid").write_text(str(LOGIN))

    def start(*command: str) -> None:
        subprocess.run(command, preexec_fn=become, check=True, capture_output=True, timeout=60)

    return start


def lines_until(recording: Recording, mark: str, seconds: int = 20) -> list[str]:
    """What is read until a record holds this text."""
    found: list[str] = []
    for _ in range(seconds * 5):
        found += recording.read(0.2)
        if any(mark in line for line in found):
            return found + recording.read(0.2)
    raise AssertionError(f"no record with {mark!r} among {len(found)}")
