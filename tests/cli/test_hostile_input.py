"""What cannot be read: one clear line each, exit code 3, never a traceback; the rest is still hunted."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_hunt import SAMPLES, perilune


def truncated_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress((SAMPLES / "linux-auditd.log").read_bytes())[:9000])


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.log", b"\0" * 100_000_000)


def nested_bomb(path: Path) -> None:
    inner = io.BytesIO()
    zip_bomb(inner)  # type: ignore[arg-type]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())


def truncated_json(path: Path) -> None:
    path.write_bytes((SAMPLES / "defender.json").read_bytes()[:20_001])


def deep_json(path: Path) -> None:
    path.write_text("[" * 200_000 + "]" * 200_000)


def loop(path: Path) -> None:
    path.mkdir()
    (path / "up").symlink_to(path)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.log": (lambda p: p.write_bytes(b""), "empty"),
    "binary.log": (lambda p: p.write_bytes(bytes(range(256)) * 400), "binary data that no reader recognises"),
    "prose.evtx": (lambda p: p.write_text("Dear analyst,\nthis is not a log.\n"), "no reader recognises"),
    "short.evtx": (lambda p: p.write_bytes(b"ElfFile\0" + bytes(120)), "truncated"),
    "cut.json": (truncated_json, "truncated"),
    "cut.gz": (truncated_gzip, "truncated"),
    "bomb.zip": (zip_bomb, "would unpack"),
    "nested.zip": (nested_bomb, "would unpack"),
    "deep.json": (deep_json, "deep.json"),
    "loop": (loop, "symbolic link loop"),
    "broken": (lambda p: p.symlink_to("nowhere"), "broken symbolic link"),
    "pipe": (lambda p: os.mkfifo(p), "not a regular file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_one_line_and_3(name: str, tmp_path: Path) -> None:
    make, says = FAULTS[name]
    make(tmp_path / name)
    done = perilune("hunt", tmp_path / name, "--no-store")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Read ")]
    assert done.returncode == 3, done.stderr
    assert len(lines) == 1, done.stderr
    assert says in lines[0]
    assert "Traceback" not in done.stderr


def test_a_missing_path_is_said() -> None:
    done = perilune("hunt", "no/such/folder", "--no-store")
    assert done.returncode == 3
    assert "no such file" in done.stderr


def test_a_wrong_name_does_not_matter(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    shutil.copy(SAMPLES / "linux-auditd.log", logs / "picture.png")
    assert perilune("hunt", logs, "--no-store").returncode == 1


def test_faults_do_not_keep_the_rest_from_being_hunted(tmp_path: Path) -> None:
    for name, (make, _) in FAULTS.items():
        make(tmp_path / name)
    shutil.copy(SAMPLES / "linux-auditd.log", tmp_path / "zz.log")
    done = perilune("hunt", tmp_path, "--no-store")
    assert done.returncode == 3
    assert "Critical" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    """As root, with the right to read everything given up first."""
    secret = tmp_path / "secret.log"
    secret.write_bytes((SAMPLES / "linux-auditd.log").read_bytes())
    secret.chmod(0)
    command = [sys.executable, "-m", "perilune", "hunt", str(secret), "--no-store"]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("runs as root and there is no setpriv to give up root's rights with")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "secret.log: unreadable: " in done.stderr
    assert "ermission" in done.stderr
