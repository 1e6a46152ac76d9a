"""One function for each kind of question: facts in, an answer with its evidence out.

A function says no only where the source that would show the contrary was read for that host and time.
"""

# ruff: noqa: E501 - sentences read better whole

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from perilune.model.answers import Confidence, Said
from perilune.model.facts import Fact, Kind, Source
from perilune.triage.known import Answered, Known, no, told, unknown, weigh, yes

LONG_HISTORY = 7  # days of logs before the case after which a first run is unusual
SEVERAL_DAYS = 3  # different days of earlier runs after which a run is usual
BEACONS = 3  # connections to one address that may be a beacon

Answerer = Callable[[Known, Mapping[str, str]], Answered]
ANSWERERS: dict[str, Answerer] = {}


def _answers(function: Answerer) -> Answerer:
    ANSWERERS[function.__name__] = function
    return function


def _own(known: Known, kind: Kind, *tags: str) -> list[Fact]:
    """The facts of a kind that the case's processes did, or may have done, with one of the tags."""
    found = [one for one in known.facts.of(kind) if one.own is not False]
    return [one for one in found if not tags or set(tags) & set(one.tags)]


def _history(known: Known, name: str, tag: str) -> list[Fact]:
    return [one for one in known.facts.of(Kind.BASELINE) if one.name == name and tag in one.tags]


# --- is it usual here


@_answers
def unusual_here(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether this host does not normally run the interpreter: history first, then what the logs themselves show."""
    name = known.topic.name
    if found := _history(known, "host", "unusual"):
        return yes(f"{name} is not usual on this host: {told(found)}.", found)
    if found := _history(known, "host", "usual"):
        return no(f"{name} is usual on this host: {told(found)}.", found, sure=Confidence.HIGH)
    brought = [one for one in _brought(known) if _is_interpreter(known, one)]
    if brought:
        return yes(f"The {name} interpreter came with the case: {told(brought)}.", brought)
    if known.facts.expected:
        listed = ", ".join(known.facts.expected)
        if any(word == name.lower() or re.fullmatch(known.topic.programs, word) for word in known.facts.expected):
            return no(f"The asset file expects it here: {listed}.", sure=Confidence.HIGH)
        return yes(f"The asset file expects other interpreters here: {listed}.", _runs(known))
    return _from_logs(known)


def _brought(known: Known) -> list[Fact]:
    """Programs of the case whose files were written near it, by whomever, if not by a package manager."""
    return [one for one in known.facts.of(Kind.CHANGE) if "program" in one.tags]


def _is_interpreter(known: Known, one: Fact) -> bool:
    base = re.sub(r"\.exe$", "", re.split(r"[\\/]", one.value)[-1])
    runs = {re.sub(r"\.exe$", "", node.name.lower()) for node in known.tree if node.findings}
    return re.fullmatch(known.topic.programs, base, re.IGNORECASE) is not None or base in runs


def _from_logs(known: Known) -> Answered:
    """What the logs before the case show, where they go back far enough."""
    covered = known.facts.coverage.get(Source.PROCESSES)
    if covered is None or covered.begin is None or known.facts.begin is None:
        return unknown([Source.PROCESSES, Source.BASELINE])
    outside = [one for one in known.use if "outside" in one.tags]
    days_read = (known.facts.begin - covered.begin).days
    days = max(
        (int(tag.split("=")[1]) for one in outside for tag in one.tags if tag.startswith("days-before=")), default=0
    )
    if days >= SEVERAL_DAYS:
        return no(f"{known.topic.name} ran on {days} earlier days here: {told(outside)}.", outside)
    if days_read >= LONG_HISTORY and days == 0:
        return yes(
            f"{known.topic.name} did not run here in the {days_read} days of logs before the case.", _runs(known)
        )
    seen = f"In these logs: {told(known.use)}." if known.use else ""
    return unknown([Source.BASELINE], seen, known.use)


def _runs(known: Known) -> list[Fact]:
    return [one for one in known.use if "own" in one.tags]


@_answers
def frequent_execution(known: Known, given: Mapping[str, str]) -> Answered:
    """Frequency against the history; the count alone is no answer."""
    if found := [*_history(known, "frequency", "unusual"), *_history(known, "account", "unusual")]:
        return yes(f"More than is usual: {told(found)}.", found)
    if known.facts.has(Source.BASELINE):
        return no(f"The history knows such use: {told(_runs(known)) or 'no run was counted'}.", _runs(known))
    usual = unusual_here(known, given)
    runs = sum(int(one.value) for one in _runs(known))
    if usual.said is Said.YES and runs > 1:
        return yes(
            f"{runs:,} runs where {known.topic.name} is not usual. {usual.sentence}",
            _runs(known),
            sure=usual.confidence,
        )
    return unknown([Source.BASELINE], f"In these logs: {told(_runs(known))}." if runs else "", _runs(known))


@_answers
def unusual_execution(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether the rules found an unusual execution: what makes a case of the topic."""
    if not known.facts.has(Source.PROCESSES) and not any(f.event.table == "XScriptEvents" for f in known.mine):
        return unknown([Source.PROCESSES])
    grave = [f for f in known.mine if f.score >= 24]
    if not grave:
        return no(f"No rule above low held; {len(known.mine)} weaker findings.")
    titles = list(dict.fromkeys(f.rule_title for f in sorted(grave, key=lambda f: -f.score)))
    more = f"; and {len(titles) - 3} more rules" if len(titles) > 3 else ""
    return Answered(
        Said.YES, f"{len(grave)} findings: {'; '.join(titles[:3])}{more}.", Confidence.HIGH,
        events=tuple(dict.fromkeys(f.event for f in grave))[:12], findings=tuple(f.id for f in grave[:12]),
    )  # fmt: skip


@_answers
def unexpected_time_or_user(known: Known, given: Mapping[str, str]) -> Answered:
    if found := [one for one in known.facts.of(Kind.HOURS) if one.name == "no"]:
        return yes(f"Outside working hours: {told(found)}.", found)
    if found := [*_history(known, "hour", "unusual"), *_history(known, "account", "unusual")]:
        return yes(f"Unusual: {told(found)}.", found)
    if working := [one for one in known.facts.of(Kind.HOURS) if one.name == "yes"]:
        return no(f"In working hours: {told(working)}.", working)
    if known.facts.has(Source.BASELINE):
        return no("The history knows these accounts at these hours.")
    return unknown([Source.SCHEDULE, Source.BASELINE], _when(known))


def _when(known: Known) -> str:
    if known.facts.begin is None:
        return ""
    users = list(dict.fromkeys(f.user for f in known.mine if f.user))
    who = f" as {', '.join(users[:3])}" if users else ""
    return f"It ran from {known.facts.begin:%A %H:%M} UTC{who}."


# --- application logs


@_answers
def script_errors(known: Known, given: Mapping[str, str]) -> Answered:
    return weigh(
        known,
        known.facts.of(Kind.ERROR),
        Source.APPLICATION,
        shows="They hold errors of scripts",
        nothing="No error of a script",
    )


@_answers
def accusing_errors(known: Known, given: Mapping[str, str]) -> Answered:
    """Errors of code that was built at run time, or errors followed by a finding, speak of an attack."""
    errors = known.facts.of(Kind.ERROR)
    dynamic = [one for one in errors if "dynamic" in one.tags]
    if dynamic:
        return yes(f"Code built at run time failed: {told(dynamic)}.", dynamic, sure=Confidence.MEDIUM)
    if errors:
        return yes(f"Scripts failed near the findings: {told(errors)}.", errors, sure=Confidence.LOW)
    return weigh(known, (), Source.APPLICATION, shows="", nothing="No error of a script")


@_answers
def resource_usage(known: Known, given: Mapping[str, str]) -> Answered:
    if found := _history(known, "resources", "unusual"):
        return yes(f"More than usual: {told(found)}.", found)
    if known.facts.has(Source.RESOURCES):
        return no("The figures of these processes lie within what the history knows.")
    return unknown([Source.RESOURCES])


# --- network


def _outside(known: Known) -> list[Fact]:
    """Connections and lookups of the case's processes that lead outside and are no shared service."""
    return [one for one in _own(known, Kind.CONNECTION, "public", "listed") if "inbound" not in one.tags]


@_answers
def traffic(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether network records of the case's processes show a download or a remote hand."""
    found = [*_outside(known), *_own(known, Kind.CONNECTION, "inbound")]
    return weigh(
        known,
        found,
        Source.NETWORK,
        shows="The case's processes used the network",
        nothing="No traffic of the case's processes",
        sure=Confidence.MEDIUM,
    )


@_answers
def listed_address(known: Known, given: Mapping[str, str]) -> Answered:
    found = [*_own(known, Kind.CONNECTION, "listed"), *_own(known, Kind.DOWNLOAD, "listed")]
    return weigh(known, found, Source.NETWORK, Source.LISTS, shows="A list names it", nothing="No listed address")


@_answers
def listed_interaction(known: Known, given: Mapping[str, str]) -> Answered:
    """Confirmed: a connection to a listed address that did not fail. An address in a command line is no interaction."""
    found = [one for one in _own(known, Kind.CONNECTION, "listed") if "failed" not in one.tags]
    return weigh(
        known, found, Source.NETWORK, Source.LISTS, shows="Confirmed", nothing="No connection to a listed address"
    )


@_answers
def unexpected_connection(known: Known, given: Mapping[str, str]) -> Answered:
    found = _outside(known)
    if any(one.own for one in found):
        return yes(f"The case's processes reach outside: {told(found)}.", found)
    if found:
        return yes(f"Addresses of the case were reached: {told(found)}.", found, sure=Confidence.MEDIUM)
    if known.facts.has(Source.NETWORK):
        return weigh(
            known, (), Source.NETWORK, shows="", nothing="No connection of the case's processes to an outside address"
        )
    named = _own(known, Kind.DOWNLOAD, "public")
    return unknown([Source.NETWORK], f"The code names addresses: {told(named)}." if named else "", named)


@_answers
def downloaded(known: Known, given: Mapping[str, str]) -> Answered:
    """An address in the code, a file with its origin, or a browser that wrote what then ran."""
    listed = _own(known, Kind.DOWNLOAD, "listed")
    if listed:
        return yes(f"From a listed site: {told(listed)}.", listed)
    found = [*_own(known, Kind.DOWNLOAD, "public"), *_origins(known), *_by_browser(known)]
    if found:
        return yes(f"From a site that nobody has verified: {told(found)}.", found, sure=Confidence.MEDIUM)
    return weigh(known, (), Source.FILES, Source.NETWORK, shows="", nothing="No sign of a download")


def _origins(known: Known) -> list[Fact]:
    """Files with an origin whose path the case's processes are or name."""
    lines = "\n".join(f"{node.path} {node.command_line}" for node in known.tree).lower()[:200_000]
    found = [one for one in known.facts.of(Kind.DOWNLOAD) if "origin" in one.tags]
    return [one for one in found if one.own or any(_mentions(lines, tag) for tag in one.tags[1:])]


def _mentions(lines: str, path: str) -> bool:
    folder = re.split(r"[\\/]", path)
    return path in lines or (len(folder) > 1 and len(folder[-1]) > 4 and folder[-1] in lines)


def _by_browser(known: Known) -> list[Fact]:
    return [one for one in known.facts.of(Kind.DOWNLOAD) if {"written", "browser"} <= set(one.tags)]


@_answers
def command_and_control(known: Known, given: Mapping[str, str]) -> Answered:
    """Connections outside after the interpreter began; several to one address look like a beacon."""
    found = _outside(known)
    counts: dict[str, int] = {}
    for one in found:
        counts[one.value] = counts.get(one.value, 0) + 1
    listed = [one for one in found if "listed" in one.tags]
    if listed:
        return yes(f"To a listed address: {told(listed)}.", listed)
    if found:
        words = "once or more to each"
        if (most := max(counts.values())) >= BEACONS:
            words = f"up to {most} times to one"
        return yes(f"Possibly, {words}: {told(found)}.", found, sure=Confidence.MEDIUM)
    return weigh(known, (), Source.NETWORK, shows="", nothing="No outside connection of the case's processes")


# --- the host


@_answers
def legitimate_use(known: Known, given: Mapping[str, str]) -> Answered:
    """Yes only where a known use explains every grave finding; no where something accuses."""
    grave = [f for f in known.mine if f.score >= 24]
    explained = [f for f in known.mine if f.context]
    if explained and len(explained) == len(known.mine):
        titles = ", ".join(dict.fromkeys(f.context[0].title for f in explained))
        return Answered(
            Said.YES,
            f"A known use explains every finding: {titles}.",
            Confidence.MEDIUM,
            findings=tuple(f.id for f in explained[:12]),
        )
    accusing = [f for f in grave if f.score >= 70 and not f.context]
    if accusing:
        titles = "; ".join(list(dict.fromkeys(f.rule_title for f in accusing))[:3])
        return Answered(Said.NO, f"No known use explains: {titles}.", Confidence.HIGH,
                        events=tuple(dict.fromkeys(f.event for f in accusing))[:12], findings=tuple(f.id for f in accusing[:12]))  # fmt: skip
    if known.facts.has(Source.BASELINE) and (found := _history(known, "script", "usual")):
        return yes(f"The history knows it: {told(found)}.", found, sure=Confidence.MEDIUM)
    return unknown([Source.BASELINE, Source.ASSETS], "No known use explains it, and no grave rule accuses it.")


@_answers
def recently_installed(known: Known, given: Mapping[str, str]) -> Answered:
    """Installed by a package manager explains; a program file that appears without one accuses."""
    named = [one for one in known.facts.of(Kind.CHANGE) if "software" in one.tags and _speaks_of(known, one)]
    brought = _brought(known)
    if named:
        sure = Confidence.HIGH if any("inventory" in one.tags for one in named) else Confidence.MEDIUM
        return yes(f"A software change goes with it: {told(named)}.", named, sure=sure)
    if brought:
        return yes(f"Yes, and no software change goes with it: {told(brought)}.", brought)
    scripts = [one for one in known.facts.of(Kind.DOWNLOAD) if "written" in one.tags]
    if scripts:
        return yes(
            f"The script or program was written near the case: {told(scripts)}.", scripts, sure=Confidence.MEDIUM
        )
    missing = [s for s in (Source.INVENTORY, Source.FILES) if not known.facts.has(s)]
    return (
        unknown(missing)
        if missing
        else weigh(known, (), Source.FILES, Source.INVENTORY, shows="", nothing="No installation")
    )


def _speaks_of(known: Known, one: Fact) -> bool:
    words = re.findall(r"[a-z][a-z0-9.+_-]+", one.text.lower())
    name = known.topic.name.lower()
    return any(
        re.fullmatch(known.topic.programs, word) or name == word or word.startswith(f"{name}-") for word in words
    )


@_answers
def fits_schedule(known: Known, given: Mapping[str, str]) -> Answered:
    hours = known.facts.of(Kind.HOURS)
    if absent := [one for one in hours if one.name == "no"]:
        return no(f"{told(absent)}.", absent, sure=Confidence.HIGH)
    if hours:
        return yes(f"{told(hours)}; whether the work asked for it, a person must say.", hours, sure=Confidence.LOW)
    return unknown([Source.SCHEDULE], _when(known))


@_answers
def odd_children(known: Known, given: Mapping[str, str]) -> Answered:
    odd = [one for one in known.facts.of(Kind.CHILD) if "odd" in one.tags]
    if odd:
        return yes(f"{len(odd)} child processes that scripts seldom need: {told(odd)}.", odd)
    others = known.facts.of(Kind.CHILD)
    if others and known.facts.has(Source.PROCESSES):
        return no(f"Child processes, none of them odd: {told(others)}.", others)
    return weigh(known, (), Source.PROCESSES, shows="", nothing="No child process of the interpreter")


@_answers
def system_changes(known: Known, given: Mapping[str, str]) -> Answered:
    found = [*_own(known, Kind.CHANGE, "protection", "program"), *_own(known, Kind.PERSISTENCE)]
    needs = (Source.PROCESSES, Source.FILES) if _is_unix(known) else (Source.PROCESSES, Source.FILES, Source.REGISTRY)
    return weigh(
        known,
        found,
        *needs,
        shows="The case's processes changed the system",
        nothing="No change by the case's processes",
    )


@_answers
def persistence(known: Known, given: Mapping[str, str]) -> Answered:
    found = _own(known, Kind.PERSISTENCE)
    needs = (Source.PROCESSES, Source.FILES) if _is_unix(known) else (Source.PROCESSES, Source.FILES, Source.REGISTRY)
    sure = Confidence.HIGH if any(one.own for one in found) else Confidence.LOW
    return weigh(known, found, *needs, shows="Planted", nothing="Nothing that starts by itself was planted", sure=sure)


def _is_unix(known: Known) -> bool:
    paths = [node.path or node.command_line for node in known.tree] or [
        str(f.row.get("FolderPath") or "") for f in known.findings
    ]
    return any(path.startswith("/") for path in paths) and not any("\\" in path[:4] for path in paths)


@_answers
def credentials(known: Known, given: Mapping[str, str]) -> Answered:
    return weigh(
        known,
        _own(known, Kind.CREDENTIAL),
        Source.PROCESSES,
        Source.FILES,
        shows="Credentials were reached for",
        nothing="No reading of credentials",
    )


@_answers
def access_or_privilege(known: Known, given: Mapping[str, str]) -> Answered:
    """The runbook's third criterion. Raising rights is seen in process events; access needs logon records too."""
    found = [*_own(known, Kind.PRIVILEGE), *_own(known, Kind.CREDENTIAL), *known.facts.of(Kind.ACCESS)]
    return weigh(
        known,
        found,
        Source.PROCESSES,
        Source.LOGONS,
        shows="They coincide",
        nothing="No sign of either",
        sure=Confidence.MEDIUM,
    )


@_answers
def other_systems(known: Known, given: Mapping[str, str]) -> Answered:
    found = known.facts.of(Kind.ELSEWHERE)
    return weigh(
        known,
        found,
        Source.OTHER_HOSTS,
        shows="Seen elsewhere",
        nothing="No other host shows the same file, address, script or command",
    )


@_answers
def other_alerts(known: Known, given: Mapping[str, str]) -> Answered:
    found = known.facts.of(Kind.ALERT)
    grave = [one for one in found if "grave" in one.tags]
    if grave:
        return yes(f"Within a day: {told(grave)}.", grave)
    if found:
        return no(f"Only weak ones within a day: {told(found)}.", found)
    if any(known.facts.has(source) for source in (Source.PROCESSES, Source.NETWORK, Source.FILES, Source.SCRIPTS)):
        return no("No finding outside the case on this host within a day.")
    return unknown([Source.PROCESSES])


# --- containment


@_answers
def isolate(known: Known, given: Mapping[str, str]) -> Answered:
    grave = [f for f in known.findings if f.score >= 70]
    refs = tuple(dict.fromkeys(f.event for f in grave))[:12]
    if known.score >= 70:
        return Answered(Said.YES, f"The case scores {known.score} of 100: isolate {_host(known)} once its owner is told.", Confidence.MEDIUM,
                        events=refs, findings=tuple(f.id for f in grave[:12]))  # fmt: skip
    if known.score >= 24:
        return Answered(
            Said.NO,
            f"Not by itself: the case scores {known.score} of 100; decide after the open questions.",
            Confidence.LOW,
        )
    return Answered(Said.NO, f"The case scores {known.score} of 100.", Confidence.MEDIUM)


def _host(known: Known) -> str:
    return known.findings[0].host if known.findings else "the host"


@_answers
def reset_credentials(known: Known, given: Mapping[str, str]) -> Answered:
    """Whose: the users of the case, where credentials were reached for or the case is grave."""
    reached = [*_own(known, Kind.CREDENTIAL), *_own(known, Kind.PRIVILEGE)]
    users = list(dict.fromkeys(f.user for f in known.findings if f.user))
    whose = f" of {', '.join(users[:4])}" if users else ""
    if reached:
        return yes(f"Reset the credentials{whose}: {told(reached)}.", reached)
    if known.score >= 70:
        return Answered(
            Said.YES, f"As a precaution, those{whose}: code of an attacker ran under them.", Confidence.MEDIUM
        )
    return weigh(known, (), Source.PROCESSES, Source.FILES, shows="", nothing="No reading of credentials")


def _captured(known: Known) -> list[str]:
    """Findings that hold a script's text or code given on a command line."""
    return [f.id for f in known.findings if f.row.get("XScriptText") or (f.analysis and len(f.analysis.layers) > 1)]


@_answers
def scripts_captured(known: Known, given: Mapping[str, str]) -> Answered:
    held = _captured(known)
    files = _script_files(known)
    if held:
        more = f" The files are still to be fetched: {', '.join(files[:4])}." if files else ""
        return Answered(
            Said.YES, f"{len(held)} findings hold code of theirs.{more}", Confidence.MEDIUM, findings=tuple(held[:12])
        )
    fetch = f"Fetch {', '.join(files[:4])} from the host." if files else ""
    if known.facts.has(Source.SCRIPTS):
        return no(f"The logs hold scripts, but none of this case. {fetch}".strip())
    return unknown([Source.SCRIPTS], fetch)


def _script_files(known: Known) -> list[str]:
    pattern = re.compile(rf"[^\s\"'<>|;=]*(?:{known.topic.scripts})(?=$|[\s\"'])", re.IGNORECASE)
    lines = [node.command_line for node in known.tree if node.findings]
    return list(dict.fromkeys(match.group() for line in lines for match in pattern.finditer(line[:4000])))


@_answers
def functionality(known: Known, given: Mapping[str, str]) -> Answered:
    """What the analysis of the case's code says; only what was captured can be told."""
    able: dict[str, str] = {}
    for finding in known.findings:
        for capability in finding.analysis.capabilities if finding.analysis else ():
            if capability.weight > 0:
                able.setdefault(capability.title, finding.id)
    if able:
        more = f" and {len(able) - 5} more" if len(able) > 5 else ""
        return Answered(Said.YES, f"In part: {'; '.join(list(able)[:5])}{more}. `perilune analyze FILE` explains a script.", Confidence.MEDIUM,
                        findings=tuple(dict.fromkeys(able.values()))[:12])  # fmt: skip
    return unknown([Source.SCRIPTS], "`perilune analyze FILE` explains a script once it is fetched.")


@_answers
def restrict(known: Known, given: Mapping[str, str]) -> Answered:
    usual = unusual_here(known, given)
    if usual.said is Said.YES:
        return Answered(
            Said.YES,
            f"Nothing here seems to need {known.topic.name}: {usual.sentence}",
            usual.confidence,
            events=usual.events,
        )
    if usual.said is Said.NO:
        return Answered(Said.NO, f"Not outright, others use it: {usual.sentence}", Confidence.LOW, events=usual.events)
    return Answered(Said.UNKNOWN, usual.sentence, usual.confidence, usual.needs, usual.events)


# --- what a sub-technique's own questions use


@_answers
def matches(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a command line or a script of the case fits a pattern. `needs`: the sources that would show it."""
    pattern = re.compile(given["pattern"], re.IGNORECASE)
    held = [
        Fact(Kind.RELATED, "match", f"{node.name}: {node.command_line[:160]}", "", node.event, node.time)
        for node in known.tree
        if node.event is not None and pattern.search(node.command_line[:20_000])
    ]
    tried: dict[tuple[str, str], re.Match[str] | None] = {}  # findings share their texts
    for finding in known.findings:
        script = str(finding.row.get("XScriptText") or "")
        own = finding.analysis.layers if finding.analysis else ()
        key = (own[0].text if own else "", script)  # the other layers follow from the first
        if key not in tried:
            layers = "\n".join(layer.text for layer in own)
            tried[key] = pattern.search(script[:20_000]) or pattern.search(layers[:20_000])
        if found := tried[key]:
            said = " ".join(found.string[max(0, found.start() - 20) : found.end() + 100].split())
            held.append(Fact(Kind.RELATED, "match", said[:160], "", finding.event, finding.time))
    needs = [Source[name] for name in given.get("needs", "PROCESSES").split()]
    nothing = given.get("nothing", "Nothing of the kind")
    if known.tree_cut:  # what was left out of the tree was not looked at
        nothing += f" among the {len(known.tree)} processes kept with the case ({known.tree_cut:,} were left out),"
    return weigh(known, _once(held), *needs, shows=given.get("shows", "Found"), nothing=nothing)


def _once(facts: Sequence[Fact]) -> list[Fact]:
    return list({(one.event, one.text): one for one in facts}.values())


@_answers
def parents(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a process of the case's interpreter was started by a program whose name fits a pattern."""
    pattern = re.compile(given["pattern"], re.IGNORECASE)
    nodes = {node.key: node for node in known.tree}
    held: list[Fact] = []
    for node in known.tree:
        parent = nodes.get(node.parent or "")
        if (
            node.event is None
            or parent is None
            or not re.fullmatch(known.topic.programs, _base(node.name), re.IGNORECASE)
        ):
            continue
        if pattern.fullmatch(_base(parent.name)):
            held.append(Fact(Kind.CHILD, "parent", f"{parent.name} starts {node.name}", "", node.event, node.time))
    return weigh(
        known, held, Source.PROCESSES, shows=given.get("shows", "Yes"), nothing=given.get("nothing", "No such parent")
    )


def _base(name: str) -> str:
    return re.sub(r"\.exe$", "", name.lower())


@_answers
def source_read(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether a source was read for this host and time at all."""
    source = Source[given["source"]]
    if not known.facts.has(source):
        return unknown([source])
    return Answered(
        Said.YES,
        f"{known.facts.coverage[source].near:,} {source.value} of the host near the case were read.",
        Confidence.HIGH,
    )
