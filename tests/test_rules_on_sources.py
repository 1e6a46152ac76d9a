"""One rule of each kind of log source, over logs as products write them: what is read is also found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perilune import pipeline
from tests.conftest import CHECKOUT

GOLDEN = CHECKOUT / "tests" / "readers" / "golden"
LUA = {"Image|endswith": ["\\lua54.exe", "/lua5.4"], "CommandLine|contains": "os.execute"}
WINDOWS = {"category": "process_creation", "product": "windows"}
LINUX = {"category": "process_creation", "product": "linux"}
CASES = [
    *(
        (f"{name}.jsonl", WINDOWS, LUA)
        for name in "winlogbeat nxlog splunk sentinel ecs ocsf crowdstrike cortex".split()
    ),
    ("events.xml", WINDOWS, {"Image|endswith": "\\lua54.exe", "CommandLine|contains": "1 < 2"}),
    *((f"{name}.jsonl", LINUX, LUA) for name in "sentinel laurel osquery ecs".split()),
    ("syslog.log", LINUX, LUA),
    ("falco.jsonl", LINUX, {"Image|endswith": "/dash", "ParentCommandLine|startswith": "nginx"}),
    ("tetragon.jsonl", LINUX, {"Image|endswith": "/lua5.4", "ParentImage|endswith": "/nginx"}),
    ("winlogbeat.jsonl", {"category": "ps_module", "product": "windows"}, {"Payload|contains": "Invoke-Expression"}),
    ("winlogbeat.jsonl", {"category": "ps_classic_start", "product": "windows"}, {"Data|contains": "-version 2"}),
    ("events.xml", {"category": "ps_classic_start", "product": "windows"}, {"Data|contains": "HostVersion=2.0"}),
    ("winlogbeat.jsonl", {"category": "ps_script", "product": "windows"}, {"ScriptBlockText|contains": "Invoke-"}),
    ("defender.jsonl", {"category": "ps_script", "product": "windows"}, {"ScriptBlockText": "Get-Date"}),
    ("laurel.jsonl", {"product": "linux", "service": "auditd"}, {"type": "USER_AUTH", "res": "success"}),
    ("access.log", {"category": "webserver"}, {"cs-uri-query|contains": "os.execute", "sc-status": 200}),
    ("zeek.jsonl", {"category": "proxy"}, {"c-useragent|startswith": "LuaSocket"}),
    ("zeek_http.log", {"product": "zeek", "service": "http"}, {"user_agent|startswith": "LuaSocket"}),
    ("zeek_notice.log", {"product": "zeek", "service": "notice"}, {"note": "Scan::Port_Scan"}),
    ("suricata.jsonl", {"category": "dns"}, {"query": "c2.example", "answer|contains": "203.0.113.9"}),
    ("firewall.log", {"category": "firewall"}, {"dst_port": 22, "action": "drop"}),
    ("panos.log", {"category": "firewall"}, {"dst_port": 4444, "action": "deny"}),
    ("syslog.log", {"product": "linux", "service": "sshd"}, {"message|contains": "Accepted publickey"}),
]


@pytest.mark.parametrize(("log", "logsource", "selection"), CASES)
def test_found(tmp_path: Path, log: str, logsource: dict[str, str], selection: dict[str, object]) -> None:
    rule = {
        "title": "Found",
        "id": "5b6f1a0e-0000-4000-8000-000000000001",
        "status": "test",
        "level": "high",
        "logsource": logsource,
        "detection": {"s": selection, "condition": "s"},
    }
    path = tmp_path / "rule.yml"
    path.write_text(yaml.safe_dump(rule))
    found = pipeline.hunt([GOLDEN / log], rules=[path], pack=False)
    assert not found.refused, found.refused
    assert found.cases, f"{log}: no finding of {logsource}"
