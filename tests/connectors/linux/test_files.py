"""Files go into the vault and come back exactly; swapped, linked and special ones are refused."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from perilune.connectors.linux import Linux
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Outcome, State, Target, TargetType
from tests.response.build import action

pytestmark = pytest.mark.needs_root
CODE = b"os.execute('id')\n" * 1000


def on(kind: Kind, path: Path, **more: object) -> Action:
    word = TargetType.INTERPRETER if "interpreter" in kind else TargetType.FILE
    return action(kind, Target(word, str(path), "web-01"), **more)


def made(tmp_path: Path) -> Path:
    path = tmp_path / "x.lua"
    path.write_bytes(CODE)
    os.chown(path, 12345, 54321)
    path.chmod(0o4751)
    os.setxattr(path, "user.origin", b"http://bad.example/x")
    os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    return path


def facts(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    attributes = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
    times = (found.st_atime_ns, found.st_mtime_ns)
    flags = subprocess.run(["lsattr", path], capture_output=True, text=True, check=False).stdout.split(" ")[0]
    return (found.st_mode, found.st_uid, found.st_gid, times, attributes, flags, found.st_size)


def test_a_file_comes_back_with_mode_owner_times_attributes_and_flags(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    subprocess.run(["chattr", "+i", path], check=True)
    before = facts(path)
    assert linux.act(on(Kind.QUARANTINE_FILE, path), "R-1:4").outcome is Outcome.DONE
    assert linux.check(on(Kind.QUARANTINE_FILE, path)).state is State.HOLDS
    assert not path.exists()
    assert linux.act(on(Kind.RESTORE_FILE, path, undoes="R-1:4"), "R-2:1").outcome is Outcome.DONE
    assert facts(path) == before
    assert linux.check(on(Kind.RESTORE_FILE, path, undoes="R-1:4")).state is State.HOLDS
    subprocess.run(["chattr", "-i", path], check=True)
    assert path.read_bytes() == CODE


def test_the_vault_holds_no_runnable_copy_and_only_root_may_look(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    linux.act(on(Kind.QUARANTINE_FILE, path), "R-1:4")
    for one in (tmp_path / "state" / "vault").iterdir():
        assert CODE[:20] not in one.read_bytes()
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0 or one.suffix == ".json"
    assert stat.S_IMODE((tmp_path / "state" / "vault").stat().st_mode) == 0o700


def test_another_file_than_the_one_of_the_case_is_left(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    for kind in (Kind.QUARANTINE_FILE, Kind.DELETE_FILE):
        one = on(kind, path)
        one = replace(one, target=replace(one.target, sha256="00" * 32))
        receipt = linux.act(one, "R-1:4")
        assert receipt.outcome is Outcome.REFUSED
        assert hashlib.sha256(CODE).hexdigest() in receipt.detail
    assert path.read_bytes() == CODE


@pytest.mark.parametrize("what", ["link", "folder-link", "fifo", "folder", "gone"])
def test_what_is_no_plain_file_is_not_followed(tmp_path: Path, what: str) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    given = tmp_path / "given"
    match what:
        case "link":
            given.symlink_to(path)
        case "folder-link":
            (tmp_path / "away").symlink_to(tmp_path)
            given = tmp_path / "away" / "x.lua"
        case "fifo":
            os.mkfifo(given)
        case "folder":
            given.mkdir()
    with pytest.raises(ConnectorError):
        linux.act(on(Kind.QUARANTINE_FILE, given), "R-1:4")
    assert path.read_bytes() == CODE


def test_a_file_that_took_its_place_is_not_overwritten(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    linux.act(on(Kind.QUARANTINE_FILE, path), "R-1:4")
    path.write_bytes(b"new")
    assert linux.act(on(Kind.RESTORE_FILE, path, undoes="R-1:4"), "R-2:1").outcome is Outcome.REFUSED
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".perilune")] == []


def test_a_changed_copy_is_not_put_back(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    linux.act(on(Kind.QUARANTINE_FILE, path), "R-1:4")
    copy = next((tmp_path / "state" / "vault").glob("*.bytes"))
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    receipt = linux.act(on(Kind.RESTORE_FILE, path, undoes="R-1:4"), "R-2:1")
    assert receipt.outcome is Outcome.FAILED
    assert not path.exists()


def test_delete_is_for_good(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), made(tmp_path)
    assert linux.check(on(Kind.DELETE_FILE, path)).state is State.ABSENT
    linux.act(on(Kind.DELETE_FILE, path), "R-1:1")
    assert linux.check(on(Kind.DELETE_FILE, path)).state is State.HOLDS


def test_a_restricted_interpreter_does_not_run_even_for_root(tmp_path: Path) -> None:
    linux, path = Linux(tmp_path / "state"), tmp_path / "lua"
    path.write_bytes(Path("/bin/true").read_bytes())
    path.chmod(0o6755)
    subprocess.run([path], check=True)
    linux.act(on(Kind.RESTRICT_INTERPRETER, path), "R-1:1")
    assert linux.check(on(Kind.RESTRICT_INTERPRETER, path)).state is State.HOLDS
    with pytest.raises(PermissionError):
        subprocess.run([path], check=True)
    linux.act(on(Kind.ALLOW_INTERPRETER, path, undoes="R-1:1"), "R-2:1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o6755
    subprocess.run([path], check=True)
