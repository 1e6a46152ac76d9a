"""Every step type of CACAO, walked."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import pytest

from perilune.errors import ContentError
from perilune.model.actions import Outcome, Result
from perilune.response import cacao
from perilune.response.steps import Answer, Ask, Pause, Step, Tell
from perilune.response.walk import Order, World, walk
from tests.response.build import action_step, key, playbook

ISOLATE = {"action": "isolate-host", "each": "hosts"}
END = {"type": "end"}


def taken(
    book: cacao.Playbook,
    inputs: Mapping[str, str | None] | None = None,
    *,
    facts: Mapping[str, Mapping[str, str]] | None = None,
    replies: Mapping[str, str] | None = None,
    failing: Sequence[str] = (),
    library: Mapping[str, cacao.Playbook] | None = None,
) -> tuple[bool, list[str], list[Step]]:
    """Whether it went well, the names of the steps performed in order, and everything that was said."""
    performed: list[str] = []
    said: list[Step] = []

    def perform(order: Order) -> Generator[Step, Answer, Sequence[Result]]:
        yield Tell("step", order.path, order.name)
        performed.append(order.name)
        return [Result(Outcome.FAILED if order.name in failing else Outcome.DONE)]

    world = World(library or {book.id: book}, facts or {}, {}, perform)
    walking = walk(world, book.id, inputs or {})
    answer: Answer = None
    try:
        while True:
            step = walking.send(answer)
            said.append(step)
            answer = (replies or {}).get(step.question) if isinstance(step, Ask) else None
    except StopIteration as end:
        return end.value, performed, said


def test_parallel_branches_are_all_walked_even_when_one_fails() -> None:
    book = playbook(
        {
            "start:p": {"type": "start", "on_completion": "parallel:p"},
            "parallel:p": {"type": "parallel", "next_steps": ["action:p1", "action:p2"], "on_completion": "action:p3"},
            "action:p1": action_step("one", ISOLATE, on_success="end:p1", on_failure="end:p1"),
            "action:p2": action_step("two", ISOLATE, on_completion="end:p2"),
            "action:p3": action_step("three", ISOLATE, on_completion="end:p3"),
            "end:p1": END, "end:p2": END, "end:p3": END,
        }
    )  # fmt: skip
    assert taken(book, failing=["one"])[:2] == (True, ["one", "two", "three"])


@pytest.mark.parametrize(
    ("value", "steps"), [("true", ["yes", "after"]), ("false", ["no", "after"]), ("", ["no", "after"])]
)
def test_if_takes_one_branch_and_goes_on_after_it(value: str, steps: list[str]) -> None:
    assert taken(_if(), {"__x__": value})[1] == steps


def test_if_with_an_unknown_variable_takes_neither_branch_and_fails() -> None:
    went_well, performed, said = taken(_if(), {"__x__": None})
    assert performed == ["after"]
    assert any(isinstance(one, Tell) and "unknown" in one.text for one in said)
    assert went_well


def _if() -> cacao.Playbook:
    return playbook(
        {
            "start:i": {"type": "start", "on_completion": "if-condition:i"},
            "if-condition:i": {
                "type": "if-condition", "condition": "__x__:value = true", "on_true": "action:i1",
                "on_false": "action:i2", "on_completion": "action:i3",
            },
            "action:i1": action_step("yes", ISOLATE, on_completion="end:i1"),
            "action:i2": action_step("no", ISOLATE, on_completion="end:i2"),
            "action:i3": action_step("after", ISOLATE, on_completion="end:i3"),
            "end:i1": END, "end:i2": END, "end:i3": END,
        },
        {"__x__": {"type": "bool", "external": True}},
    )  # fmt: skip


def _while(condition: str) -> cacao.Playbook:
    return playbook(
        {
            "start:w": {"type": "start", "on_completion": "while-condition:w"},
            "while-condition:w": {
                "type": "while-condition", "condition": condition, "on_true": "action:w", "on_completion": "end:w2",
            },
            "action:w": action_step(
                "again?", {"question": "Again?", "choices": ["yes", "no"], "answer": "__more__"}, on_completion="end:w",
            ),
            "end:w": END, "end:w2": END,
        },
        {"__more__": {"type": "string", "value": "yes"}},
    )  # fmt: skip


def test_while_goes_round_until_its_condition_fails() -> None:
    went_well, _, said = taken(_while("__more__:value = 'yes'"), replies={"Again?": "no"})
    assert went_well
    assert len([one for one in said if isinstance(one, Ask)]) == 1


def test_a_loop_without_end_is_stopped() -> None:
    with pytest.raises(ContentError, match="loop goes round"):
        taken(_while("__more__:value = 'yes'"), replies={"Again?": "yes"})


@pytest.mark.parametrize(("value", "steps"), [("a", ["A"]), ("b", ["B"]), ("c", ["else"]), (None, ["else"])])
def test_switch_takes_the_case_or_the_default(value: str | None, steps: list[str]) -> None:
    book = playbook(
        {
            "start:s": {"type": "start", "on_completion": "switch-condition:s"},
            "switch-condition:s": {
                "type": "switch-condition", "switch": "__x__:value", "on_completion": "end:s",
                "cases": {"a": "action:s1", "b": "action:s2", "default": "action:s3"},
            },
            "action:s1": action_step("A", ISOLATE, on_completion="end:s1"),
            "action:s2": action_step("B", ISOLATE, on_completion="end:s2"),
            "action:s3": action_step("else", ISOLATE, on_completion="end:s3"),
            "end:s": END, "end:s1": END, "end:s2": END, "end:s3": END,
        },
        {"__x__": {"type": "string", "external": True}},
    )  # fmt: skip
    assert taken(book, {"__x__": value})[1] == steps


def test_a_failed_step_takes_its_failure_branch_or_the_exception() -> None:
    steps = {
        "start:f": {"type": "start", "on_completion": "action:f1"},
        "action:f1": action_step("try", ISOLATE, on_success="end:f", on_failure="action:f2"),
        "action:f2": action_step("mend", ISOLATE, on_success="end:f"),
        "action:f3": action_step("exception", ISOLATE, on_completion="end:f"),
        "end:f": END,
    }
    book = playbook(steps, workflow_exception=key("action:f3"))
    assert taken(book)[1] == ["try"]
    assert taken(book, failing=["try"])[1] == ["try", "mend"]
    assert taken(book, failing=["try", "mend"])[:2] == (False, ["try", "mend", "exception"])


def test_variables_go_into_a_called_playbook_and_come_back() -> None:
    inner = playbook(
        {
            "start:c": {"type": "start", "on_completion": "action:c"},
            "action:c": action_step(
                "look", {"look": "command-line"}, out_args=["__verdict__"], on_completion="if-condition:c"
            ),
            "if-condition:c": {
                "type": "if-condition", "condition": "__x__:value = 'in'", "on_true": "action:c2",
                "on_completion": "end:c",
            },
            "action:c2": action_step("inner", ISOLATE, on_completion="end:c2"),
            "end:c": END, "end:c2": END,
        },
        {"__x__": {"type": "string", "external": True}, "__verdict__": {"type": "string"}},
        id=key("playbook:inner"),
    )  # fmt: skip
    outer = playbook(
        {
            "start:o": {"type": "start", "on_completion": "playbook-action:o"},
            "playbook-action:o": {
                "type": "playbook-action", "playbook_id": key("playbook:inner"), "in_args": ["__x__"],
                "out_args": ["__verdict__"], "on_completion": "if-condition:o",
            },
            "if-condition:o": {
                "type": "if-condition", "condition": "__verdict__:value = 'malicious'", "on_true": "action:o",
                "on_completion": "end:o",
            },
            "action:o": action_step("outer", ISOLATE, on_completion="end:o2"),
            "end:o": END, "end:o2": END,
        },
        {"__x__": {"type": "string", "value": "in"}, "__verdict__": {"type": "string"}},
    )  # fmt: skip
    library = {inner.id: inner, outer.id: outer}
    facts = {"command-line": {"__verdict__": "malicious"}}
    assert taken(outer, library=library, facts=facts)[1] == ["inner", "outer"]
    with pytest.raises(ContentError, match="not there"):
        taken(outer, library={outer.id: outer})


def test_delays_are_paused_and_manual_steps_are_asked() -> None:
    book = playbook(
        {
            "start:m": {"type": "start", "on_completion": "action:m"},
            "action:m": action_step("by hand", delay=1500, on_success="end:m"),
            "end:m": END,
        }
    )
    went_well, _, said = taken(book, replies={"by hand: by hand": "done"})
    assert went_well
    assert [one.seconds for one in said if isinstance(one, Pause)] == [1.5]
    assert taken(book, replies={"by hand: by hand": "not done"})[0] is False


def test_approval_is_automatic_only_where_a_variable_says_true() -> None:
    found: list[bool] = []

    def perform(order: Order) -> Generator[Step, Answer, Sequence[Result]]:
        yield Tell("step", order.path, order.name)
        found.append(order.automatic)
        return []

    for value in ("true", "True", "false", "", None):
        book = playbook(
            {
                "start:a2": {"type": "start", "on_completion": "action:a2"},
                "action:a2": action_step("x", ISOLATE | {"approval": "__auto__"}, on_completion="end:a2"),
                "end:a2": END,
            },
            {"__auto__": {"type": "bool", "external": True}},
        )
        list(walk(World({book.id: book}, {}, {}, perform), book.id, {"__auto__": value}))
    assert found == [True, True, False, False, False]
