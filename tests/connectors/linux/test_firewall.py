"""A host isolated for real, in a network of two namespaces; seen from outside."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perilune.connectors.linux import Linux
from perilune.connectors.linux.firewall import Firewall
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Outcome, State, Target, TargetType
from tests.response.build import HOST, action

pytestmark = pytest.mark.needs_root
MANAGEMENT, OTHER, HERE = "198.18.0.2", "198.18.1.2", ("198.18.0.1", "198.18.1.1")
ECHO = (
    "import socket,sys\n"
    "s=socket.create_server((sys.argv[1],7000),family=socket.AF_INET)\n"
    "print('up',flush=True)\n"
    "while True:\n"
    " c,_=s.accept(); c.sendall(b'hi'); c.close()\n"
)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rules() -> str:
    return run("nft", "list", "ruleset")


@contextlib.contextmanager
def listening(address: str, *prefix: str) -> Iterator[None]:
    server = subprocess.Popen([*prefix, sys.executable, "-c", ECHO, address], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"
        yield
    finally:
        server.kill()
        server.wait()
        if server.stdout:
            server.stdout.close()


def reaches(address: str) -> bool:
    try:
        with socket.create_connection((address, 7000), timeout=1) as connection:
            return connection.recv(2) == b"hi"
    except OSError:
        return False


def reached_from_outside(address: str) -> bool:
    code = f"import socket;socket.create_connection(('{address}',7000),timeout=1).recv(2)"
    done = subprocess.run(
        ["nsenter", "--net=/run/outside", sys.executable, "-c", code], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture(autouse=True)
def clean(inside: None) -> Iterator[None]:
    yield
    run("nft", "flush", "ruleset")


@pytest.fixture
def outside(clean: None) -> Iterator[None]:
    """A second network with a management station and somebody else; two cables to it."""
    if Path("/run/outside").exists():
        Path("/run/outside").unlink()
    Path("/run/outside").touch()
    run("unshare", "--net=/run/outside", "true")
    for number, (here, there) in enumerate(zip(HERE, (MANAGEMENT, OTHER), strict=True)):
        run("ip", "link", "add", f"v{number}", "type", "veth", "peer", f"w{number}")
        keeper = subprocess.Popen(["nsenter", "--net=/run/outside", "sleep", "60"])
        time.sleep(0.1)
        run("ip", "link", "set", f"w{number}", "netns", str(keeper.pid))
        run("ip", "addr", "add", f"{here}/24", "dev", f"v{number}")
        run("ip", "link", "set", f"v{number}", "up")
        run("nsenter", "--net=/run/outside", "ip", "addr", "add", f"{there}/24", "dev", f"w{number}")
        run("nsenter", "--net=/run/outside", "ip", "link", "set", f"w{number}", "up")
        keeper.kill()
        keeper.wait()
    run("nsenter", "--net=/run/outside", "ip", "link", "set", "lo", "up")
    yield
    for number in range(2):
        run("ip", "link", "del", f"v{number}")
    run("umount", "/run/outside")


def test_an_isolated_host_keeps_its_management_and_nothing_else(outside: None, tmp_path: Path) -> None:
    run("nft", "add", "table", "inet", "somebody_elses")
    before = rules()
    linux = Linux(tmp_path, (MANAGEMENT,))
    enter = ("nsenter", "--net=/run/outside")
    with listening(MANAGEMENT, *enter), listening(OTHER, *enter), listening("0.0.0.0"):
        assert reaches(MANAGEMENT) and reaches(OTHER) and reached_from_outside(HERE[1])
        assert linux.check(action()).state is State.ABSENT
        assert linux.act(action(), "R-1:1").outcome is Outcome.DONE
        assert linux.check(action()).state is State.HOLDS
        assert reaches(MANAGEMENT)
        assert not reaches(OTHER)
        assert reaches("127.0.0.1")
        assert reached_from_outside(HERE[0])  # from management, which routes there over the first cable
        linux.act(action(), "R-1:1")  # twice is the same as once
        assert linux.act(action(Kind.RELEASE_HOST), "R-2:1").outcome is Outcome.DONE
        assert reaches(OTHER)
    assert linux.check(action(Kind.RELEASE_HOST)).state is State.HOLDS
    assert rules() == before


def test_an_open_connection_ends_with_the_isolation(outside: None, tmp_path: Path) -> None:
    server = (
        "import socket,time\n"
        f"s=socket.create_server(('{OTHER}',7001)); print('up',flush=True); c,_=s.accept()\n"
        "while True: c.sendall(b'x'); time.sleep(0.05)\n"
    )
    with subprocess.Popen(
        ["nsenter", "--net=/run/outside", sys.executable, "-c", server], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.create_connection((OTHER, 7001), timeout=1) as connection:
            assert connection.recv(1) == b"x"
            Linux(tmp_path, (MANAGEMENT,)).act(action(), "R-1:1")
            connection.setblocking(True)
            connection.settimeout(1)
            with pytest.raises(TimeoutError):
                while connection.recv(65536):
                    pass
        process.kill()


def test_without_management_nothing_is_isolated(tmp_path: Path) -> None:
    before = rules()
    assert Linux(tmp_path).act(action(), "R-1:1").outcome is Outcome.REFUSED
    assert rules() == before


def block(value: str, kind: Kind = Kind.BLOCK_INDICATOR, **more: object) -> Action:
    word = TargetType.DOMAIN if value[0].isalpha() else TargetType.ADDRESS
    return action(kind, Target(word, value), **more)


def test_an_address_is_blocked_and_released_and_nothing_is_left(outside: None, tmp_path: Path) -> None:
    before = rules()
    linux = Linux(tmp_path)
    with listening(MANAGEMENT, "nsenter", "--net=/run/outside"), listening(OTHER, "nsenter", "--net=/run/outside"):
        for one in (OTHER, "2001:db8::5", "203.0.113.0/28"):
            assert linux.check(block(one)).state is State.ABSENT
            linux.act(block(one), f"R-1:{one}")
            assert linux.check(block(one)).state is State.HOLDS
        assert not reaches(OTHER)
        assert reaches(MANAGEMENT)
        for one in (OTHER, "2001:db8::5", "203.0.113.0/28"):
            linux.act(block(one, Kind.UNBLOCK_INDICATOR), f"R-2:{one}")
        assert reaches(OTHER)
    assert rules() == before


def test_a_block_ends_by_itself(tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    linux.act(block("203.0.113.9", lasts=2), "R-1:1")
    assert linux.check(block("203.0.113.9")).state is State.HOLDS
    time.sleep(2.5)
    assert linux.check(block("203.0.113.9")).state is State.ABSENT


@pytest.mark.parametrize("text", ["127.0.0.1 localhost\n", "127.0.0.1 localhost", "", "10.0.0.1 x # y\n\n"])
def test_a_name_is_led_nowhere_and_the_file_is_as_it_was_afterwards(text: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(text)
    hosts.chmod(0o640)
    firewall = Firewall((), hosts)
    firewall.act(block("evil.example.net"), "R-1:1")
    firewall.act(block("other.example.net"), "R-1:2")
    assert "192.0.2.1 evil.example.net" in hosts.read_text()
    assert firewall.check(block("evil.example.net")).state is State.HOLDS
    firewall.act(block("other.example.net", Kind.UNBLOCK_INDICATOR), "R-2:1")
    firewall.act(block("evil.example.net", Kind.UNBLOCK_INDICATOR), "R-2:2")
    assert hosts.read_text() == text
    assert hosts.stat().st_mode & 0o777 == 0o640


def test_a_name_of_the_hosts_file_is_used_by_the_system(tmp_path: Path) -> None:
    Linux(tmp_path).act(block("evil.example.net"), "R-1:1")
    assert socket.gethostbyname("evil.example.net") == "192.0.2.1"


@pytest.mark.parametrize("value", ["evil.net\n10.0.0.1 bank.example", "a b.net", "-.net", "x"])
def test_a_hostile_name_never_reaches_the_file(value: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("")
    with pytest.raises(ConnectorError):
        Firewall((), hosts).act(block(value), "R-1:1")
    assert hosts.read_text() == ""


def test_only_this_host_is_acted_on(tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    assert linux.endpoints("web-02") == []
    assert len(linux.endpoints("WEB-01.example.net")) == 1
    assert HOST.value == "web-01"
