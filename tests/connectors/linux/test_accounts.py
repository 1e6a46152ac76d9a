"""Accounts of a copied /etc: locked, unlocked exactly, and their terminals' sessions ended."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perilune.connectors.linux import Linux
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Outcome, State, Target, TargetType
from tests.response.build import action

pytestmark = pytest.mark.needs_root


def on(kind: Kind, name: str = "mallory", **more: object) -> Action:
    return action(kind, Target(TargetType.ACCOUNT, name, "web-01"), **more)


def files() -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("passwd", "shadow", "group", "gshadow"):
        path = Path("/etc") / name
        status = path.stat()
        found[name] = (path.read_bytes(), status.st_mode, status.st_uid, status.st_gid)
    return found


@pytest.fixture
def user(inside: None) -> Iterator[None]:
    subprocess.run(["useradd", "-u", "4711", "mallory"], check=True)
    subprocess.run(["chpasswd", "-e"], input="mallory:$6$abc$def\n", text=True, check=True)
    yield
    subprocess.run(["userdel", "mallory"], check=True)


def test_an_account_is_locked_and_comes_back_exactly(user: None, tmp_path: Path) -> None:
    linux, before = Linux(tmp_path), files()
    assert linux.check(on(Kind.DISABLE_USER)).state is State.ABSENT
    linux.act(on(Kind.DISABLE_USER), "R-1:5")
    assert linux.check(on(Kind.DISABLE_USER)).state is State.HOLDS
    shown = subprocess.run(["passwd", "-S", "mallory"], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1] == "L"
    expiry = subprocess.run(["chage", "-l", "mallory"], capture_output=True, text=True, check=True).stdout
    assert "1970" in expiry
    linux.act(on(Kind.ENABLE_USER, undoes="R-1:5"), "R-2:1")
    assert files() == before
    assert linux.check(on(Kind.ENABLE_USER)).state is State.HOLDS


def test_a_number_from_a_log_is_the_account(user: None, tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    linux.act(on(Kind.DISABLE_USER, "4711"), "R-1:5")
    assert linux.check(on(Kind.DISABLE_USER)).state is State.HOLDS


def test_a_password_that_was_set_in_the_meantime_is_kept(user: None, tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    linux.act(on(Kind.DISABLE_USER), "R-1:5")
    subprocess.run(["chpasswd", "-e"], input="mallory:$6$new$new\n", text=True, check=True)
    linux.act(on(Kind.ENABLE_USER, undoes="R-1:5"), "R-2:1")
    assert "mallory:$6$new$new:" in Path("/etc/shadow").read_text()


def test_a_reset_makes_the_old_password_useless(user: None, tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    linux.act(on(Kind.RESET_CREDENTIALS), "R-1:5")
    assert linux.check(on(Kind.RESET_CREDENTIALS)).state is State.HOLDS
    assert "mallory:*:" in Path("/etc/shadow").read_text()


def test_an_account_of_a_directory_is_said_to_be_unknown_here(tmp_path: Path) -> None:
    before = files()
    with pytest.raises(ConnectorError, match="no local account"):
        Linux(tmp_path).act(on(Kind.DISABLE_USER, "corp\\somebody"), "R-1:5")
    assert files() == before


def test_sessions_on_terminals_end_and_services_of_the_same_account_do_not(user: None, tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    service = subprocess.Popen(["sleep", "60"], user=4711, start_new_session=True)
    child, terminal = pty.fork()
    if child == 0:
        os.setuid(4711)
        os.execv("/bin/sh", ["sh", "-c", "sleep 60 & sleep 60"])
    time.sleep(0.3)
    assert linux.check(on(Kind.CLEAR_SESSIONS)).state is State.ABSENT
    assert linux.act(on(Kind.CLEAR_SESSIONS), "R-1:6").outcome is Outcome.DONE
    assert linux.check(on(Kind.CLEAR_SESSIONS)).state is State.HOLDS
    os.waitpid(child, 0)
    os.close(terminal)
    assert service.poll() is None
    service.kill()
    service.wait()
