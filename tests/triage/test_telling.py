"""A case in one sentence: only what events show, values made short, nothing said twice."""

from __future__ import annotations

from perilune.model.case import ProcessNode
from perilune.model.events import EventRef
from perilune.model.facts import Fact, Facts, Kind
from perilune.triage import questions
from perilune.triage.telling import SHOWN, actor_of, tell
from tests.build import at, finding

TOPIC = questions.topics()["T1059.011"]
REF = EventRef("DeviceProcessEvents", "test.log", 1)


def _node(key: str, name: str, command: str, parent: str | None = None, findings: tuple[str, ...] = ()) -> ProcessNode:
    return ProcessNode(key, parent, 0, 1, name, f"/usr/bin/{name}", command, "dana", at(0), REF, findings)


def _fact(kind: Kind, name: str, value: str, *tags: str, own: bool = True) -> Fact:
    return Fact(kind, name, f"lua starts {value}: x", value, REF, at(0), "web-01", own, tags)


NGINX = _node("1", "nginx", "nginx")
LUA = _node("2", "lua5.4", "lua5.4 /tmp/a.lua", "1", ("f1",))


def test_who_ran_what_started_by_whom_and_where() -> None:
    assert tell([finding()], [NGINX, LUA], Facts(), TOPIC) == "lua5.4, started by nginx, ran /tmp/a.lua on web-01."


def test_deeds_are_told_in_their_order_and_only_the_case_s_own() -> None:
    facts = Facts(
        found={
            Kind.CONNECTION: (
                _fact(Kind.CONNECTION, "Connection", "203.0.113.7:443", "public"),
                _fact(Kind.CONNECTION, "Connection", "203.0.113.8:443", "public", "failed"),
                _fact(Kind.CONNECTION, "Connection", "203.0.113.9:443", "public", own=False),
            ),
            Kind.PERSISTENCE: (_fact(Kind.PERSISTENCE, "Cron job", "/etc/cron.d/x"),),
            Kind.CHILD: (_fact(Kind.CHILD, "Child", "sh", "odd"),),
        }
    )
    said = tell([finding()], [LUA], facts, TOPIC)
    assert said == "lua5.4 ran /tmp/a.lua, connected to 203.0.113.7:443, planted cron job and started sh on web-01."


def test_more_values_than_two_are_counted_and_long_ones_cut() -> None:
    values = ["a" * 200, "b", "c", "d", "b"]
    facts = Facts(found={Kind.DOWNLOAD: tuple(_fact(Kind.DOWNLOAD, "URL", one, "public") for one in values)})
    said = tell([finding()], [_node("2", "lua", "lua", None, ("f1",))], facts, TOPIC)
    assert "named or fetched " in said
    assert "…" in said and "a" * (SHOWN + 1) not in said
    assert " and 2 more" in said


def test_a_case_without_deeds_names_its_heaviest_rule() -> None:
    found = [finding("f1", score=30), finding("f2", score=80, rule_title="Worse")]
    assert tell(found, [], Facts(), TOPIC) == "A process matched the high rule “Worse” on web-01."


def test_it_is_about_the_interpreter_not_about_what_that_started() -> None:
    shell = _node("3", "sh", "sh -c id", "2", ("f2",))
    found = [finding("f1", score=10), finding("f2", score=90)]
    assert actor_of(found, [NGINX, shell, LUA], TOPIC) is LUA
    assert actor_of(found, [NGINX, shell], TOPIC) is shell
    assert actor_of(found, [NGINX], TOPIC) is None


def test_a_name_with_line_breaks_stays_one_line() -> None:
    said = tell([finding()], [_node("2", "lua\n\nx", "lua", None, ("f1",))], Facts(), TOPIC)
    assert "\n" not in said
