"""Live response: a script of the tenant's library run on a machine, a file put or fetched, its result read at the end.

One process is ended that way. The script has a contract, whoever wrote it: its arguments are the process's number and
its start in milliseconds since 1970; it ends exactly that process and prints `ended`, `gone` or `another`, or fails.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from perilune.connectors.defender.machines import ENDED_BADLY, MachineAction, Machines, opening, state_of
from perilune.connectors.http import Answer, Client, decoded
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Endpoint, Observation, Outcome, Receipt, Request, State

GONE = ("ended", "gone", "another")
POLLS = 60
EVERY = 10.0  # seconds; the API allows 100 reads in a minute


class _Link(msgspec.Struct):
    value: str


class Transcript(msgspec.Struct):
    """What a script left behind."""

    exit_code: int
    script_name: str = ""
    script_output: str = ""
    script_errors: str = ""


def put_file(name: str) -> dict[str, object]:
    return {"type": "PutFile", "params": [{"key": "FileName", "value": name}]}


def run_script(name: str, arguments: str) -> dict[str, object]:
    params = [{"key": "ScriptName", "value": name}, {"key": "Args", "value": arguments}]
    return {"type": "RunScript", "params": params}


def get_file(path: str) -> dict[str, object]:
    return {"type": "GetFile", "params": [{"key": "Path", "value": path}]}


@dataclass(frozen=True, slots=True)
class LiveResponse:
    """Sessions on machines. `script` ends a process; without it none can be ended."""

    machines: Machines
    script: str = ""

    def start(self, machine: Endpoint, commands: Sequence[dict[str, object]], why: str, key: str) -> Receipt:
        """Once under its key. The API wants PutFile, RunScript, GetFile in this order."""
        order = ["PutFile", "RunScript", "GetFile"]
        body = {
            "Commands": sorted(commands, key=lambda one: order.index(str(one["type"]))),
            "Comment": opening(key) + why,
        }
        return self.machines.submit(machine, "runliveresponse", body, key)

    def wait(self, identifier: str) -> MachineAction:
        """The machine action at its end; raises where it does not come to one."""
        for _ in range(POLLS):
            found = self.machines.api.get(f"/api/machineactions/{_quoted(identifier)}", MachineAction)
            if found.status == "Succeeded":
                return found
            if found.status in ENDED_BADLY:
                raise ConnectorError(f"live response {found.status.lower()}", where=identifier)
            self.machines.api.sleep(EVERY)
        raise ConnectorError(
            "live response did not come to an end", where=identifier, hint="a machine that is off waits"
        )

    def result(self, identifier: str, index: int) -> bytes:
        """What one command left: a script's transcript as JSON, or a file. The link holds for 30 minutes."""
        path = f"/api/machineactions/{_quoted(identifier)}/GetLiveResponseResultDownloadLink(index={index})"
        parts = urllib.parse.urlsplit(self.machines.api.get(path, _Link).value)
        base, rest = f"{parts.scheme}://{parts.netloc}", f"{parts.path}?{parts.query}"
        client = Client(base, sleep=self.machines.api.sleep)  # no token: the link itself is the permission
        answer = client.send("GET", rest, dict, None, changes=False)
        if answer.status != 200:
            raise ConnectorError(f"the result cannot be fetched: {answer.status}", where=identifier)
        return answer.body

    def transcript(self, identifier: str, index: int = 0) -> Transcript:
        return decoded(Answer(200, self.result(identifier, index)), Transcript, identifier)

    def describe(self, action: Action) -> Sequence[Request]:
        body = {"Commands": [self._command(action)], "Comment": opening("{run}:{action}") + action.why}
        path = f"{self.machines.api.base}/api/machines/{{machine}}/runliveresponse"
        return [Request(f"POST {path}", msgspec.json.encode(body).decode(), f"{action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        """By the newest run of the script with exactly these arguments: nothing else is known without running it."""
        machine = self.machines.one(action.target.host)
        arguments = _arguments(action)
        for one in self.machines.actions(machine):
            if one.type != "LiveResponse" or one.status in ENDED_BADLY or not self._is_ours(one, arguments):
                continue
            if (state := state_of(one)).state is not State.HOLDS:
                return state
            said = self.transcript(one.id)
            word = said.script_output.split()[-1] if said.script_output.split() else ""
            if said.exit_code == 0 and word in GONE:
                return Observation(State.HOLDS, f"the script says: {word}")
            return Observation(State.ABSENT, f"the script ended with {said.exit_code}: {said.script_errors[:200]}")
        return Observation(State.ABSENT, "not asked before")

    def act(self, action: Action, key: str) -> Receipt:
        if not self.script:
            return Receipt(Outcome.REFUSED, "no script of the library is named that ends a process (terminate_script)")
        return self.start(self.machines.one(action.target.host), [self._command(action)], action.why, key)

    def _command(self, action: Action) -> dict[str, object]:
        return run_script(self.script or "{terminate_script}", _arguments(action))

    def _is_ours(self, one: MachineAction, arguments: str) -> bool:
        for command in one.commands or ():
            found = {param.key: param.value for param in (command.command.params or ())} if command.command else {}
            if found.get("ScriptName") == self.script and found.get("Args") == arguments:
                return True
        return False


def _arguments(action: Action) -> str:
    """Digits only: nothing that a case says reaches a shell."""
    target = action.target
    if target.pid is None or target.started is None:
        raise ConnectorError("a process is named by its number and its start", where=target.value)
    return f"{target.pid} {int(target.started.timestamp() * 1000)}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
