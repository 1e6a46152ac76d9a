"""The audit's state as the kernel tells it, and its refusals in words."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from perilune.service.netlink.control import Control, refused


@pytest.mark.needs_root
def test_the_state_is_the_one_that_auditctl_shows(control: Control) -> None:
    try:
        shown = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("needs auditctl to compare with")
    fields = dict(line.split(maxsplit=1) for line in shown.splitlines() if " " in line)
    status = control.status()
    assert status.daemon == int(fields["pid"])
    assert status.lost >= int(fields["lost"])


@pytest.mark.needs_root
def test_without_the_right_it_is_refused_in_words() -> None:
    code = (
        "import os; os.setgid(65534); os.setuid(65534)\n"
        "from perilune.service.netlink import *\n"
        "from perilune.errors import SensorError\n"
        "for what in (lambda: record(executions()).__enter__(), Reader):\n"
        "    try: what()\n"
        "    except SensorError as error: print(error)\n"
    )
    preload = "import perilune.service.netlink, perilune.service.netlink.recording\n"
    done = subprocess.run([sys.executable, "-c", preload + code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.splitlines()
        == ["the kernel refuses its audit to this process (run as root, outside of a container)"] * 2
    )


def test_refusals_say_what_to_do() -> None:
    assert "not in a container" in str(refused(OSError(errno.ECONNREFUSED, "refused")))
    assert "no audit" in str(refused(OSError(errno.EPROTONOSUPPORT, "")))
    assert "Too many" in str(refused(OSError(errno.E2BIG, "Too many arguments")))
