"""What language a text is written in, from a few signs that each language's own syntax forces on its authors."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from functools import lru_cache

from perilune.analysis.interpreters import base_name, find
from perilune.analysis.patterns import Chooser

HEAD = 6000  # characters that are looked at
SHELLS = frozenset(("posix", "cmd", "powershell"))

_AROUND = re.compile(r"\(\?(?:[=!]|<[=!])(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)")
_SHEBANG = re.compile(r"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?")
_SURE: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (language, re.compile(pattern, re.MULTILINE))
    for language, pattern in (
        ("php", r"\A\s*<\?(php\b|=)"),
        ("html", r"(?i)\A\s*<(!doctype html|html\b|script\b|hta:|head\b|\?xml|scriptlet\b|component\b|package\b)"),
        ("lua", r"\A(\x1bLua|\x1bLJ)|^\s*local\s+(function\s+)?[A-Za-z_][\w, ]*(=|\()|\bos\.execute\b|\bio\.popen\b"
                r"|\bstring\.(char|byte|gsub|reverse|rep)\b|\bloadstring\s*\(|\bpackage\.loadlib\b|\bfunction\b[^{}\n]*\)[^{}]*\bend\b"
                r"|\bthen\b[^{};]*\bend\b(?!if)(?=\s*($|\)|local|return))|\brequire\s*\(?\s*[\"'](socket|ffi|lfs|ltn12)\b"),
        ("applescript", r"(?i)\btell (application|app)\b|\bdo shell script\b|^\s*(display dialog|set \w+ to )"),
        ("autoit", r"(?i)^\s*#include\s+<\w+\.au3>|^\s*(local|global|dim)\s+(const\s+)?\$\w+|\b(shellexecute|inetget|dllcall|fileinstall)\s*\(.*\$|@(tempdir|scriptdir|comspec|sw_hide)\b"),
        ("autohotkey", r"(?i)^\s*#(requires autohotkey|persistent|notrayicon|singleinstance|noenv)|^\s*(run|runwait|msgbox|urldownloadtofile|sendinput),\s|A_(ScriptDir|Temp|AppData|ComSpec)\b"),
        ("vbscript", r"(?i)\bcreateobject\s*\(\s*\"|\bgetobject\s*\(\s*\"(winmgmts|script):|^\s*(option explicit|on error resume next|dim \w+|private sub |public sub |sub \w+\(|attribute vb_)|\bwscript\.(shell|sleep|echo|quit)\b"
                     r"|^\s*set \w+\s*=\s*\w+[.(]"),
        ("javascript", r"\bnew\s+ActiveXObject\s*\(|\brequire\s*\(\s*['\"`](child_process|fs|net|https?|os|vm)['\"`]|^\s*(var|let|const)\s+[\w${},\[\] ]+\s*=|\bfunction\s*\w*\s*\([^)]*\)\s*\{|=>\s*\{"
                       r"|\bString\.fromCharCode\b|\bDeno\.\w+|\bBun\.\w+|\beval\(atob\("),
        ("python", r"^\s*(import\s+[\w., ]+|from\s+[\w.]+\s+import\s+\S+)(\s*$|\s*[;#]|\s+as\b)|^\s*def\s+\w+\(.*\)\s*(->.*)?:|\b__import__\s*\(|\bexec\(\s*(__import__|base64|zlib|bytes|compile|codecs)|\bos\.(system|popen|dup2)\s*\(|\bsubprocess\.\w+\("),
        ("ruby", r"^\s*require\s+['\"]|\bTCPSocket\.|\bKernel\.(exec|system)|\.unpack1?\(['\"]m"),
        ("perl", r"^\s*(use\s+(strict|warnings|Socket|IO::\w+|MIME::\w+)|my\s+[$@%(])|\bpack\s*\(?\s*['\"]|\bqx[{(/|!]"),
        ("powershell", r"(?i)^\s*(\$\{?[\w:]+\}?\s*[+-]?=(?!=)|&\s*[({'\"$]|\.\s*[({]|\[[\w.\[\]]+\]\s*(::|\$)|iex\b|iwr\b|irm\b|param\s*\(|\(\s*(new-object|iwr|irm|gc|gp|get-)|\(\(|function\s+\w+-\w+|import-module\b|<#|'[^']*'\s*\|\s*iex|sal\b\s|sv\b\s|ls\s+env:)"
                       r"|\b(get|set|new|invoke|start|stop|add|remove|import|export|write|out|test|select|where|foreach|convertto|convertfrom|register|enable|disable|install|uninstall|update|clear|copy|move|restart|enter|unblock|expand|compress|join|split|resolve|measure|rename|wait|mount|suspend|resume|find|send|receive|read|push|pop|unregister|format|sort|group|tee|show|save|restore)-[a-z]{2,}\w*\b(?!\.(sh|py|exe|pl|rb|js|txt|conf|deb|rpm))"
                       r"|\[(system\.)?(text\.encoding|convert|net\.|io\.|reflection\.|char|byte|string|array|activator|appdomain|diagnostics\.)[^\]]*\]"
                       r"|\bnew-object\b|\$env:\w+|\binvoke-expression\b|\|\s*(%|\?|iex|select|where|foreach)\s*\{"),
    )
)  # fmt: skip
# The same without look-around, which RE2 tries all at once; what it finds is then tried exactly.
_CHOOSER = Chooser(["(?m)" + _AROUND.sub("", pattern.pattern) for _, pattern in _SURE])
_CMD = re.compile(
    r"""(?ix)^\s*@echo\s+off|%[a-z_]\w{1,20}(:[^%\s]{1,40})?%|![a-z_]\w*(:~[^!]+)?!|^\s*rem\s|^\s*"?([a-z]:)?\\
    |\b[a-z]:\\|\.(exe|dll|bat|cmd|vbs|msi|ps1|hta|scr|cpl|ocx|inf)\b(?![\w/])|\\\\[\w.$?-]+\\|\bhk(lm|cu|cr|ey_\w+)\\
    |\^[a-z]|\s&\s*(echo|start|del|copy|rundll32)\b|(^|[&|]\s*)set\s+"?\w+=|^\s*(for\s+/[fldr]\b|if\s+(not\s+)?(exist|errorlevel|defined)\b)"""
)
_WINDOWS_PROGRAMS = frozenset(
    "powershell cmd reg regedit net net1 netsh schtasks wmic sc rundll32 regsvr32 mshta wscript cscript certutil bitsadmin "
    "vssadmin wevtutil bcdedit tasklist taskkill ipconfig systeminfo nltest dsquery icacls takeown attrib cmdkey vaultcmd "
    "msiexec msbuild installutil regasm regsvcs cmstp forfiles pcalua conhost esentutl ntdsutil diskshadow fsutil auditpol "
    "gpresult quser qwinsta query rasdial procdump dnscmd winrm winrs psexec robocopy xcopy expand extrac32 makecab "
    "findstr where wbadmin whoami.exe at.exe hh ftp.exe start rasautou odbcconf mavinject control dism pnputil wusa print "
    "presentationhost infdefaultbrowser syncappvpublishingserver manage-bde wsl setx ver dir del copy move ren rd erase "
    "type cls assoc ftype cipher tracert pathping nbtstat getmac driverquery msinfo32 adfind sharphound rubeus".split()
)
_POSIX = re.compile(
    r"""(?x)^\s*(\#!|[A-Za-z_]\w*=\S*\s+\S|(sudo|export|if\s+\[|for\s+\w+\s+in|while\s|case\s|set\s+-[eux]|unset|trap)\b)
    |\$\(|\$\{?[A-Za-z_]\w*|\|\s*(ba|z|da)?sh\b|/(bin|etc|tmp|usr|dev|var|opt|home|root)/|>\s*/dev/null|2>&1|&&|;\s*then\b|\s-[a-zA-Z-]+\b"""
)
_POSIX_PROGRAMS = frozenset(
    "ls cat echo cd rm cp mv mkdir chmod chown curl wget grep sed awk find tar gzip gunzip kill ps id whoami uname hostname "
    "ifconfig ip ss netstat nc ncat socat ssh scp rsync crontab touch head tail sort uniq wc tee dd printf read exit sleep "
    "export unset history mount umount df du top free useradd usermod groupadd passwd su sudo systemctl service launchctl "
    "openssl base64 xxd od tr cut test true false date env nohup setsid pkill killall iptables chattr insmod modprobe "
    "git make gcc pip npm apt apt-get yum dnf apk brew docker kubectl defaults open sqlite3 security".split()
)


def language_of(text: str, default: str = "") -> str:
    """The language of a text that nothing else says anything about; `default` where no sign speaks."""
    return _language_of(text[:HEAD], default)


@lru_cache(maxsize=256)
def _language_of(head: str, default: str) -> str:
    stripped = head.lstrip("\ufeff \t\r\n(@&")
    if stripped.startswith("#!"):
        found = _shebang(stripped)
        if found:
            return found
    first = _first_word(stripped)
    called = stripped[len(first) :].lstrip()[:1] in ("(", "=")  # `print(1)`, `path = x`: no command line
    if first and not called and (by_program := _by_program(first, head)):
        return by_program
    return _by_syntax(head, default)


def _by_program(first: str, head: str) -> str:
    """A command line begins with a program; which one tells the system."""
    name = base_name(first)
    if name in _WINDOWS_PROGRAMS:
        return "cmd" if not _piped_cmdlets(head) else "powershell"
    row = find(first)
    if row is not None and row.name != "hyper-v" and len(head.split(None, 2)) > 1:
        if row.quoting == "windows":
            return "cmd"
        return "cmd" if row.quoting == "either" and _of_windows(head) and not _POSIX_ONLY.search(head) else "posix"
    if name in _POSIX_PROGRAMS:
        return "cmd" if name in _ON_BOTH and _of_windows(head) else "posix"
    return "cmd" if _WINDOWS_IMAGE.match(first) else ""


def _of_windows(head: str) -> bool:
    return _CMD.search(head) is not None


_ON_BOTH = frozenset(("echo", "cd", "curl", "tar", "whoami", "hostname", "mkdir", "ssh", "netstat"))
_WINDOWS_IMAGE = re.compile(r'"?([A-Za-z]:|%\w+%)?\\|[\w.-]+\.(exe|com|bat|cmd)\b', re.IGNORECASE)
_POSIX_ONLY = re.compile(r"(^|[\s'\"])/(bin|etc|tmp|usr|dev|var|opt|home|root)/|\$\(|'")
_CMDLET_PIPE = re.compile(
    r"(?i)\|\s*(%|\?|iex|out-|select|where|foreach|get-|set-|format-|convert|measure-|sort-object)"
)


def _piped_cmdlets(head: str) -> bool:
    """Whether a pipe outside of quotes leads to a cmdlet."""
    return "|" in head and _CMDLET_PIPE.search(re.sub(r'"[^"]*"?', "", head)) is not None


def _by_syntax(head: str, default: str) -> str:
    for number in _CHOOSER.candidates(head):
        language, pattern = _SURE[number]
        if pattern.search(head):
            return language
    if _CMD.search(head):
        return "cmd"
    if default:
        return default
    return "posix" if _POSIX.search(head) and " " in head else ""


def _first_word(text: str) -> str:
    if text[:1] in ('"', "'") and (close := text.find(text[0], 1)) > 0:
        return text[1:close]
    return re.split(r"[\s|;&<>()]", text[:300], maxsplit=1)[0]


def _shebang(text: str) -> str:
    found = _SHEBANG.match(text)
    if not found:
        return ""
    program = found.group(2) if base_name(found.group(1)) == "env" and found.group(2) else found.group(1)
    row = find(program)
    return row.language if row else ""
