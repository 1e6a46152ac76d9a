"""A secret is nowhere that it could be read: not in the database, what is printed, logged, kept, or in an argument."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perilune.model.analysis import Command
from perilune.model.rules import Level
from perilune.store.cases import CaseStore
from tests.build import at, case, finding
from tests.connectors.cortex_xdr.fake import Fake
from tests.connectors.vendor import Asked, Reply, serving
from tests.service.test_subject import analysis

SECRET = "s3cr3t-0f-th3-t3n4nt"


class Telling(Fake):
    """A product that gives back what it was sent, in its errors; standard keys."""

    wanted = SECRET

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != self.wanted:
            said = f"unauthorized: {asked.headers.get('authorization')}"
            return 401, {"reply": {"err_code": 401, "err_msg": said, "err_extra": asked.headers}}
        reply = super().answer(asked)
        self.settle()
        return reply

    def _unsigned(self, asked: Asked) -> None:
        return None


@pytest.fixture
def fake() -> Iterator[Telling]:
    made = Telling()
    with serving(made.vendor):
        yield made


@pytest.fixture
def home(own_home: Path, fake: Telling) -> Path:
    own_home.mkdir(parents=True)
    command = Command(0, 0, 1, "lua", "lua", "T1059.011", ("/tmp/x.lua",))
    made = case(finding(analysis=analysis(command=command), row={}), score=96, level=Level.CRITICAL, host="web-01")
    CaseStore(f"sqlite:///{own_home / 'cases.db'}").save(made, at=at(0))
    key = own_home / "key"
    key.write_text(SECRET + "\n")
    key.chmod(0o600)
    table = f'base = "{fake.vendor.url}"\nkey_id = "7"\nsecurity_level = "standard"\nkey_file = "{key}"\n'
    (own_home / "config.toml").write_text(f"[connectors.cortex_xdr]\n{table}")
    return own_home


class Watch:
    """Looks at the arguments of every process for as long as it lasts."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.005):
            for entry in os.scandir("/proc"):
                if entry.name.isdecimal():
                    try:
                        self.seen.add(Path(entry.path, "cmdline").read_bytes())
                    except OSError:
                        continue

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def perilune(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perilune", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("wanted", [SECRET, "another"], ids=["taken", "refused"])
def test_a_secret_is_sent_and_stands_nowhere(home: Path, fake: Telling, wanted: str) -> None:
    fake.wanted = wanted
    with Watch() as watch:
        ran = [perilune("respond", "C-1", "--connector", "cortex_xdr", "--json")]
        ran += [perilune("approve", "R-1", "--reason", "x", "--json"), perilune("runs", "show", "R-1", "--json")]
        ran += [perilune("audit", "export")]
    assert fake.vendor.asked, ran
    assert any(one.headers.get("authorization") == SECRET for one in fake.vendor.asked)
    if wanted == SECRET:
        assert json.loads(ran[2].stdout)["run"]["plan"]["actions"], ran
    assert any(b"cortex_xdr" in one for one in watch.seen), "nothing was watched"
    assert not [one for one in watch.seen if SECRET.encode() in one]
    assert not [one for one in ran if SECRET in one.stdout + one.stderr]
    assert "***" in ran[0].stdout + ran[0].stderr or wanted == SECRET
    kept = [path for path in home.rglob("*") if path.is_file() and path.name != "key"]
    assert any(path.suffix == ".db" for path in kept)
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_a_secret_that_others_may_read_is_refused(home: Path) -> None:
    (home / "key").chmod(0o640)
    done = perilune("respond", "C-1", "--connector", "cortex_xdr")
    assert done.returncode == 2
    assert "may be read by others" in done.stderr
    assert f"chmod 600 {home / 'key'}" in done.stderr


def test_a_secret_comes_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring", reason="needs the extra: pip install 'perilune[keyring]'")
    from keyring.backend import KeyringBackend

    from perilune.errors import UsageError
    from perilune.settings import Settings, connector_value

    class Small(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return SECRET if (service, username) == ("perilune", "cortex") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            """Nothing is written in this test."""

    before = keyring.get_keyring()
    keyring.set_keyring(Small())
    try:
        settings = Settings(home=Path("/x"), connectors={"cortex_xdr": {"key_keyring": "perilune/cortex"}})
        assert connector_value(settings, "cortex_xdr", "key") == SECRET
        missing = Settings(home=Path("/x"), connectors={"cortex_xdr": {"key_keyring": "perilune/other"}})
        with pytest.raises(UsageError, match="keyring set perilune other"):
            connector_value(missing, "cortex_xdr", "key")
    finally:
        keyring.set_keyring(before)
