"""Indicators: what is one, what only looks like one, and where each stands."""

from __future__ import annotations

import pytest

from perilune.analysis import analyze
from perilune.model.analysis import Indicator

FOUND = [
    ("curl http://evil.example.net/a", "url", "http://evil.example.net/a", "reserved"),
    ("curl http://cdn.acme-corp.com/a", "domain", "cdn.acme-corp.com", "public"),
    ("see hxxps://evil[.]acme-corp[.]com/a", "url", "https://evil.acme-corp.com/a", "public"),
    ("evil(.)acme-corp(.)co(.)uk", "domain", "evil.acme-corp.co.uk", "public"),
    ("evil[dot]acme-corp[dot]com", "domain", "evil.acme-corp.com", "public"),
    ("ping 9[.]9[.]9[.]9", "ipv4", "9.9.9.9", "public"),
    ("nc 10.1.2.3 80", "ipv4", "10.1.2.3", "private"),
    ("nc 127.0.0.1 80", "ipv4", "127.0.0.1", "loopback"),
    ("nc 192.0.2.9 80", "ipv4", "192.0.2.9", "reserved"),
    ("curl http://3232235777/", "ipv4", "192.168.1.1", "private"),
    ("curl http://0x7f.1/", "ipv4", "127.0.0.1", "loopback"),
    ("curl http://[2606:4700::1111]/", "ipv6", "2606:4700::1111", "public"),
    ("ping fe80::1", "ipv6", "fe80::1", "private"),
    ("mail root@acme-corp.com", "email", "root@acme-corp.com", "public"),
    ("curl http://abcdefghijklmnop.onion/x", "onion", "abcdefghijklmnop.onion", "public"),
    ("x d41d8cd98f00b204e9800998ecf8427e", "md5", "d41d8cd98f00b204e9800998ecf8427e", None),
    ("x da39a3ee5e6b4b0d3255bfef95601890afd80709", "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709", None),
    ("type C:\\Users\\a\\b.txt", "path-windows", "C:\\Users\\a\\b.txt", None),
    ('type "C:\\Program Files\\a b\\c.txt"', "path-windows", "C:\\Program Files\\a b\\c.txt", None),
    ("start %TEMP%\\a.exe", "path-windows", "%TEMP%\\a.exe", None),
    ("copy a \\\\srv1\\share\\b", "unc", "\\\\srv1\\share\\b", "private"),
    ('reg add "HKLM\\Software\\Acme Corp" /f', "registry", "HKLM\\Software\\Acme Corp", None),
    ("reg add HKCU\\Software\\Acme /f", "registry", "HKCU\\Software\\Acme", None),
    ("cat /etc/hosts", "path-unix", "/etc/hosts", None),
    ("ls /Library/LaunchDaemons/a.plist", "path-macos", "/Library/LaunchDaemons/a.plist", None),
    ("x 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", None),
    ("scan for cve-2021-44228 now", "cve", "CVE-2021-44228", None),
    ('curl -A "Evil/1.0 (x)" a', "user-agent", "Evil/1.0 (x)", None),
    ("powershell -c \"New-Object Threading.Mutex($false, 'Acme_1')\"", "mutex", "Acme_1", None),
    ("powershell -c \"iex ('http://cdn.acme'+'-corp.com/a')\"", "url", "http://cdn.acme-corp.com/a", "public"),
]


@pytest.mark.parametrize(("text", "kind", "value", "scope"), FOUND, ids=[f"{k}: {t[:40]}" for t, k, _, _ in FOUND])
def test_it_is_found_with_its_scope(text: str, kind: str, value: str, scope: str | None) -> None:
    found = {(one.kind.value, one.value): one for one in analyze(text).indicators}
    assert (kind, value) in found, sorted(found)
    assert (found[kind, value].scope.value or None) == scope


NOT_THERE = [
    ("powershell -c [System.Net.WebClient]", "domain"), ("sh install.sh", "domain"), ("python -c 'os.name'", "domain"),
    ("tar xf a.tar.gz", "domain"), ("python3.11 a.py", "ipv4"), ("x 1.2.3.4.5", "ipv4"), ("x 999.1.1.1", "ipv4"),
    ("a::b", "ipv6"), ("[Convert]::ToInt32", "ipv6"), ("x 00000000000000000000000000000000", "md5"),
    ("x 1BoatSLRHtKNngkdXEeobR76b53LETtpy1", "wallet"), ("console.log(1)", "domain"), ("this.app.run()", "domain"),
    ("a/b/c", "path-unix"), ("git log origin/main", "path-unix"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), NOT_THERE, ids=[text for text, _ in NOT_THERE])
def test_what_only_looks_like_one_is_left_alone(text: str, kind: str) -> None:
    assert [one.value for one in analyze(text).indicators if one.kind.value == kind] == []


def test_an_indicator_stands_where_it_was_written() -> None:
    def written(text: str, one: Indicator) -> str:
        return text[one.start : one.end]

    text = "curl hxxp://evil[.]acme-corp[.]com/x"
    found = analyze(text).indicators
    assert [written(text, one) for one in found] == ["hxxp://evil[.]acme-corp[.]com/x", "evil[.]acme-corp[.]com"]
    assert all(one.defanged for one in found)
    assert found[1].parent == "http://evil.acme-corp.com/x"
