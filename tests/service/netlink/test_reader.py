"""What arrives, and what is told of what did not."""

from __future__ import annotations

import io
from contextlib import closing

import pytest

from perilune.ports import Limits, Records
from perilune.readers.auditd import AuditdReader
from perilune.service.netlink import Losses, Reader, executions, record
from tests.service.netlink.conftest import LOGIN, Run, lines_until

AWKWARD = ["lua5.4", "-e", "local _ = 'a \"quoted\" text'; -- é\n" + "x" * 20_000, ""]


def _argv(lines: list[str]) -> list[object]:
    items = AuditdReader().read(io.BytesIO("\n".join(lines).encode()), Limits())
    rows = [item for item in items if isinstance(item, Records) and item.kind == "auditd:execve"]
    return [fields["argv"] for item in rows for fields in item.fields]


@pytest.mark.needs_root
def test_every_argument_arrives_whole_through_the_reader_of_audit_logs(run: Run) -> None:
    with record(executions(LOGIN)) as recording:
        run("/bin/true", *AWKWARD)
        run("/bin/echo", "the end")
        lines = lines_until(recording, '"/bin/echo"')
    assert ["/bin/true", *AWKWARD] in _argv(lines)


@pytest.mark.needs_root
def test_two_hundred_starts_are_two_hundred_records(run: Run) -> None:
    with record(executions(LOGIN)) as recording:
        run("/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do i=$((i+1)); /bin/true one-of-many; done; /bin/echo end")
        lines = lines_until(recording, 'a0="/bin/echo"')
        losses = recording.losses()
    assert sum(argv == ["/bin/true", "one-of-many"] for argv in _argv(lines)) == 200
    assert not losses


@pytest.mark.needs_root
def test_what_did_not_fit_is_counted_to_the_record(run: Run) -> None:
    with record(executions(LOGIN)) as whole, closing(Reader(buffer=4096)) as narrow:
        run("/bin/sh", "-c", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); /bin/true; done; /bin/echo end")
        everything = lines_until(whole, 'a0="/bin/echo"')
        some = narrow.read(1.0)
        losses = narrow.losses()
    assert losses.overruns >= 1
    assert losses.dropped is not None
    sent = len(everything)
    assert len(some) < sent
    assert abs(len(some) + losses.dropped - sent) <= sent * 0.2  # the two readers did not start on the same record
    assert bool(losses)


@pytest.mark.needs_root
def test_nothing_to_read_is_nothing_after_the_wait() -> None:
    with closing(Reader()) as reader:
        while reader.read(0):
            pass
        assert reader.fileno() > 0
        assert reader.buffer >= 1 << 20


def test_losses_are_true_where_something_is_missing() -> None:
    assert not Losses()
    assert Losses(dropped=1)
    assert Losses(overruns=1, dropped=None)
    assert Losses(kernel_lost=3)
