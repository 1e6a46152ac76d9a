"""The same code on the far side of a real sshd, its host key pinned; what it answers is not trusted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("paramiko", reason="needs the extra: pip install 'perilune[ssh]'")

from perilune.connectors.linux import plain
from perilune.connectors.linux.far import Reply
from perilune.connectors.linux.proc import load_process, started_at
from perilune.connectors.linux.ssh import Ssh, Way, shipped
from perilune.errors import ConnectorError, TooLate, UsageError
from perilune.model.actions import Endpoint, Kind, Outcome, Receipt, State, Target, TargetType
from perilune.ports import looking
from tests.connectors.linux.test_files import facts
from tests.response.build import action

pytestmark = pytest.mark.needs_root
SSHD = "/usr/sbin/sshd"
HOST = Target(TargetType.HOST, "web-01")


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def way(inside: None, tmp_path: Path) -> Iterator[Way]:
    """A server on loopback, inside the namespaces: its own host key, one key that may log in."""
    if not shutil.which(SSHD):
        pytest.skip("needs sshd (Debian: openssh-server)")
    server, client = make_key(tmp_path / "server"), make_key(tmp_path / "client")
    (tmp_path / "authorized").write_text((tmp_path / "client.pub").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "config").write_text(
        f"HostKey {server}\nListenAddress 127.0.0.1:{port}\nAuthorizedKeysFile {tmp_path / 'authorized'}\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "config"], stderr=subprocess.DEVNULL)
    pin(tmp_path / "pinned", port, (tmp_path / "server.pub").read_text())
    wait_for(port)
    addresses = {"web-01": f"127.0.0.1:{port}"}
    yield Way("root", tmp_path / "pinned", client, addresses, state=str(tmp_path / "far"), python=sys.executable)
    process.kill()
    process.wait()


def pin(path: Path, port: int, key: str) -> None:
    path.write_text(f"[127.0.0.1]:{port} {' '.join(key.split()[:2])}\n")
    path.chmod(0o644)


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def test_a_host_is_one_endpoint_and_one_that_is_not_pinned_is_none(way: Way) -> None:
    ssh = Ssh(way)
    assert [one.name for one in ssh.endpoints("web-01")] == ["web-01"]
    assert ssh.endpoints("web-02") == []


def test_another_host_key_is_refused_and_nothing_is_sent(way: Way, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    pin(way.pinned, way.place("web-01")[1], other.with_suffix(".pub").read_text())
    with pytest.raises(ConnectorError, match="not the pinned one"):
        Ssh(way).check(action())
    assert not Path(way.state).exists()


def test_a_host_without_a_pinned_key_is_never_trusted_on_first_use(way: Way) -> None:
    way.pinned.write_text("")
    with pytest.raises(ConnectorError, match="no connection"):
        Ssh(way).check(action())
    assert way.pinned.read_text() == ""


def test_a_file_goes_into_the_vault_over_there_and_back_exactly(way: Way, tmp_path: Path) -> None:
    script = tmp_path / "stage.lua"
    script.write_text("print(1)")
    script.chmod(0o751)
    os.setxattr(script, "user.origin", b"x")
    before = facts(script)
    target = Target(TargetType.FILE, str(script), "web-01")
    one, ssh = action(Kind.QUARANTINE_FILE, target), Ssh(way)
    assert ssh.check(one).state is State.ABSENT
    assert ssh.act(one, "R-1:1").outcome is Outcome.DONE
    assert (ssh.check(one).state, script.exists()) == (State.HOLDS, False)
    ssh.act(action(Kind.RESTORE_FILE, target, undoes="R-1:1"), "R-2:1")
    assert facts(script) == before


def test_a_tree_is_ended_over_there(way: Way) -> None:
    code = "import os,time\nos.fork()\nos.fork()\nprint('up',flush=True)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = load_process(process.pid)
        assert found is not None
        target = Target(TargetType.PROCESS, "python3", "web-01", process.pid, started_at(found))
        receipt = Ssh(way).act(action(Kind.TERMINATE_TREE, target), "R-1:1")
        assert (receipt.outcome, receipt.detail) == (Outcome.DONE, "4 processes ended")
        assert process.wait(5) == -9


def test_isolation_keeps_the_way_in_that_the_question_came_by(way: Way) -> None:
    ssh = Ssh(way, management=("198.18.0.2",))
    assert ssh.act(action(), "R-1:1").outcome is Outcome.DONE
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert "127.0.0.1" in rules
    assert "198.18.0.2" in rules
    assert ssh.check(action()).state is State.HOLDS
    ssh.act(action(Kind.RELEASE_HOST), "R-2:1")
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout == ""


def test_leave_that_ended_is_found_out_before_the_question_is_written(way: Way) -> None:
    def late() -> None:
        raise TooLate("the approval expired")

    with looking(late), pytest.raises(TooLate):
        Ssh(way).act(action(), "R-1:1")
    assert not Path(way.state).exists()


def liar(way: Way, folder: Path, says: bytes) -> Ssh:
    """A far side that was taken over: it answers what it likes."""
    (folder / "says").write_bytes(says)
    program = folder / "liar"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\ncat {folder / 'says'}\n")
    program.chmod(0o755)
    return Ssh(replace(way, python=str(program)))


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"", "did not answer"),
        (b"garbage", "what is no answer"),
        (b'{"receipt": {"outcome": "perfect"}}', "what is no answer"),
        (b'{"receipt": {"outcome": 1}}', "what is no answer"),
        (b"[" * 100_000, "what is no answer"),
        (b"x" * ((1 << 20) + 1), "more than"),
        (plain.encode(Reply(endpoints=(Endpoint("e", "web-01"),))), "something else"),
        (plain.encode(Reply(receipt=Receipt(Outcome.DONE, confirmed=True))), "only a check can show"),
        (plain.encode(Reply(error="x" * 9000)), "x" * 100),
    ],
    ids=["nothing", "garbage", "outcome", "type", "deep", "long", "another", "confirmed", "error"],
)
def test_what_the_far_side_says_is_not_trusted(way: Way, tmp_path: Path, says: bytes, why: str) -> None:
    with pytest.raises(ConnectorError, match=why) as error:
        liar(way, tmp_path, says).act(action(), "R-1:1")
    assert len(str(error.value)) < 3000


def test_a_long_text_of_the_far_side_is_cut(way: Way, tmp_path: Path) -> None:
    says = plain.encode(Reply(receipt=Receipt(Outcome.FAILED, "x" * 100_000)))
    assert len(liar(way, tmp_path, says).act(action(), "R-1:1").detail) == 2000


def test_keys_that_others_may_read_or_pins_that_others_may_write_are_refused(way: Way) -> None:
    assert way.key is not None
    way.key.chmod(0o644)
    with pytest.raises(UsageError, match="read by others"):
        Ssh(way).check(action())
    way.key.chmod(0o600)
    way.pinned.chmod(0o666)
    with pytest.raises(UsageError, match="others may write"):
        Ssh(way).check(action())


def test_what_is_shipped_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_bytes(shipped())
    code = "import sys; sys.path.insert(0, sys.argv[1]); import perilune.connectors.linux.far as f; print(f.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, tmp_path / "code.zip"], capture_output=True, text=True, check=False
    )
    assert "code.zip" in done.stdout, done.stderr
    assert len(shipped()) < 100_000


def test_nothing_of_a_case_stands_in_the_command() -> None:
    way = Way("root", Path("/x"))
    assert "$" not in way.command
    assert replace(way, sudo=True).command.startswith('sudo -n SSH_CONNECTION="$SSH_CONNECTION" python3 -I -c')
    with pytest.raises(UsageError, match="no program"):
        _ = replace(way, python="python3; id").command
