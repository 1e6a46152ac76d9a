"""Each analogue, run: the same intents as source, as stripped bytecode of its version, and in every wrapping.

Only what the run itself shows counts here: its calls, the strings it built, the data that reached code, programs or the network.
`python -m tests.analysis.lua.test_cage_corpus` writes the table of docs/reference/lua-cage.md anew.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from perilune.analysis.lua import cage, controlled
from perilune.analysis.lua.apis import packaged
from perilune.analysis.lua.work import Work
from perilune.model.analysis import Capability
from perilune.model.lua import Outcome, Trace
from tests.analysis.lua.test_cage import READY, WHY, identity
from tests.analysis.lua.test_corpus import ANALOGUES, CONCEALING, HERE
from tests.analysis.lua.wrap import WRAPPINGS
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")
FORMS = ("source", "bytecode", *WRAPPINGS)
PAGE = CHECKOUT / "docs" / "reference" / "lua-cage.md"
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"


def code_of(name: str, form: str) -> bytes:
    if form == "bytecode":
        return (HERE / "compiled" / f"{name}.luac").read_bytes()
    source = (HERE / f"{name}.lua").read_bytes()
    return source if form == "source" else WRAPPINGS[form](source)


@lru_cache(maxsize=200)
def ran(name: str, form: str) -> Trace:
    code = code_of(name, form)
    return cage.run(code, identity(code), name="notes.txt")


def shown(trace: Trace) -> list[Capability]:
    """What the run alone comes to, by the table of APIs that reading uses too. The text of loaded code does not count."""
    codes = [one.code.decode("latin-1") for one in trace.chunks]
    record = controlled._Record(0)
    record.calls([replace(one, arguments=()) if set(one.arguments) & set(codes) else one for one in trace.events])
    record.loads(trace.chunks)
    record.strings([text for text in trace.strings if not any(text in code for code in codes)])
    marks = list(controlled._marks(Work(packaged()), record))
    return packaged().find(record.called, record.built, marks)


def intents(trace: Trace) -> set[str]:
    return {one.id for one in shown(trace)} - CONCEALING


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_every_form_shows_the_same(one: dict[str, Any], form: str) -> None:
    trace = ran(one["name"], form)
    wanted = set(one["intents"]) - CONCEALING
    assert trace.outcome is Outcome.EXPLAINED, trace.reason
    assert intents(trace) == wanted
    techniques = {t for found in shown(trace) if found.id in wanted for t in found.techniques}
    assert techniques == {t for c in packaged().definitions.values() if c.id in wanted for t in c.techniques}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_every_form_names_the_same_places(one: dict[str, Any], form: str) -> None:
    """Addresses and paths of the sample stand in what it did, whatever it was wrapped in."""
    texts = "\n".join(text for event in ran(one["name"], form).events for text in event.arguments)
    for indicator in one["indicators"]:
        assert indicator.partition(" ")[2].split(" ")[0] in texts


def test_harmless_code_is_nothing_when_it_runs() -> None:
    source = b"local t = {}\nfor i = 1, 10 do t[i] = i * i end\nprint(table.concat(t, ', '))\nreturn t\n"
    for code in (source, *(wrap(source) for wrap in WRAPPINGS.values())):
        assert intents(cage.run(code, identity(code))) == set()


def table() -> str:
    lines = [f"| Analogue | {' | '.join(FORMS)} | Seen when it ran |", "|" + " --- |" * (len(FORMS) + 2)]
    for one in ANALOGUES:
        wanted = set(one["intents"]) - CONCEALING
        cells = []
        for form in FORMS:
            found = intents(ran(one["name"], form))
            cells.append("all" if found == wanted else f"{len(found & wanted)} of {len(wanted)}")
        lines.append(
            f"| {one['family']} | {' | '.join(cells)} | {', '.join(sorted(intents(ran(one['name'], 'source'))))} |"
        )
    return "\n".join(lines)


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
