"""All facts of one case, gathered: each kind found, bounded, and what was cut counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perilune.investigation import alerts, changes, credentials, network, persistence, related, usage
from perilune.investigation.network import Lookup
from perilune.investigation.scope import Scope, bounded, coverage
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source
from perilune.model.findings import Explained, Finding
from perilune.model.people import Assets, Schedule

Learned = Callable[[Scope], tuple[Sequence[Fact], Mapping[Source, Coverage]]]


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside the logs and the case.

    lookup     asks the indicator lists; None where there are none
    bad_lists  how many entries of the lists call something bad
    others     all findings of the run
    hosts      how many hosts the run's logs name
    learned    what a learned history says of a case: facts of the kind `BASELINE`, and as coverage whether the history
               is long enough to speak (`Source.BASELINE`) and knows resources (`Source.RESOURCES`)
    """

    lookup: Lookup | None = None
    bad_lists: int = 0
    schedule: Schedule | None = None
    assets: Assets | None = None
    others: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    explained: Mapping[str, Sequence[Explained]] = field(default_factory=dict)
    hosts: int = 1
    learned: Learned | None = None


def gather(
    scope: Scope,
    around: Around,
    *,
    programs: Mapping[str, str],
    users: Iterable[str] = (),
    elsewhere: Iterable[Fact] = (),
) -> Facts:
    """The facts of one case.

    programs: by technique, the one that weighs most first, RE2 for the names of the interpreters that it is about.
    """
    found: dict[Kind, list[Fact]] = defaultdict(list)
    for one in _find(scope, around, programs, users):
        found[one.kind].append(one)
    for one in elsewhere:
        found[one.kind].append(one)
    learned, history = around.learned(scope) if around.learned else ((), {})
    found[Kind.BASELINE] += learned
    kept = {kind: bounded(facts) for kind, facts in found.items() if facts}
    asset = around.assets.find(scope.host) if around.assets else None
    return Facts(
        found={kind: facts for kind, (facts, _) in kept.items()},
        cut={kind: cut for kind, (_, cut) in kept.items() if cut},
        coverage=coverage(scope) | _beside(around, scope) | dict(history),
        begin=scope.begin,
        end=scope.end,
        criticality=asset.criticality if asset else None,
        role=asset.role if asset else "",
        expected=tuple(sorted(asset.interpreters)) if asset else (),
    )


def _find(scope: Scope, around: Around, programs: Mapping[str, str], users: Iterable[str]) -> Iterator[Fact]:
    yield from persistence.find_persistence(scope)
    yield from changes.find_changes(scope)
    yield from credentials.find_credentials(scope)
    yield from credentials.find_privilege(scope)
    yield from credentials.find_access(scope)
    yield from network.find_connections(scope, around.lookup)
    yield from network.find_downloads(scope)
    about = next(iter(programs.values()), "")
    yield from related.find_children(scope, re.compile(rf"^(?:{about})$", re.IGNORECASE))
    yield from related.find_related(scope, users)
    yield from alerts.find_alerts(scope, around.others.get(scope.host, ()))
    yield from alerts.find_errors(scope)
    yield from usage.find_use(scope, programs, around.explained.get(scope.host, ()))
    yield from usage.find_hours(scope, around.schedule)


def _beside(around: Around, scope: Scope) -> dict[Source, Coverage]:
    """The sources that are no logs: whether there is something that could speak of this case."""
    found: dict[Source, Coverage] = {}
    if around.bad_lists:
        found[Source.LISTS] = Coverage(around.bad_lists, around.bad_lists)
    users = {finding.user for finding in scope.findings if finding.user}
    if around.schedule and any(around.schedule.find(user) for user in users):
        found[Source.SCHEDULE] = Coverage(1, 1)
    if around.assets and (asset := around.assets.find(scope.host)) and asset.interpreters:
        found[Source.ASSETS] = Coverage(1, 1)
    if around.hosts > 1:
        found[Source.OTHER_HOSTS] = Coverage(around.hosts - 1, around.hosts - 1)
    return found
