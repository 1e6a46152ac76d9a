"""Live response: order of commands, polling, results, and one process ended by a script of the library."""

from __future__ import annotations

import json
import subprocess
import time
from importlib.resources import files

import pytest

from perilune.connectors.defender import Defender
from perilune.connectors.defender.live_response import get_file, put_file, run_script
from perilune.errors import ConnectorError
from perilune.model.actions import Kind, Outcome, State, Target, TargetType
from tests.build import at
from tests.connectors.defender.fake import Fake
from tests.response.build import action

PROCESS = Target(TargetType.PROCESS, "/usr/bin/lua", "web-01", 4242, at(0))
END = action(Kind.TERMINATE_PROCESS, PROCESS)


def test_a_process_is_ended_by_the_script_and_its_words_are_the_proof(defender: Defender, fake: Fake) -> None:
    assert defender.check(END).state is State.ABSENT
    assert defender.act(END, "R-1:1").outcome is Outcome.DONE
    assert defender.check(END).state is State.PENDING
    fake.settle()
    assert defender.check(END).detail == "the script says: ended"
    assert defender.check(END).state is State.HOLDS
    params = fake.actions[0]["commands"][0]["command"]["params"]
    assert {one["key"]: one["value"] for one in params}["Args"] == f"4242 {int(at(0).timestamp() * 1000)}"


@pytest.mark.parametrize("said", [{"exit_code": 1}, {"exit_code": 0, "script_output": "no idea"}, {"exit_code": 0}])
def test_a_script_that_failed_or_says_something_else_is_no_proof(
    defender: Defender, fake: Fake, said: dict[str, object]
) -> None:
    defender.act(END, "R-1:1")
    fake.settle()
    fake.prints = json.dumps(said)
    assert defender.check(END).state is State.ABSENT


@pytest.mark.parametrize("status", ["Failed", "TimeOut", "Cancelled"])
def test_a_session_that_came_to_nothing_ended_nothing(defender: Defender, fake: Fake, status: str) -> None:
    defender.act(END, "R-1:1")
    fake.settle(status)
    assert defender.check(END).state is State.ABSENT


def test_a_machine_that_is_busy_is_a_failure_with_its_reason(defender: Defender, fake: Fake) -> None:
    defender.act(END, "R-1:1")
    receipt = defender.act(END, "R-2:1")
    assert (receipt.outcome, receipt.detail.split(":")[0]) == (Outcome.FAILED, "400 ActiveRequestAlreadyExists")


def test_without_a_script_it_is_not_offered(fake: Fake, defender: Defender) -> None:
    bare = Defender(defender.secrets, base=fake.vendor.url, login=fake.vendor.url)
    assert (Kind.TERMINATE_PROCESS, TargetType.PROCESS) not in bare.handles
    assert bare.act(END, "R-1:1").outcome is Outcome.REFUSED


def test_commands_go_in_the_order_that_the_api_wants_and_their_files_come_back(defender: Defender, fake: Fake) -> None:
    machine = defender.endpoints("web-01")[0]
    commands = [get_file(r"C:\x.lua"), run_script("end.sh", "1 2"), put_file("tool.bin")]
    taken = defender.live_response.start(machine, commands, "evidence", "R-1:1")
    fake.settle()
    assert defender.live_response.wait(taken.reference).status == "Succeeded"
    assert b"exit_code" in defender.live_response.result(taken.reference, 2)


def test_polling_has_an_end(defender: Defender, fake: Fake, waits: list[float]) -> None:
    taken = defender.act(END, "R-1:1")
    with pytest.raises(ConnectorError, match="did not come to an end"):
        defender.live_response.wait(taken.reference)
    assert len(waits) == 60
    fake.settle("Failed")
    with pytest.raises(ConnectorError, match="failed"):
        defender.live_response.wait(taken.reference)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = files("perilune.content") / "scripts" / "end-process.sh"
    return subprocess.run(["sh", str(script), *arguments], capture_output=True, text=True, check=False)


def started_ms(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123
        ticks = int(stream.read().rpartition(")")[2].split()[19])
    return int((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / 100) * 1000)


def test_the_script_that_is_shipped_ends_exactly_this_process() -> None:
    """For real, in the shell that Defender runs it in on Linux."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        begun = started_ms(process.pid)
        assert run(str(process.pid), str(begun + 60_000)).stdout == "another\n"
        assert process.poll() is None
        done = run(str(process.pid), str(begun))
        assert (done.stdout, done.returncode) == ("ended\n", 0), done
        assert process.wait(5) == -9
        assert run(str(process.pid), str(begun)).stdout == "gone\n"
    finally:
        process.kill()


@pytest.mark.parametrize("wrong", [(), ("1",), ("1; id", "2"), ("$(id)", "2"), ("-1", "2"), ("1", "")])
def test_the_script_takes_two_numbers_and_nothing_else(wrong: tuple[str, ...]) -> None:
    done = run(*wrong)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_process_without_a_start_is_not_asked_for(defender: Defender, fake: Fake) -> None:
    nameless = Target(TargetType.PROCESS, "/usr/bin/lua", "web-01", 4242)
    with pytest.raises(ConnectorError, match="number and its start"):
        defender.act(action(Kind.TERMINATE_PROCESS, nameless), "R-1:1")
    assert fake.actions == []
