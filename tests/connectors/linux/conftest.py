"""Runs each test of this folder in namespaces of its own: network, mounts, processes, names; its /etc is a copy.

Nothing outside is isolated, killed, locked or changed. The tests of a file and their fixtures run in one second pytest
inside; its results are the results. Outside not even a fixture runs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

INSIDE = "PERILUNE_TEST_INSIDE"
NEEDS = ("unshare", "nft", "ip", "mount")
_SETUP = """
set -e
mount --make-rprivate /
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount -t tmpfs none /run
hostname web-01
ip link set lo up
shift
"$@"
"""


def why_not() -> str:
    """Why these tests cannot run here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root: network, mount and process namespaces"
    missing = [name for name in NEEDS if shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    if missing:
        return f"needs the program {missing[0]}"
    tried = subprocess.run(["unshare", "-mnpuf", "--mount-proc", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


_results: dict[str, str] = {}


def run_inside(nodes: list[str]) -> dict[str, str]:
    """What went wrong in each test, by its node; nothing where it passed."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        test = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *nodes]
        done = subprocess.run(
            ["unshare", "-mnpuif", "--kill-child", "--mount-proc", "sh", "-c", _SETUP, "inside", scratch, *test],
            cwd=CHECKOUT,
            env=os.environ | {INSIDE: str(report), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        found: dict[str, str] = json.loads(report.read_text()) if report.exists() else {}
    missing = f"it did not come to its end inside:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return {node: found.get(node, missing) for node in nodes}


def _outcome(item: pytest.Item) -> None:
    if reason := why_not():
        pytest.skip(reason)
    if item.nodeid not in _results:
        same = [one.nodeid for one in item.session.items if one.path == item.path]
        _results.update(run_inside(same))
    if failed := _results[item.nodeid]:
        pytest.fail(f"inside the namespaces:\n{failed}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    here = Path(__file__).parent in item.path.parents  # pytest asks this of every test, wherever it stands
    if not here or item.get_closest_marker("needs_root") is None or os.environ.get(INSIDE):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    call = pytest.CallInfo.from_call(lambda: _outcome(item), "call")
    item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call(item, call))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What the test before left for this one, which a test that runs elsewhere would not take down.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Inside: writes each test's end where the outer run reads it."""
    if not (path := os.environ.get(INSIDE)):
        return
    known = json.loads(Path(path).read_text()) if Path(path).exists() else {}
    known[report.nodeid] = known.get(report.nodeid, "") + (report.longreprtext if report.failed else "")
    Path(path).write_text(json.dumps(known))


@pytest.fixture(autouse=True)
def inside() -> None:
    """Last guard: a test that found itself outside would act on the machine that runs it."""
    assert os.environ.get(INSIDE), "outside of the namespaces"
    assert socket.gethostname() == "web-01", "outside of the namespaces"
