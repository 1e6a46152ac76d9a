"""The block list of hashes. The API can add and remove, and has no call that reads it.

So an addition is confirmed by asking for it once more: the answer is then that it is on a list already. One that is
refused with these words the first time may be on the allow list as well; which one it is, nobody says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from perilune.connectors.cortex_xdr.api import Api, envelope, path_of, reason
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State

LISTED = "All hashes have already been added to the allow or block list"
CALLS = {
    Kind.BLOCK_INDICATOR: "hash_exceptions/blocklist",
    Kind.UNBLOCK_INDICATOR: "hash_exceptions/blocklist/remove",
}


class _Reply(msgspec.Struct):
    reply: object = None


@dataclass(frozen=True, slots=True)
class Hashes:
    """Block and release by SHA-256."""

    api: Api

    def describe(self, action: Action) -> Sequence[Request]:
        where = f"POST {self.api.base}{path_of(CALLS[action.kind])}"
        effect = f"{action.kind} {action.target.words} on every endpoint; asked twice, for the list cannot be read"
        return [Request(where, envelope(_data(action, "{run}:{action}")), effect)]

    def check(self, action: Action) -> Observation:
        return Observation(State.BLIND, "Cortex has no call that reads its block list")

    def act(self, action: Action, key: str) -> Receipt:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", action.target.value):
            return Receipt(Outcome.REFUSED, "Cortex blocks by SHA-256 only")
        first = self._once(action, key)
        if first is None and action.kind is Kind.BLOCK_INDICATOR:
            return Receipt(
                Outcome.UNKNOWN, "it is on the allow or the block list already; Cortex does not say on which"
            )
        if action.kind is Kind.UNBLOCK_INDICATOR or (first is not None and first.outcome is not Outcome.DONE):
            return first or Receipt(Outcome.UNKNOWN, "it may not have been listed")
        assert first is not None
        if self._once(action, key) is None:
            return replace(first, detail="taken, and the list says that it has it", confirmed=True)
        return replace(first, detail="taken, and the list did not say that it has it")

    def _once(self, action: Action, key: str) -> Receipt | None:
        """The answer; None where it is that there is nothing to do."""
        call = CALLS[action.kind]
        answer = self.api.post(call, _data(action, key), changes=True)
        said = reason(answer)
        if answer.status == 500 and LISTED in said:
            return None
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {said}", where=call)
        if answer.status not in (200, 201):
            return Receipt(Outcome.FAILED, f"{answer.status} {said}")
        try:
            taken = msgspec.json.decode(answer.body, type=_Reply).reply
        except msgspec.DecodeError as error:
            raise ConnectorError(f"the answer is not what is documented: {error}", where=call) from error
        return Receipt(Outcome.DONE if taken is True else Outcome.UNKNOWN, f"the answer is {taken!r}"[:200])


def _data(action: Action, key: str) -> dict[str, object]:
    return {"hash_list": [action.target.value.lower()], "comment": f"Perilune {key}: {action.why}"}
