"""The child says what failed instead of starting the test with more than it should have."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from perilune.service.validation import launch


def _launched(*before: str, **order: object) -> tuple[int, dict[str, object]]:
    reading, writing = os.pipe()
    whole = {"told": writing, "login": 64_298, "user": 64_298, "folder": "/", "environment": {}} | order
    command = [*before, sys.executable, "-I", launch.__file__, json.dumps(whole)]
    done = subprocess.run(command, pass_fds=[writing], check=False, capture_output=True, timeout=30)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        return done.returncode, json.loads(stream.read())


@pytest.mark.needs_root
def test_a_folder_that_is_not_there_ends_it_before_the_test_begins() -> None:
    code, told = _launched(folder="/nowhere", argv=["/bin/true"])
    assert (code, told) == (126, {"error": "No such file or directory: /nowhere"})


@pytest.mark.needs_root
def test_it_tells_its_session_and_becomes_the_test() -> None:
    code, told = _launched(argv=["/bin/sh", "-c", "exit 7"])
    assert code == 7
    assert isinstance(told["session"], int)


@pytest.mark.needs_root
def test_without_the_right_to_a_session_there_is_no_test() -> None:
    given_already = 'echo 64298 > /proc/self/loginuid; exec setpriv --bounding-set=-audit_control "$@"'
    code, told = _launched("sh", "-c", given_already, "sh", argv=["/bin/true"])
    assert code == 126
    assert "a session of its own" in str(told["error"])
