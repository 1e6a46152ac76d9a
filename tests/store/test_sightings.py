"""Findings that a case only counts are known once, under that case."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from perilune.store import audit
from perilune.store.cases import CaseStore
from perilune.store.sightings import Sightings
from tests.build import at, case, finding


def test_counted_findings(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    with closing(CaseStore(url)) as cases, closing(Sightings(url)) as sightings:
        one, _ = cases.save(case(finding("f1")), at=at(0))
        assert sightings.known(["f1", "f2"]) == {"f1": one.id}
        assert sightings.claim({"f1": one.id, "f2": one.id, "f3": one.id}) == {"f2", "f3"}
        assert sightings.claim({"f2": one.id}) == set()
        sightings.note(one.id, {"rule-f2": 2}, at=at(1), who="perilune watch")
        found = cases.load(one.id)
        assert [f.id for f in found.findings] == ["f1"]
        assert (found.entries[-1].kind, found.entries[-1].body) == ("repeats", {"not_listed": {"rule-f2": 2}})
        assert sightings.known(["f2"]) == {"f2": one.id}
        assert audit.verify(cases._database)[2] == []
